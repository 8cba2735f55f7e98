"""What an object refers to, for `sizeof`: all of it, or where that is too much, a sample.

A look is a function of an object and of how many things there is room for. It returns the size of the object alone; what it refers to; and samples:
what was drawn, and how many there are for each that was drawn. It uses `gc.get_referents` and the methods of the interpreter's own types, which
run no code of the object, whatever its class has put in their place.
"""

from __future__ import annotations

import gc
import sys
from collections import deque
from functools import partial
from itertools import islice
from sys import getsizeof
from typing import TYPE_CHECKING, Any, Final

from safemem.memory.room import is_split, prefix_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import TypeAlias

    from safemem.memory.room import Room

    Samples: TypeAlias = Sequence[tuple[float, list[Any]]]
    Found: TypeAlias = tuple[int, list[Any], Samples]
    Look: TypeAlias = Callable[[Any, int], Found]

__all__ = ["CONTAINERS", "draw", "look_at_instance", "look_at_items", "look_into"]

_ALL: Final[Samples] = ()
_referents: Final = gc.get_referents
_VIEWS: Final[Any] = (vars(dict)["keys"], vars(dict)["values"])
_EMPTY: Final = getsizeof({})

# Where in its part of a sequence a piece is drawn: the fractions of the multiples of the golden ratio, which are in step with no period.
_OFFSETS: Final = [(number * 0.6180339887498949) % 1 for number in range(1, 33)]
_PIECES: Final = 24

# Another thread may change what is read here by an iterator; then it is read again, but not for ever.
_TRIES: Final = 3

# A table much too large for what it holds was emptied, perhaps from one end: finding its first entry would take as long as finding all.
_HOLLOW: Final = 1 << 20
_HOLLOW_ENTRY: Final = 500
_ENTRY_UNSEEN: Final = 100


def look_into(obj: Any, _room: int) -> Found:
    """Look at everything that an object refers to."""
    return getsizeof(obj), _referents(obj), _ALL


def look_at_items(obj: Any, room: int) -> Found:
    """Look at all that is in a container of the interpreter's own types; without a GIL, `gc.get_referents` would stop all threads for it."""
    for _ in range(_TRIES):
        try:
            return getsizeof(obj), [*obj], _ALL
        except RuntimeError:  # another thread has changed it meanwhile
            continue
    return look_into(obj, room)


def look_at_instance(size: Callable[[Any], int], array: Room | None, obj: object, _room: int) -> Found:
    """Look at an instance of a class that somebody wrote: its slots, and its attributes, be they in a dict or in an array."""
    found = _referents(obj)
    if found and found[-1] is type(obj):
        found.pop()
    total = size(obj)
    if array is not None:
        total += array.of(obj, found)
    return total, found, _ALL


def draw(take: Callable[[slice], Iterable[Any]], entries: int, room: int, pieces: int = 0) -> list[Any]:
    """Draw from all parts of a sequence, in pieces, so that neither its order nor a period in it misleads."""
    pieces = pieces or min(max(room >> 3, 4), _PIECES)
    length = room // pieces
    drawn: list[Any] = []
    for piece in range(pieces):
        start, end = piece * entries // pieces, (piece + 1) * entries // pieces
        start += int((end - start - length + 1) * _OFFSETS[piece % 32])
        drawn += take(slice(start, start + length))
    return drawn


# -- the containers of the interpreter, and what is derived from them -------------------------------------------------------------------------


def _look_into_sequence(kind: Any, size: Callable[[Any], int], whole: Look, obj: Any, room: int) -> Found:
    entries = kind.__len__(obj)
    if entries <= room:
        return whole(obj, room)
    return _sampled(size(obj), entries, [draw(partial(kind.__getitem__, obj), entries, room)])


def _look_into_set(kind: Any, size: Callable[[Any], int], whole: Look, obj: Any, room: int) -> Found:
    entries, own = kind.__len__(obj), size(obj)
    hollow = _hollow(own, entries, room)
    if hollow is not None:
        return hollow
    if entries <= room:
        return whole(obj, room)
    return _sampled(own, entries, [_first(partial(kind.__iter__, obj), room)])


def _look_into_deque(kind: Any, size: Callable[[Any], int], whole: Look, obj: Any, room: int) -> Found:
    entries = kind.__len__(obj)
    if entries <= room:
        return whole(obj, room)
    return _sampled(size(obj), entries, [_at_both_ends(partial(kind.__iter__, obj), partial(kind.__reversed__, obj), room)])


def _look_into_dict(kind: Any, size: Callable[[Any], int], whole: Look, obj: Any, room: int) -> Found:
    entries, own = kind.__len__(obj), size(obj)
    hollow = _hollow(own, entries, room)
    if hollow is not None:
        return hollow
    if entries > room:
        views = [view(obj) for view in _VIEWS]
        return _sampled(own, entries, [_at_both_ends(each.__iter__, each.__reversed__, room // 2) for each in views])
    if whole is look_at_items:
        keys, values = [[*view(obj)] for view in _VIEWS]
        if is_split(obj):
            return own + prefix_of((own - _EMPTY) >> 3), values, _ALL
        return own, [*keys, *values], _ALL
    own, found, _ = whole(obj, room)
    return own, [*{id(each): each for each in (*kind.keys(obj), *found)}.values()], _ALL


CONTAINERS: Final[dict[int, tuple[Any, Callable[..., Found]]]] = {
    id(kind): (kind, look)
    for kind, look in (
        (dict, _look_into_dict),
        (list, _look_into_sequence),
        (tuple, _look_into_sequence),
        (set, _look_into_set),
        (frozenset, _look_into_set),
        (deque, _look_into_deque),
    )
}


def _hollow(own: int, entries: int, room: int) -> Found | None:
    """Guess where looking would take too long, unless there is room for everything."""
    if own < _HOLLOW or own < entries * _HOLLOW_ENTRY or room == sys.maxsize:
        return None
    return own + entries * _ENTRY_UNSEEN, [], _ALL


def _sampled(size: int, entries: int, samples: list[list[Any]]) -> Found:
    return size, [], [(entries / len(drawn), drawn) for drawn in samples if drawn]


def _at_both_ends(ascending: Callable[[], Iterable[Any]], descending: Callable[[], Iterable[Any]], number: int) -> list[Any]:
    return _first(ascending, number // 2) + _first(descending, number // 2)


def _first(iterate: Callable[[], Iterable[Any]], number: int) -> list[Any]:
    """Return the first few; none if other threads keep on changing what is read."""
    for _ in range(_TRIES):
        try:
            return [*islice(iterate(), number)]
        except RuntimeError:
            continue
    return []
