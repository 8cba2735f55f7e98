"""no_cycles: the proof that a block of code leaves nothing behind that only the garbage collector can free."""

from __future__ import annotations

import functools
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, overload

from safemem._graph import type_name
from safemem.core import new_lock

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

__all__ = ["no_cycles"]

P = ParamSpec("P")
T = TypeVar("T")


@overload
def no_cycles(func: Callable[P, T], /) -> Callable[P, T]: ...


@overload
def no_cycles(func: None = None, /, *, ignore: type | tuple[type, ...] = (), limit: int = 5) -> Guard: ...


def no_cycles(func: Any = None, /, *, ignore: type | tuple[type, ...] = (), limit: int = 5) -> Any:
    """Raise AssertionError if a block, or each call of a function, leaves reference cycles behind.

    A context manager, and a decorator for functions and coroutine functions, with or without parentheses; tests written for pytest have a
    fixture of that name. The message says of each cycle by which attributes, keys or variables it goes, and how many objects of which types
    are in it; and if `tracemalloc` is on, which line made them.

    What is still referred to when the block ends is not garbage: have the block call a function, or delete its variables. Cycles that
    were there before the block, those of classes that are made in it, and a block that raises are let pass. The collector, which runs
    before and after, is off in the block, and what others do meanwhile, threads and tasks, counts too. Blocks may be nested: what an
    inner one has told of is not told again. At the end the collector is as it was, and what was found is freed. Not seen are cycles that
    a finaliser of their own breaks when the collector calls it, such as that of a suspended generator.

    Args:
        func: the function, for `@no_cycles` without parentheses.
        ignore: a class or several; a cycle with an instance of any of them is let pass.
        limit: how many cycles are described.

    >>> class Node:
    ...     def __init__(self, parent=None):
    ...         self.children = []
    ...         if parent is not None:
    ...             self.parent = parent
    ...             parent.children.append(self)
    >>> with no_cycles():
    ...     node = Node()
    ...     del node
    >>> with no_cycles():
    ...     node = Node(Node())
    ...     del node
    Traceback (most recent call last):
    ...
    AssertionError: the block left 1 reference cycle (3 objects: 2 Node, 1 list):
      Node.children -> list[0] -> Node.parent -> the same Node
    """
    ignored: Any = (ignore,) if isinstance(ignore, type) else ignore
    if not isinstance(ignored, tuple) or not all(isinstance(cls, type) for cls in ignored):  # pyright: ignore[reportUnknownVariableType]
        msg = f"ignore must be a class or a tuple of classes, got {ignore!r}"
        raise TypeError(msg)
    if type(limit) is not int or limit < 1:
        msg = f"limit must be an int >= 1, got {limit!r}"
        raise ValueError(msg)
    guard = Guard(ignored, limit)  # pyright: ignore[reportUnknownArgumentType]
    return guard if func is None else guard(func)


no_cycles.__module__ = "safemem"


class _Collector:
    """The collector while any block is being watched: off, and saving what it finds. The last one out leaves it as it was."""

    __slots__ = ("before", "blocks", "lock")

    def __init__(self) -> None:
        self.blocks = 0
        self.lock: Any = None
        self.before: Any = None

    def enter(self) -> None:
        import gc

        self.lock = self.lock or new_lock()  # made with the first block: importing changes nothing in the process
        with self.lock:
            if not self.blocks:
                self.before = gc.isenabled(), gc.get_debug(), gc.get_threshold()
                gc.disable()
            self.blocks += 1

    def watch(self) -> None:
        """Have it save what it finds, whatever the block did to it."""
        import gc

        gc.disable()
        gc.set_debug(gc.get_debug() | gc.DEBUG_SAVEALL)

    def let_go(self) -> None:
        """Free what was found, without saving it once more."""
        import gc

        gc.set_debug(gc.get_debug() & ~gc.DEBUG_SAVEALL)
        gc.collect()

    def leave(self) -> None:
        import gc

        with self.lock:
            self.blocks -= 1
            if self.blocks:
                self.watch()
                return
            enabled, flags, thresholds = self.before
            gc.set_debug(flags)
            gc.set_threshold(*thresholds)
            if enabled:
                gc.enable()
            else:
                gc.disable()


