"""What an object refers to, for `sizeof`: all of it, or where that is too much, a sample.

A look is a function of an object and of how many things there is room for. It returns the size of the object alone; what it refers to; and samples:
what was drawn, and how many there are for each that was drawn. It uses `gc.get_referents` and the methods of the interpreter's own types, which
run no code of the object, whatever its class has put in their place.
"""

from __future__ import annotations

import gc
from collections import deque
from functools import partial
from itertools import islice
from sys import getsizeof
from typing import TYPE_CHECKING, Any, Final

from safemem._graph import class_of
from safemem.memory.room import STAYS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import TypeAlias

    from safemem.memory.room import Room

    Samples: TypeAlias = Sequence[tuple[float, list[Any]]]
    Found: TypeAlias = tuple[int, list[Any], Samples]
    Look: TypeAlias = Callable[[Any, int], Found]

__all__ = ["CONTAINERS", "draw", "look_at_instance", "look_into"]

_ALL: Final[Samples] = ()
_referents: Final = gc.get_referents
_dict_size: Final[Any] = vars(dict)["__sizeof__"]

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


def look_at_instance(size: Callable[[Any], int], array: Room | None, obj: object, _room: int) -> Found:
    """Look at an instance of a class that somebody wrote: its slots, and its attributes, be they in a dict or in an array."""
    cls = type(obj)
    found = _referents(obj)
    if found and found[-1] is cls:
        found.pop()
    total = size(obj)
    if array is not None:
        last: Any = found[-1] if found else None
        is_dict = class_of(last) is dict
        split = is_dict and _is_split(last)
        if STAYS or not (split or (is_dict and len(found) == 1)):
            total += array.of(cls, len(found))
        if STAYS and split:  # its dict counts the array as its own
            total -= _dict_size(last) - _EMPTY
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
    entries = kind.__len__(obj)
    if entries <= room:
        return whole(obj, room)
    total = size(obj)
    return _hollow(total, entries) or _sampled(total, entries, [_first(partial(kind.__iter__, obj), room)])


def _look_into_deque(kind: Any, size: Callable[[Any], int], whole: Look, obj: Any, room: int) -> Found:
    entries = kind.__len__(obj)
    if entries <= room:
        return whole(obj, room)
    return _sampled(size(obj), entries, [_at_both_ends(partial(kind.__iter__, obj), partial(kind.__reversed__, obj), room)])


def _look_into_dict(kind: Any, size: Callable[[Any], int], whole: Look, obj: Any, room: int) -> Found:
    entries = kind.__len__(obj)
    if entries > room:
        total = size(obj)
        views = kind.keys(obj), kind.values(obj)
        return _hollow(total, entries) or _sampled(
            total, entries, [_at_both_ends(each.__iter__, each.__reversed__, room // 2) for each in views]
        )
    if whole is look_into:
        own, values = size(obj), [*obj.values()]
        return own, values if own < _least(entries) else [*obj, *values], _ALL
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


def _hollow(size: int, entries: int) -> Found | None:
    """Guess where looking would take too long."""
    return (size + entries * _ENTRY_UNSEEN, [], _ALL) if size > _HOLLOW and size > entries * _HOLLOW_ENTRY else None


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


# -- dicts of attributes ----------------------------------------------------------------------------------------------------------------------

_EMPTY: Final[int] = _dict_size({})
_SMALLEST: Final = getsizeof({"a": None})
_HEAD: Final = _SMALLEST - 8 - 5 * 16


def _is_split(attributes: dict[Any, Any]) -> bool:
    """Whether the keys of a dict belong to a class: it is smaller than one with keys of its own could be."""
    return getsizeof(attributes) < _least(len(attributes))


def _least(entries: int) -> int:
    """Return the size of the smallest dict that holds so many entries, and their keys as well."""
    if entries <= 5:
        return _SMALLEST if entries else 0
    slots = 1 << ((entries * 3 + 1) // 2 - 1).bit_length()
    return _HEAD + slots + slots * 2 // 3 * 16
