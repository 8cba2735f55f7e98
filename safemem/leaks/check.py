"""check_leaks and no_leaks: the verdict on a function, by rounds; and on a block, by what it leaves open."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from safemem._graph import class_of
from safemem.leaks.block import Block
from safemem.leaks.collector import QuietCollector
from safemem.leaks.names import describe
from safemem.leaks.report import LeakError, LeakReport
from safemem.leaks.rounds import Rounds
from safemem.leaks.watch import overdue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Literal, TypeAlias

    Cycles: TypeAlias = Literal["auto", "always", "never"]

__all__ = ["check_leaks", "no_leaks"]

P = ParamSpec("P")
T = TypeVar("T")


def check_leaks(
    func: Callable[[], object],
    *,
    rounds: int = 5,
    warmup: int = 2,
    ignore: Iterable[str] = (),
    resources: bool = True,
    cycles: Cycles = "auto",
) -> LeakReport:
    """Call a function in rounds, and report what grows in every one of them: who holds it, and what mends it.

    After `warmup` calls come `rounds` rounds of one call each. If nothing holds more after every single one, the function does not leak.
    Else come as many rounds of 8 calls, and three each of 64 and 512 calls if they are short; what does not grow in each of them, by half as
    much as there are calls, was a cache that filled up, and is not reported. Two calls more are looked at closely to see what came, and from
    which line. So a clean function is called seven times as a rule, a leaking one up to two thousand times. Cost: for a heap of a million objects
    about 0.6 s a round besides the function's own time, with the compiled core; 85 bytes an object for as long as it lasts.

    Found are containers that grow, followed by their identity; what a module, an object, a closure or a context holds and replaces by something
    larger, NumPy arrays among it; chains of objects; exit handlers; and with `resources`, files, sockets, maps, processes, threads, event loops and memory outside of
    Python. No code of the objects is run and none is kept. A coroutine function is run by an event loop of its own.

    Other threads may work meanwhile, but what they make grow in every round is reported as well. Not to be called from several threads at once.

    Args:
        func: called without arguments; what it raises ends the check.
        rounds: how many rounds there are of each length, at least 2.
        warmup: calls before the first round; more if something is made by and by and kept for good.
        ignore: signatures of leaks that are known, which are not reported (`leak.signature`).
        resources: whether to look for what stays open, too.
        cycles: reference cycles that are left to the collector. `"auto"` reports all if the collector is off, else those that keep an open resource
            and those of the program's own that keep something with a `__del__`; `"always"` and `"never"` mean what they say.

    Raises:
        TypeError, ValueError: an argument is not what it must be; nothing was called.

    >>> seen = []
    >>> def visit():
    ...     seen.append(object())
    >>> report = check_leaks(visit)
    >>> report.ok, report.leaks[0].kind
    (False, 'growth')
    >>> "seen" in report.leaks[0].holder
    True
    """
    _check_func(func)
    signatures = _check_arguments(rounds, warmup, ignore, cycles)
    with QuietCollector() as collector:
        check = Rounds(func, rounds, warmup, resources=resources, cycles=cycles, was_off=collector.was_off)
        if inspect.iscoroutinefunction(func):
            _run_async(check, func)
        else:
            for _ in check.run():
                func()
        leaks = [*check.leaks, *overdue()]
    return LeakReport(tuple(leaks), describe(func)).without(signatures)


check_leaks.__module__ = "safemem"


def _run_async(check: Rounds, func: Any) -> None:
    import asyncio

    with asyncio.Runner() as runner:
        for _ in check.run():
            runner.run(func())


def _check_func(func: object) -> None:
    if not callable(func):
        msg = f"func must be callable, got {func!r}"
        raise TypeError(msg)


def _check_arguments(rounds: Any, warmup: Any, ignore: Any, cycles: object) -> frozenset[str]:
    for name, value, least in (("rounds", rounds, 2), ("warmup", warmup, 0)):
        if class_of(value) is not int:
            msg = f"{name} must be an int, got {value!r}"
            raise TypeError(msg)
        if value < least:
            msg = f"{name} must be at least {least}, got {value!r}"
            raise ValueError(msg)
    if cycles not in {"auto", "always", "never"}:
        msg = f"cycles must be 'auto', 'always' or 'never', got {cycles!r}"
        raise ValueError(msg)
    return _signatures(ignore)


def _signatures(ignore: Any) -> frozenset[str]:
    if isinstance(ignore, str) or not hasattr(ignore, "__iter__"):
        msg = f"ignore must be an iterable of signatures, got {ignore!r}"
        raise TypeError(msg)
    found = frozenset(ignore)
    for signature in found:
        if not isinstance(signature, str):
            msg = f"ignore must hold signatures, which are strings, got {signature!r}"
            raise TypeError(msg)
    return found


@overload
def no_leaks(func: Callable[P, T], /) -> Callable[P, T]: ...


@overload
def no_leaks(
    func: None = None,
    /,
    *,
    rounds: int = 5,
    warmup: int = 2,
    ignore: Iterable[str] = (),
    resources: bool = True,
    cycles: Cycles = "always",
) -> NoLeaks: ...


def no_leaks(
    func: Any = None,
    /,
    *,
    rounds: int = 5,
    warmup: int = 2,
    ignore: Iterable[str] = (),
    resources: bool = True,
    cycles: Cycles = "always",
) -> Any:
    """Raise `LeakError` if a block leaves something open or a cycle behind, or if a function leaks in rounds.

    `with no_leaks():` watches one run of a block: what of files, sockets, maps, processes, threads and event loops is open at its end and was not
    before, objects given to `watch` and `watch_class` that are alive, and reference cycles of the program's own classes and functions. What an
    installed library makes and keeps for itself is not told: cycles, unless they keep something open, and a few connections of a pool. One run
    cannot tell what grows, and does not try. What ends by itself is waited for, two seconds at the most. A block that raises is not judged.

    `@no_leaks`, or `@no_leaks(rounds=5)`, on a function or coroutine function: each call of it is a check by `check_leaks`, which calls it with
    the same arguments many times; the result is that of the last call. Cycles are those that matter there, unless `cycles` says otherwise.

    The error is an AssertionError; its `report` has the leaks.

    >>> import os
    >>> with no_leaks():
    ...     file = open(os.devnull)
    Traceback (most recent call last):
    ...
    safemem.LeakError: 1 leak...
    >>> file.close()
    >>> @no_leaks(rounds=3)
    ... def handle(number):
    ...     return number + 1
    >>> handle(4)
    5
    """
    guard = NoLeaks(rounds, warmup, _check_arguments(rounds, warmup, ignore, cycles), resources=resources, cycles=cycles)
    return guard if func is None else guard._around(func, "auto")


no_leaks.__module__ = "safemem"


class NoLeaks:
    """A block that must leave nothing open, and a decorator for functions that must not leak; what `no_leaks` returns. May be nested."""

    __slots__ = ("_blocks", "_cycles", "_ignore", "_resources", "_rounds", "_warmup")

    def __init__(self, rounds: int, warmup: int, ignore: frozenset[str], *, resources: bool, cycles: Cycles) -> None:
        self._rounds = rounds
        self._warmup = warmup
        self._ignore = ignore
        self._resources = resources
        self._cycles: Cycles = cycles
        self._blocks: list[Block] = []

    def __enter__(self) -> None:
        block = Block(resources=self._resources, cycles=self._cycles)
        block.begin()
        self._blocks.append(block)

    def __exit__(self, kind: type[BaseException] | None, error: object, traceback: object, /) -> None:
        __tracebackhide__ = True  # pytest shows the line that was watched, not this one
        report = self._blocks.pop().end(told=kind is None).without(self._ignore)
        if not report.ok:
            raise LeakError(report)

    def __call__(self, func: Callable[P, T], /) -> Callable[P, T]:
        """Return the function, each call of which is a check."""
        return self._around(func, "auto" if self._cycles == "always" else self._cycles)  # type: ignore[no-any-return]

    def _around(self, func: Any, cycles: Cycles) -> Any:
        _check_func(func)
        if inspect.isgeneratorfunction(func) or inspect.isasyncgenfunction(func):
            msg = f"{func!r} is a generator function: its body runs after the call; check the code that consumes it"
            raise TypeError(msg)
        return (
            _checked_coroutine_function(self, func, cycles) if inspect.iscoroutinefunction(func) else _checked_function(self, func, cycles)
        )

    def _check(self, func: Any, cycles: Cycles, collector: QuietCollector) -> Rounds:
        return Rounds(func, self._rounds, self._warmup, resources=self._resources, cycles=cycles, was_off=collector.was_off)

    def _judge(self, check: Rounds, func: Any) -> None:
        report = LeakReport((*check.leaks, *overdue()), describe(func)).without(self._ignore)
        if not report.ok:
            raise LeakError(report)


def _checked_function(guard: NoLeaks, func: Any, cycles: Cycles) -> Any:
    @functools.wraps(func)
    def checked(*args: Any, **kwargs: Any) -> Any:
        result = None
        with QuietCollector() as collector:
            check = guard._check(func, cycles, collector)
            for _ in check.run():
                result = None
                result = func(*args, **kwargs)
            guard._judge(check, func)
        return result

    return checked


def _checked_coroutine_function(guard: NoLeaks, func: Any, cycles: Cycles) -> Any:
    @functools.wraps(func)
    async def checked(*args: Any, **kwargs: Any) -> Any:
        result = None
        with QuietCollector() as collector:
            check = guard._check(func, cycles, collector)
            for _ in check.run():
                result = None
                result = await func(*args, **kwargs)
            guard._judge(check, func)
        return result

    return checked
