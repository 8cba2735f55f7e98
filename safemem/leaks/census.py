"""Containers followed by their identity over rounds: which hold more after each of them."""

from __future__ import annotations

import atexit
import contextvars
import io
from array import array
from collections import Counter
from functools import partial
from itertools import compress
from typing import TYPE_CHECKING, Any, Final

from safemem._graph import attributes_of, class_of
from safemem.leaks.frozen import all_objects, set_aside
from safemem.leaks.heap import census, referents_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Following", "Suspect", "dicts_of"]

_COUNTED: Final[tuple[Any, ...]] = (tuple, list, dict, set, frozenset, str, bytes, bytearray)
_LENGTHS: Final[dict[int, Callable[[Any], int]]] = {id(cls): cls.__len__ for cls in _COUNTED}
_TEXTS: Final = {*map(id, (str, bytes, bytearray))}
_MANY: Final = 20_000  # referents, beyond which each is no longer followed by its place
_LEAST_TEXT: Final = 16  # characters a call


class Suspect:
    """What one container held after the round before, and in which respects it has grown in every round so far.

    `own`: the number of what it refers to; `slots`: what a plain container or text is replaced by in the same place of it; `items`: what its
    values hold together. It refers to nothing; `address` is that of the container.
    """

    __slots__ = ("address", "grew", "items", "moved", "own", "size", "slots", "steady", "texts")

    def __init__(self, obj: Any) -> None:
        self.address = id(obj)
        self.own = True
        self.items = True
        self.moved = False  # its attributes are in a dict of their own by now
        self.steady: set[int] | None = None  # places whose content has grown in every round
        self.size, self.texts, self.slots = _measure(obj)
        self.grew = 0

    def update(self, obj: Any, calls: int, followed: set[int]) -> bool:
        """Compare with the round before; False if it is no suspect any more."""
        size, texts, slots = _measure(obj)
        if size < self.size:
            moved = _in_own_dict(obj)
            self.moved = bool(moved)
            size += moved
        self.own = self.own and size - self.size >= max(1, calls // 2)
        if size != self.size:
            self.steady = set()
        elif self.steady is None or self.steady:
            longer = {place for place, (_, now) in slots.items() if self._is_longer(place, slots[place], now, calls, followed)}
            self.steady = longer if self.steady is None else self.steady & longer
        self.items = self.items and size == self.size and self._more_items(slots, followed) >= max(1, calls // 2)
        self.grew += size - self.size
        self.size, self.texts, self.slots = size, texts, slots
        return self.own or self.items or bool(self.steady)

    def _more_items(self, slots: dict[int, tuple[int, int]], followed: set[int]) -> int:
        return sum(
            now - self.slots.get(place, (0, 0))[1]
            for place, (address, now) in slots.items()
            if address not in followed or self.slots.get(place, (0, 0))[0] != address
        )

    def _is_longer(self, place: int, slot: tuple[int, int], now: int, calls: int, followed: set[int]) -> bool:
        before = self.slots.get(place)
        if before is None or (slot[0] in followed and slot[0] == before[0]):  # it grows itself, and is followed itself
            return False
        least = calls * _LEAST_TEXT // 2 if place in self.texts else max(1, calls // 2)
        return now - before[1] >= least


def _measure(obj: Any) -> tuple[int, set[int], dict[int, tuple[int, int]]]:
    """Return how many referents an object has, the places of the texts among them, and address and length of each by its place."""
    buffer = _BUFFERS.get(id(class_of(obj)))
    if buffer is not None:
        return buffer(obj), set(), {}
    referents = referents_of(obj)
    texts: set[int] = set()
    slots: dict[int, tuple[int, int]] = {}
    if len(referents) <= _MANY:
        for place, other in enumerate(referents):
            kind = id(class_of(other))
            if kind in _LENGTHS:
                slots[place] = (id(other), _LENGTHS[kind](other))
                if kind in _TEXTS:
                    texts.add(place)
    return len(referents), texts, slots


def _in_own_dict(obj: Any) -> int:
    """Return how many attributes of an object have moved to a dict of their own, as they do when there are many."""
    dicts = [other for other in referents_of(obj) if class_of(other) is dict]
    own = attributes_of(obj) if dicts else None
    return len(own) - 1 if own is not None and any(other is own for other in dicts) else 0


def _buffers() -> dict[int, Callable[[Any], int]]:
    """Return how to weigh what grows without referring to anything, by the address of the class."""
    lengths: tuple[Any, ...] = (array,)
    files: tuple[Any, ...] = (io.BytesIO, io.StringIO)
    return {id(cls): cls.__len__ for cls in lengths} | {id(cls): partial(_weigh_file, cls) for cls in files}


def _weigh_file(cls: Any, file: Any) -> int:
    """Return the size of a file in memory, with its position: the room that it has taken grows by leaps."""
    try:
        return int(cls.__sizeof__(file) + cls.tell(file))
    except ValueError:  # closed
        return 0


_BUFFERS: Final = _buffers()


class Following:
    """The containers of the program over rounds: begin, then once after each round.

    A round costs a census of the heap: a quarter of a second for a million objects with the compiled core, and 70 bytes an object for as long
    as it lasts. It holds no object of the program between the rounds, but for those that `gc.freeze()` set aside before it began.
    """

    __slots__ = (
        "_number",
        "aside",
        "buffers",
        "context",
        "exits",
        "handlers",
        "more_variables",
        "own",
        "suspects",
        "swelling",
        "table",
        "types",
        "variables",
    )

    def __init__(self) -> None:
        self.aside: list[Any] = []
        self.suspects: dict[int, Suspect] | None = None
        self.swelling: dict[int, int] | None = None  # types of which there are more after each round, by address
        self.types: Counter[int] = Counter()
        self.buffers: dict[int, int] = {}
        self.table: Any = None
        self.own: set[int] = set()
        self.handlers = 0  # exit handlers that came in each round; 0 if there was one without
        self.exits = -1
        self.context: dict[int, int] = {}
        self.variables: set[int] | None = None  # of the context, by address, whose values are larger after each round
        self.more_variables = False  # whether there are more of them after each round
        self._number = 0

    def begin(self) -> None:
        """Count everything for the first time."""
        self.suspects = self.swelling = None
        self.aside = set_aside()
        objects = self._objects()
        self.table = census(objects)[0]
        self.types = Counter(map(id, map(type, objects)))
        self.buffers = self._weigh_buffers(objects)
        self.own = {id(own) for own in (self, self.types, self.buffers, self.aside, objects)}
        self.handlers = -1
        self.exits = _exit_handlers()
        self.variables = None
        self.more_variables = True
        self._number = len(contextvars.copy_context())
        self.context = {id(variable): length for variable, length, _ in _values_in_context()}

    def after_round(self, calls: int) -> None:
        """Count again after `calls` calls; what did not grow is forgotten."""
        objects = self._objects()
        self.table, grown, _ = census(objects, self.table)
        buffers = self._weigh_buffers(objects)
        swollen = {address for address, size in buffers.items() if size > self.buffers.get(address, size)}
        grown += compress(objects, map(swollen.__contains__, map(id, objects))) if swollen else ()
        self._keep_types(objects, calls)
        self._keep_handlers(calls)
        self._keep_variables(calls)
        self.buffers = buffers
        if self.suspects is None:
            self.suspects = {id(obj): Suspect(obj) for obj in grown if id(obj) not in self.own}
        elif self.suspects:
            listed = self._suspects_among(objects)
            listed |= self._suspects_among(grown)  # dicts that the collector does not know of
            followed = set(self.suspects)
            self.suspects = {address: suspect for address, (suspect, obj) in listed.items() if suspect.update(obj, calls, followed)}
            listed.clear()
        objects.clear()
        grown.clear()

    def _suspects_among(self, objects: list[Any]) -> dict[int, tuple[Suspect, Any]]:
        """Return the suspects whose containers are listed, with these, by address."""
        wanted = self.suspects or {}
        return {id(obj): (wanted[id(obj)], obj) for obj in compress(objects, map(wanted.__contains__, map(id, objects)))}

    def _keep_types(self, objects: list[Any], calls: int) -> None:
        now = Counter(map(id, map(type, objects)))
        more = {kind: count - self.types[kind] for kind, count in now.items() if count - self.types[kind] >= max(1, calls // 2)}
        self.swelling = (
            more if self.swelling is None else {kind: self.swelling[kind] + count for kind, count in more.items() if kind in self.swelling}
        )
        self.types = now

    def _keep_handlers(self, calls: int) -> None:
        more = _exit_handlers() - self.exits
        self.exits += more
        self.handlers = max(self.handlers, 0) + more if self.handlers and more >= max(1, calls // 2) else 0

    def _keep_variables(self, calls: int) -> None:
        values = _values_in_context()
        grown = {
            id(variable)
            for variable, length, least in values
            if length - self.context.get(id(variable), length) >= max(1, calls * least // 2)
        }
        self.variables = grown if self.variables is None else self.variables & grown
        self.context = {id(variable): length for variable, length, _ in values}
        number = len(contextvars.copy_context())
        self.more_variables = self.more_variables and number - self._number >= max(1, calls // 2)
        self._number = number

    def larger_in_context(self) -> list[tuple[str, Any]]:
        """Return name and value of each variable of the context that holds something larger after each round, and not because that grows itself."""
        found = contextvars.copy_context().items() if self.variables else ()
        suspects = self.suspects or {}
        return [(variable.name, value) for variable, value in found if id(variable) in (self.variables or ()) and id(value) not in suspects]

    def forget(self, addresses: set[int]) -> bool:
        """Forget suspects, and tell whether none is left."""
        self.suspects = {address: suspect for address, suspect in (self.suspects or {}).items() if address not in addresses}
        return not self.suspects

    def drop_shrunk(self) -> bool:
        """Forget suspects that hold much less than they did, and tell whether there are any left to watch."""
        for suspect, obj in self.found():
            size, texts, slots = _measure(obj)
            if suspect.own and suspect.size - size > max(1, suspect.grew // 4) and self.suspects is not None:
                del self.suspects[suspect.address]
            del texts, slots
        return bool(self.suspects)

    @staticmethod
    def _weigh_buffers(objects: list[Any]) -> dict[int, int]:
        buffers = compress(objects, map(_BUFFERS.__contains__, map(id, map(type, objects))))
        return {id(obj): _BUFFERS[id(class_of(obj))](obj) for obj in buffers}

    def found(self) -> list[tuple[Suspect, Any]]:
        """Return the suspects with their containers, which are to be let go of soon."""
        objects = self._objects()
        listed = self._suspects_among(objects)
        wanted = self.suspects or {}
        return [*listed.values(), *((wanted[id(obj)], obj) for obj in dicts_of(objects, wanted.keys() - listed.keys()))]

    def _objects(self) -> list[Any]:
        return all_objects(self.aside)


def _exit_handlers() -> int:
    return atexit._ncallbacks()


def _values_in_context() -> list[tuple[contextvars.ContextVar[Any], int, int]]:
    """Return the variables of this thread's context that hold plain containers or texts, with their lengths and what comes to one at least."""
    found = [(variable, value, id(class_of(value))) for variable, value in contextvars.copy_context().items()]
    return [(variable, _LENGTHS[kind](value), _LEAST_TEXT if kind in _TEXTS else 1) for variable, value, kind in found if kind in _LENGTHS]


def dicts_of(objects: list[Any], wanted: set[int]) -> list[Any]:
    """Return the dicts that the collector does not know of, through their owners."""
    if not wanted:
        return []
    found = {id(other): other for obj in objects for other in referents_of(obj) if class_of(other) is dict and id(other) in wanted}
    return list(found.values())
