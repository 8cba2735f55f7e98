"""Single flight: one run of a function for everybody who asks for the same thing at the same time.

A flight is one such run. Whoever finds none under way for a key leads one; whoever finds one joins it and waits. Nothing is cached: a flight
is forgotten when it lands, and the next who asks leads another. Threads look for each other's flights in one list, the tasks of an event
loop in a table of that loop; who waits for whom, and whether that makes a circle, is the business of `safemem.caches.circles`.

There is no lock around the list of flights, for the reasons given there. It is right without one:

* Who wants to lead first locks the gate of a flight of its own, then appends the flight to the list, then looks for the first flight of
  that key in the list. If that is its own, it leads; else it withdraws and joins. Appending is atomic and the list keeps its order, so of
  all who come at the same time exactly one finds itself first. Who has joined one that withdrew looks again, as after an interruption.
* A flight stays in the list for as long as its gate is locked, and waiting means passing through the gate. The `with` statement that holds
  the gate lets go of it whatever happens, a KeyboardInterrupt between any two instructions included; a flight that ended so has no outcome,
  which makes those who waited ask again. A waiter that a signal interrupts changes nothing for the others.
* A key's `__hash__` runs once per call, before anything has begun, its `__eq__` only while looking; a key may change while it flies.
"""

from __future__ import annotations

from _thread import allocate_lock
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from safemem._compat import K
from safemem.caches.circles import Run, Waiting, enter, here, leave
from safemem.caches.outcomes import NOTHING, Failure, Flight, find, raise_again, remove
from safemem.caches.taskflight import Table, TaskFlight, landing, launch, raise_own

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Awaitable, Callable

    from safemem.caches.circles import Thread

__all__ = ["SingleFlight"]

R = TypeVar("R")


