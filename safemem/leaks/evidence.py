"""One more call of a function that leaks, looked at closely: what came to each container, what that keeps, and which line made it."""

from __future__ import annotations

import atexit
import gc
import sys
from collections import Counter
from typing import Any, Final, NamedTuple

from safemem._graph import class_of, mro_of, type_name
from safemem.leaks.heap import census, referents_of
from safemem.leaks.names import describe, is_class
from safemem.leaks.places import is_own_code, place_of_function
from safemem.leaks.roots import is_module
from safemem.leaks.sizes import own_size

__all__ = ["Evidence", "ExitHandlers", "Sample"]

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


class ExitHandlers:
    """Which exit handlers come and go while a function is looked at closely: atexit itself cannot be asked."""

    __slots__ = ("_before", "gone", "names")

    def __init__(self) -> None:
        self._before: tuple[Any, Any] | None = None
        self.names: Counter[tuple[str, str | None]] = Counter()  # of those that came, each with its place
        self.gone = 0

    def begin(self) -> None:
        """Listen from now on."""
        register, unregister = self._before = atexit.register, atexit.unregister

        def registering(func: Any, /, *args: Any, **kwargs: Any) -> Any:
            self.names[describe(func), place_of_function(func)] += 1
            return register(func, *args, **kwargs)

        def unregistering(func: Any, /) -> None:
            self.gone += 1
            unregister(func)

        atexit.register, atexit.unregister = registering, unregistering

    @property
    def more(self) -> int:
        """How many came that did not go."""
        return self.names.total() - self.gone

    def end(self) -> None:
        """Listen no more."""
        if self._before is not None:
            atexit.register, atexit.unregister = self._before
            self._before = None


class Evidence:
    """What a few calls leave behind. It refers to what it has found, and is to be dropped soon."""

    __slots__ = ("_calls", "_started", "_table", "_traced", "exits", "new")

    def __init__(self, calls: int) -> None:
        self._calls = calls
        self.new: dict[int, Any] = {}
        self._table: Any = None
        self._started = False
        self._traced = False
        self.exits = ExitHandlers()

    @classmethod
    def of(cls, new: list[Any], *, traced: bool) -> Evidence:
        """Return what is known without looking closely: only what is new, and if tracemalloc was on, its lines."""
        evidence = cls(1)
        evidence._traced = traced
        evidence.new = {id(obj): obj for obj in new}
        return evidence

    def begin(self) -> None:
        """Look closely from now on, until `close()`."""
        import tracemalloc

        self.exits.begin()
        self._table = census(gc.get_objects())[0]
        self._started = not tracemalloc.is_tracing()
        if self._started:
            tracemalloc.start(_FRAMES)

    def gather(self) -> None:
        """Find what the calls since then have left behind."""
        self.exits.end()
        gc.collect()
        self.new = {id(obj): obj for obj in census(gc.get_objects(), self._table, fresh=True)[2]}
        self._table = None

    def close(self) -> None:
        """Let go of everything, and turn tracemalloc off if it was."""
        self.exits.end()
        self.new.clear()
        if self._started:
            import tracemalloc

            tracemalloc.stop()

    def sample(self, container: Any) -> Sample:
        """Return what has come to a container."""
        referents = _in_order(container)
        elements = self._new_among([*referents[-_LOOKED_AT:], *referents[:_LOOKED_AT]]) or self._new_among(referents)
        elements = elements or referents[-2:]
        tail = self._tail(container, elements)
        return Sample(
            elements[:50],
            tail,
            self._weigh(elements) // self._calls,
            self._where([*tail[1:], *elements[:20], *(other for obj in elements[:3] for other in referents_of(obj)[:5])]),
        )

    def of_slot(self, content: Any) -> Sample:
        """Return the same for a text or container that takes the place of a smaller one."""
        referents = _in_order(content)[-_LOOKED_AT:]
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
                for other in referents_of(obj):
                    if id(other) not in parents and id(other) in self.new and not is_module(other):
                        parents[id(other)] = obj
                        below.append(other)
            level = below[:_KEPT]
        first = next((obj for obj in start if gc.is_tracked(obj) and not is_module(obj) and not is_class(obj)), None)
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
                below.extend(other for other in referents_of(obj) if id(other) in self.new or _is_leaf(other))
            level = below
        return total

    def _where(self, objects: list[Any]) -> str | None:
        """Return the line that made one of the objects, the first of the program's own; else one of a library."""
        import tracemalloc

        other = None
        for obj in objects:
            trace = tracemalloc.get_object_traceback(obj) if tracemalloc.is_tracing() else None
            for frame in reversed(trace or ()):
                if is_own_code(frame.filename):
                    return f"{frame.filename}:{frame.lineno}"
                other = other or f"{frame.filename}:{frame.lineno}"
        return other or (self._busiest_line() if self._started or self._traced else None)

    def _busiest_line(self) -> str | None:
        """Return the program's own line that made most of what is left, where objects cannot be asked (3.11) or took an old place."""
        import tracemalloc

        lines: Counter[str] = Counter()
        for trace in tracemalloc.take_snapshot().traces:
            own = next((frame for frame in reversed(trace.traceback) if is_own_code(frame.filename)), None)
            if own is not None:
                lines[f"{own.filename}:{own.lineno}"] += 1
        found = lines.most_common(1)
        return found[0][0] if found and found[0][1] >= self._calls else None


def _in_order(obj: Any) -> list[Any]:
    """Return the referents in the order in which they came, if there is one."""
    referents = referents_of(obj)
    if any(base is list or base is tuple for base in mro_of(class_of(obj))):  # which name the last first
        referents.reverse()
    return referents


def _is_leaf(obj: Any) -> bool:
    """Whether it is a text that may be large and that nothing else is likely to share."""
    return class_of(obj) is bytes or class_of(obj) is bytearray or (class_of(obj) is str and len(obj) > 64) or type_name(obj) == "ndarray"


_flags: Final[Any] = type.__dict__["__flags__"].__get__


def _is_telling(obj: Any) -> bool:
    """Whether an object is of a class made by a class statement outside of the standard library, or an exception."""
    cls = class_of(obj)
    if is_class(obj):
        return False
    module = type.__dict__["__module__"].__get__(cls)
    if not _flags(cls) & 1 << 9 or class_of(module) is not str:
        return any(base is BaseException for base in mro_of(cls))
    return module.partition(".")[0] not in sys.stdlib_module_names
