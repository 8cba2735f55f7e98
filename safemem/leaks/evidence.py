"""One more call of a function that leaks, looked at closely: what came to each container, what that keeps, and which line made it."""

from __future__ import annotations

import gc
from typing import Any, Final, NamedTuple

from safemem._graph import type_name
from safemem.leaks.heap import census
from safemem.leaks.names import is_class
from safemem.leaks.places import is_own_code
from safemem.leaks.roots import is_module
from safemem.leaks.sizes import own_size

__all__ = ["Evidence", "Sample"]

_FRAMES: Final = 16
_LOOKED_AT: Final = 2_000  # referents at either end of a container in which what is new is looked for first
_KEPT: Final = 5_000  # objects that are weighed for one sample
_DEPTH: Final = 8


class Sample(NamedTuple):
    """What has come to a container in the calls that were looked at closely."""

    elements: list[Any]
    tail: list[Any]  # the container, and from there to the first object of the program's own classes
    bytes: int  # that came in one call
    where: str | None


class Evidence:
    """What a few calls leave behind. It refers to what it has found, and is to be dropped soon."""

    __slots__ = ("_calls", "_started", "_table", "new")

    def __init__(self, calls: int) -> None:
        import tracemalloc

        self._calls = calls
        self.new: dict[int, Any] = {}
        self._table = census(gc.get_objects())[0]
        self._started = not tracemalloc.is_tracing()
        if self._started:
            tracemalloc.start(_FRAMES)

    def gather(self) -> None:
        """Find what the calls have left behind, which were made since this was made."""
        gc.collect()
        self.new = {id(obj): obj for obj in census(gc.get_objects(), self._table, fresh=True)[2]}
        self._table = None

    def close(self) -> None:
        """Let go of everything, and turn tracemalloc off if it was."""
        self.new.clear()
        if self._started:
            import tracemalloc

            tracemalloc.stop()

    def sample(self, container: Any) -> Sample:
        """Return what has come to a container."""
        referents = gc.get_referents(container)
        elements = self._new_among([*referents[-_LOOKED_AT:], *referents[:_LOOKED_AT]]) or self._new_among(referents)
        elements = elements or referents[-2:]
        tail = self._tail(container, elements)
        return Sample(elements[:50], tail, self._weigh(elements) // self._calls, self._where([*tail[1:], *elements[:3]]))

    def of_slot(self, content: Any) -> Sample:
        """Return the same for a text or container that takes the place of a smaller one."""
        referents = [*gc.get_referents(content)[-_LOOKED_AT:]]
        return Sample(self._new_among(referents) or referents[-2:], [], own_size(content), self._where([content]))

    def _new_among(self, objects: list[Any]) -> list[Any]:
        found = [obj for obj in objects if id(obj) in self.new]
        if found or not self._started:
            return found
        import tracemalloc

        return [obj for obj in objects if tracemalloc.get_object_traceback(obj) is not None]

    def _tail(self, container: Any, elements: list[Any]) -> list[Any]:
        """Search from the newest elements through what is new, for the first object of a class that a program made."""
        start = elements[-8:][::-1]
        parents: dict[int, Any] = {id(obj): container for obj in start}
        level = start
        for _ in range(_DEPTH):
            below: list[Any] = []
            for obj in level:
                if _is_telling(obj):
                    return self._way_back(obj, parents, container)
                for other in gc.get_referents(obj):
                    if id(other) not in parents and id(other) in self.new and not is_module(other):
                        parents[id(other)] = obj
                        below.append(other)
            level = below[:_KEPT]
        first = next((obj for obj in start if gc.is_tracked(obj) and not is_module(obj)), None)
        return [] if first is None else self._way_back(first, parents, container)

    @staticmethod
    def _way_back(obj: Any, parents: dict[int, Any], container: Any) -> list[Any]:
        way = [obj]
        while way[0] is not container:
            way.insert(0, parents[id(way[0])])
        return way

    def _weigh(self, elements: list[Any]) -> int:
        total = 0
        seen: set[int] = set()
        level = elements
        while level and len(seen) < _KEPT:
            below: list[Any] = []
            for obj in level:
                if id(obj) in seen:
                    continue
                seen.add(id(obj))
                total += own_size(obj)
                below.extend(other for other in gc.get_referents(obj) if id(other) in self.new or _is_leaf(other))
            level = below
        return total

    @staticmethod
    def _where(objects: list[Any]) -> str | None:
        """Return the line that made one of the objects, the first of the program's own; else one of a library."""
        import tracemalloc

        other = None
        for obj in objects:
            trace = tracemalloc.get_object_traceback(obj) if tracemalloc.is_tracing() else None
            for frame in reversed(trace or ()):
                if is_own_code(frame.filename):
                    return f"{frame.filename}:{frame.lineno}"
                other = other or f"{frame.filename}:{frame.lineno}"
        return other


def _is_leaf(obj: Any) -> bool:
    """Whether it is a text that may be large and that nothing else is likely to share."""
    return type(obj) is bytes or type(obj) is bytearray or (type(obj) is str and len(obj) > 64) or type_name(obj) == "ndarray"


_flags: Final[Any] = type.__dict__["__flags__"].__get__


def _is_telling(obj: Any) -> bool:
    """Whether an object is of a class made by a class statement outside of the standard library, or an exception."""
    import sys

    cls = type(obj)
    if is_class(obj):
        return False
    module = type.__dict__["__module__"].__get__(cls)
    if not _flags(cls) & 1 << 9 or type(module) is not str:
        return any(base is BaseException for base in cls.__mro__) if cls.__class__ is type else False
    return module.partition(".")[0] not in sys.stdlib_module_names