_collector: Final = _Collector()


class Guard:
    """A watched block; may be used again, and within itself."""

    __slots__ = ("_ignore", "_known", "_limit")

    def __init__(self, ignore: tuple[type, ...], limit: int) -> None:
        self._ignore = ignore
        self._limit = limit
        self._known: list[list[Any]] = []  # what the collector had saved already, for each block that has been entered

    def __enter__(self) -> Self:
        import gc

        _collector.enter()
        try:
            gc.collect()  # what an outer block has left goes to its own account
            self._known.append([*gc.garbage])
            _collector.watch()
        except BaseException:
            _collector.leave()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, traceback: object, /) -> None:
        __tracebackhide__ = True  # pytest shows the line that was watched, not this one
        known = self._known.pop()
        problem = None
        try:
            problem = self._examine(known, told=kind is None)
        finally:
            known.clear()
            _collector.leave()
        if problem is not None:
            raise AssertionError(problem)

    def _examine(self, known: list[Any], *, told: bool) -> str | None:
        """Return what is wrong with what the block has left, in words, and let go of it."""
        import gc

        _collector.watch()
        if told:
            gc.collect()
        old = set(map(id, known))
        found = [obj for obj in gc.garbage if id(obj) not in old]
        try:
            return _report(found, self._ignore, self._limit) if told and found else None
        finally:
            gc.garbage[:] = [obj for obj in gc.garbage if id(obj) in old]
            if found:
                found.clear()
                _collector.let_go()

    def __call__(self, func: Callable[P, T], /) -> Callable[P, T]:
        """Return the function, each call of which is watched."""
        return self._around(func)  # type: ignore[no-any-return]

    def _around(self, func: Any) -> Any:
        if not callable(func):
            msg = f"func must be callable, got {func!r}"
            raise TypeError(msg)
        flags = getattr(getattr(func, "__code__", None), "co_flags", 0)
        if flags & 0x220:  # CO_GENERATOR, CO_ASYNC_GENERATOR
            msg = f"{func!r} is a generator function: its body runs after the call; watch the code that consumes it"
            raise TypeError(msg)
        return _watched_coroutine_function(self, func) if flags & 0x180 else _watched_function(self, func)


def _watched_function(guard: Guard, func: Any) -> Any:
    @functools.wraps(func)
    def watched(*args: Any, **kwargs: Any) -> Any:
        with guard:
            return func(*args, **kwargs)

    return watched


def _watched_coroutine_function(guard: Guard, func: Any) -> Any:
    @functools.wraps(func)
    async def watched(*args: Any, **kwargs: Any) -> Any:
        with guard:
            return await func(*args, **kwargs)

    return watched


def _report(found: list[Any], ignore: tuple[type, ...], limit: int) -> str | None:
    from safemem.cycles.components import circles_in, is_instance, ways_round, without_namespaces

    circles = [circle for circle in circles_in(found) if not any(is_instance(obj, ignore) for obj in circle)]
    if not circles:
        return None
    ways: Counter[tuple[str, str | None]] = Counter()
    for circle in sorted(circles, key=len)[: 50 * limit]:
        ways.update(ways_round(circle, limit))
    types = Counter(type_name(obj) for circle in circles for obj in without_namespaces(circle))
    return "\n".join([_headline(len(circles), types), *_lines(ways, limit)])


def _headline(circles: int, types: Counter[str]) -> str:
    kinds = ", ".join(f"{count} {name}" for name, count in types.most_common(10))
    cycles = "1 reference cycle" if circles == 1 else f"{circles} reference cycles"
    objects = "1 object" if types.total() == 1 else f"{types.total()} objects"
    return f"the block left {cycles} ({objects}: {kinds}{', ...' if len(types) > 10 else ''}):"


def _lines(ways: Counter[tuple[str, str | None]], limit: int) -> list[str]:
    lines: list[str] = []
    for (words, place), count in ways.most_common(limit):
        times = f" ({count} times)" if count > 1 else ""
        where = "" if place is None else f", made at {place}"
        lines.append(f"  {words}{times}{where}")
    if len(ways) > limit:
        lines.append(f"  and {len(ways) - limit} more")
    return lines