class SingleFlight(Generic[K]):
    """Run a function once for everybody who asks for the same key at the same time.

    `do(key, func)` is for threads, `await ado(key, coro_func)` for asyncio. Nothing is cached: when the run has ended, the next call runs again.

    An `Exception` reaches everybody who waits: one object, with the traceback of the failure. A `BaseException`, such as KeyboardInterrupt
    or a coroutine's own CancelledError, reaches only its own caller, and one of those who wait takes over with the function it brought.
    RecursionError if a function asks for its own key, or if threads or tasks would wait for each other in a circle, through however many
    objects of this class: for the one that would close the circle. What a function starts (a thread or task that inherits its context) counts
    as a part of it until it has returned; on Python 3.11 only what a coroutine starts, and what a function does in its own thread.

    Safe to use from any number of threads, from finalisers and from signal handlers; no lock is held while a function runs. Threads and
    event loops never wait for each other: each runs a function of its own. In a forked child the runs of the parent's other threads do not
    exist. A copy, pickled or not, is a new object with nothing under way.

    >>> flights = SingleFlight()
    >>> flights.do("answer", lambda: 42)
    42
    >>> flights
    <SingleFlight: 0 in progress>
    """

    __module__ = "safemem"
    __slots__ = ("__weakref__", "_flights", "_loops")

    def __init__(self) -> None:
        self._flights: list[Flight] = []
        self._loops: dict[AbstractEventLoop, Table] = {}

    def do(self, key: K, func: Callable[[], R]) -> R:
        """Return the result of `func()`, called by this thread or by the one that is calling its function for this key already.

        Raises what that function raises if it is an Exception; TypeError for a key that is not hashable; RecursionError if this thread would
        wait for itself. Waits for as long as the function runs.

        >>> flights = SingleFlight()
        >>> flights.do("page", lambda: "what it says")
        'what it says'
        >>> flights.do("page", lambda: flights.do("page", str))
        Traceback (most recent call last):
        RecursionError: key 'page' is asked for inside its own func
        """
        if not callable(func):
            msg = f"func must be callable, got {func!r}"  # type: ignore[unreachable]
            raise TypeError(msg)
        digest = hash(key)
        thread = here()
        flights = self._flights
        mine = None
        flight = find(flights, key, digest) if flights else None
        try:
            if flight is None:
                mine = Flight(key, digest, Run(thread, allocate_lock()))
                flight = _lead(flights, mine, func, None)
            while flight is not mine:
                _pass_gate(flight.run, key, thread)
                if flight.failure is not None:
                    raise_again(flight.failure)
                if flight.value is not NOTHING:
                    return flight.value  # type: ignore[no-any-return]
                mine = Flight(key, digest, Run(thread, allocate_lock()))
                flight = _lead(flights, mine, func, flight)
            return mine.value  # type: ignore[no-any-return]
        finally:
            del mine, flight

    async def ado(self, key: K, coro_func: Callable[[], Awaitable[R]]) -> R:
        """Return the result of `await coro_func()`, awaited once for all tasks of this event loop that ask for the key meanwhile.

        It runs in a task of its own, in a copy of the context of the first who asked. Cancelling one of those who wait, the first one too,
        cancels nobody else. When the last one is cancelled, the coroutine is cancelled too, and that last one leaves when it has ended, as
        with a plain `await`; who asks in between gets a new run.

        Raises what the coroutine raises if it is an Exception; TypeError for a key that is not hashable, or for a result of `coro_func()` that
        cannot be awaited; RecursionError if this task would wait for itself; RuntimeError where no event loop is running.

        >>> import asyncio
        >>> flights = SingleFlight()
        >>> async def load():
        ...     print("loading")
        ...     await asyncio.sleep(0)
        ...     return "page"
        >>> async def main():
        ...     return await asyncio.gather(*(flights.ado("page", load) for _ in range(3)))
        >>> asyncio.run(main())
        loading
        ['page', 'page', 'page']
        """
        if not callable(coro_func):
            msg = f"coro_func must be callable, got {coro_func!r}"  # type: ignore[unreachable]
            raise TypeError(msg)
        digest = hash(key)
        flight = None
        try:
            while True:
                flight, mine = self._find_or_launch(key, digest, coro_func, flight)
                try:
                    await landing(flight, mine)
                finally:
                    if mine:
                        raise_own(flight)
                if flight.failure is not None:
                    raise_again(flight.failure)
                if flight.value is not NOTHING:
                    return flight.value  # type: ignore[no-any-return]
        finally:
            del flight

    def _find_or_launch(
        self, key: K, digest: int, coro_func: Callable[[], Awaitable[R]], old: TaskFlight | None
    ) -> tuple[TaskFlight, bool]:
        """Return a flight to wait for and whether it was launched by this call; `old`: the one that brought nothing."""
        if old is not None and old.heirs:
            return old.heirs[0], False
        from asyncio import get_running_loop

        loop = get_running_loop()
        flight = self._find_in_loop(loop, key, digest)
        mine = flight is None
        if flight is None:
            flight = launch(key, digest, self._table(loop), coro_func)
        if old is not None:
            old.heirs.append(flight)
        return flight, mine

    def _find_in_loop(self, loop: AbstractEventLoop, key: K, digest: int) -> TaskFlight | None:
        table = self._loops.get(loop)
        bucket = None if table is None else table.get(digest)
        return None if bucket is None else find(bucket, key, digest)

    def _table(self, loop: AbstractEventLoop) -> Table:
        loops = self._loops
        if loop not in loops:
            for other in [*loops]:  # closed in the middle of its flights, or left behind by a fork
                stale = loops.get(other)
                if stale is not None and (other.is_closed() or not stale.thread.lives()):
                    loops.pop(other, None)
        return loops.setdefault(loop, Table(loop, loops))

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return type(self), ()  # flights belong to the threads and loops they are in

    def __repr__(self) -> str:
        flights = [*self._flights]
        for table in [*self._loops.values()]:
            for bucket in [*table.values()]:
                flights += bucket
        return f"<{type(self).__name__}: {sum(flight.run.goes_on() for flight in flights)} in progress>"


def _lead(flights: list[Flight], mine: Flight, func: Callable[[], Any], old: Flight | None) -> Flight:
    """Run the function and return the flight, landed; or return another one that was first. `old`: the one that brought nothing."""
    run = mine.run
    first = None
    with run.gate:  # type: ignore[union-attr]
        try:
            if old is not None:
                old.heirs.append(mine)
                first = old.heirs[0]
                if first is not mine:
                    return first  # type: ignore[no-any-return]
            flights.append(mine)
            if flights[0] is not mine:
                first = find(flights, mine.key, mine.digest)
                if first is not None and first is not mine:
                    return first
            before = enter(run)
            try:
                mine.value = func()
            except Exception as error:
                mine.failure = Failure(error)
                raise
            finally:
                leave(before)
                del before
            return mine
        finally:
            remove(flights, mine)
            run.ended = True
            del mine, first, old


def _pass_gate(run: Run, key: object, thread: Thread) -> None:
    waiting = Waiting(run, key, thread)
    try:
        waiting.begin()
        with run.gate:  # type: ignore[union-attr]
            run.ended = True  # its leader has said so, unless a signal came in between
    finally:
        waiting.wait.over = True
        waiting.end()
