"""Single flight: one run of a function for everybody who asks for the same thing at the same time.

A flight is one such run. Whoever finds none under way for a key leads one; whoever finds one joins it and waits. Nothing is cached: a flight
is forgotten when it lands, and the next who asks leads another. Threads look for each other's flights in one list, the tasks of an event
loop in a table of that loop; who waits for whom, and whether that makes a circle, is the business of `safemem.caches.circles`.

There is no lock around the list of flights, for the reasons given there. It is right without one:

* Who wants to lead first locks the gate of a flight of its own, then appends the flight to the list, then looks for the first flight of
  that key in the list. If that is its own, it leads; else it withdraws and joins. Appending is atomic and the list keeps its order, so of
  all who come at the same time exactly one finds itself first.
* A flight stays in the list for as long as its gate is locked, and waiting means passing through the gate. The `with` statement that holds
  the gate lets go of it whatever happens, a KeyboardInterrupt between any two instructions included; a flight that ended so has no outcome,
  which makes those who waited ask again. A waiter that a signal interrupts changes nothing for the others.
* Lists compare flights by identity. A key's `__hash__` runs once per call, before anything has begun, and its `__eq__` runs only in order
  to look for flights of the same hash, in the middle of nothing; no user code runs when a flight lands, and a key may change meanwhile.
* An exception leads by its traceback to frames and from there to their variables. So a variable of ours that refers to a flight, or to an
  exception, is deleted before its frame ends.
"""

from __future__ import annotations

from _thread import allocate_lock
from typing import TYPE_CHECKING, Any, Final, Generic, NoReturn, TypeVar

from safemem._compat import K
from safemem.caches.circles import Run, here, innermost, wait_for

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future, Task
    from collections.abc import Awaitable, Callable
    from types import TracebackType

    from safemem.caches.circles import Thread

__all__ = ["SingleFlight"]

F = TypeVar("F", bound="_Flight")
R = TypeVar("R")

_NOTHING: Final = object()


class _Flight:
    """One run of a function, for those who take part in it; nobody else refers to it for long."""

    __slots__ = ("digest", "failure", "key", "run", "value")

    def __init__(self, key: object, digest: int, run: Run) -> None:
        self.key = key
        self.digest = digest
        self.run = run
        self.value: Any = _NOTHING
        self.failure: _Failure | None = None


class _Failure:
    """An exception as it was when the function had failed."""

    __slots__ = ("context", "error", "traceback")

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.traceback: TracebackType | None = error.__traceback__
        self.context = error.__context__


class SingleFlight(Generic[K]):
    """Run a function once for everybody who asks for the same key at the same time.

    `do(key, func)` is for threads, `await ado(key, coro_func)` for asyncio. Nothing is cached: when the run has ended, the next call runs again.

    An `Exception` reaches everybody who waits: one object, with the traceback of the failure. A `BaseException`, such as KeyboardInterrupt
    or a coroutine's own CancelledError, reaches only its own caller, and one of those who wait takes over with the function it brought.
    RecursionError if a function asks for its own key, or if threads or tasks would wait for each other in a circle, through however many
    objects of this class: for the one that would close the circle. What a function starts (a thread or task that inherits its context) counts
    as a part of it until it has returned.

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
        self._flights: list[_Flight] = []
        self._loops: dict[AbstractEventLoop, _Table] = {}

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
            msg = f"func must be callable, got {func!r}"
            raise TypeError(msg)
        digest = hash(key)
        thread = here()
        flights = self._flights
        mine = flight = None
        try:
            while True:
                flight = _find(flights, key, digest) if flights else None
                if flight is None:
                    mine = _Flight(key, digest, Run(thread, allocate_lock()))
                    flight = _lead(flights, mine, func)
                    if flight is mine:
                        return mine.value  # type: ignore[no-any-return]
                    mine = None
                _pass_gate(flight.run, key, thread)
                if flight.failure is not None:
                    _raise_again(flight.failure)
                if flight.value is not _NOTHING:
                    return flight.value  # type: ignore[no-any-return]
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
            msg = f"coro_func must be callable, got {coro_func!r}"
            raise TypeError(msg)
        digest = hash(key)
        from asyncio import CancelledError, get_running_loop

        loop = get_running_loop()
        flight = None
        try:
            while True:
                table = self._table(loop)
                bucket = table.get(digest)
                flight = _find(bucket, key, digest) if bucket else None
                mine = flight is None
                if flight is None:
                    flight = _launch(_TaskFlight(key, digest, table), coro_func)
                try:
                    await _landing(flight, mine)
                finally:
                    if mine:
                        _raise_own(flight)
                if flight.failure is not None:
                    _raise_again(flight.failure)
                if flight.value is not _NOTHING:
                    return flight.value  # type: ignore[no-any-return]
                if mine:
                    raise CancelledError  # by somebody who got hold of the task before it began
        finally:
            del flight

    def _table(self, loop: AbstractEventLoop) -> _Table:
        loops = self._loops
        table = loops.get(loop)
        if table is None:
            for other in [*loops]:  # a loop that was closed in the middle of its flights, or left behind by a fork
                table = loops.get(other)
                if table is not None and (other.is_closed() or not table.thread.lives()):
                    loops.pop(other, None)
            table = loops.setdefault(loop, _Table(loop, loops))
        return table

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return type(self), ()  # flights belong to the threads and loops they are in

    def __repr__(self) -> str:
        flights = [*self._flights]
        for table in [*self._loops.values()]:
            for bucket in [*table.values()]:
                flights += bucket
        return f"<{type(self).__name__}: {sum(flight.run.goes_on() for flight in flights)} in progress>"


def _find(flights: list[F], key: object, digest: int) -> F | None:
    """Return the first flight of a key that is under way, and take out what is left of those that ended strangely or stayed in a parent."""
    for flight in [*flights]:
        if flight.digest == digest and (flight.key is key or flight.key == key) and flight.run.goes_on():
            return flight
        if not flight.run.goes_on():
            _remove(flights, flight)
    return None


def _remove(flights: list[F], flight: F) -> None:
    try:
        flights.remove(flight)
    except ValueError:  # somebody else was faster
        pass


def _raise_again(failure: _Failure) -> NoReturn:
    error = failure.error
    try:
        raise error.with_traceback(failure.traceback)
    finally:
        error.__context__ = failure.context  # not what this one of its many callers was handling at the time
        del error, failure


# -- threads --------------------------------------------------------------------------------------------------------------------------


def _lead(flights: list[_Flight], mine: _Flight, func: Callable[[], Any]) -> _Flight:
    """Run the function and return the flight, landed; or return another one that was first."""
    run = mine.run
    first = None
    with run.gate:  # type: ignore[union-attr]
        try:
            flights.append(mine)
            if flights[0] is not mine:
                first = _find(flights, mine.key, mine.digest)
                if first is not None and first is not mine:
                    return first
            token = innermost.set(run)
            try:
                mine.value = func()
            except Exception as error:
                mine.failure = _Failure(error)
                raise
            finally:
                innermost.reset(token)
                del token
            return mine
        finally:
            _remove(flights, mine)
            run.ended = True
            del mine, first


def _pass_gate(run: Run, key: object, thread: Thread) -> None:
    with wait_for(run, key, thread), run.gate:  # type: ignore[union-attr]
        run.ended = True  # its leader has said so, unless a signal came in between


# -- asyncio --------------------------------------------------------------------------------------------------------------------------


class _Table(dict[int, "list[_TaskFlight]"]):
    """The flights of one event loop, by hash; used by the thread of the loop alone."""

    __slots__ = ("loop", "loops", "thread")

    def __init__(self, loop: AbstractEventLoop, loops: dict[AbstractEventLoop, _Table]) -> None:
        super().__init__()
        self.loop = loop
        self.loops = loops
        self.thread = here()

    def drop(self, flight: _TaskFlight) -> None:
        """Take a flight out, if it is in; the last one takes the table with it, so that nothing holds the loop."""
        bucket = self.get(flight.digest)
        if bucket is not None:
            _remove(bucket, flight)
            if not bucket:
                del self[flight.digest]
        if not self:
            self.loops.pop(self.loop, None)


class _TaskFlight(_Flight):
    """A flight that is a task of its own; everybody who waits has a seat, the one who started it too."""

    __slots__ = ("fatal", "owned", "seats", "table", "task")

    def __init__(self, key: object, digest: int, table: _Table) -> None:
        super().__init__(key, digest, Run(table.thread, None))
        self.table: _Table | None = table
        self.task: Task[None] | None = None
        self.seats: set[Future[None]] = set()
        self.owned = True
        self.fatal: BaseException | None = None

    def land(self, _task: object = None) -> None:
        """Wake everybody who waits; the second time nothing happens."""
        table = self.table
        if table is None:
            return
        table.drop(self)
        if not table.loop.is_closed():
            for seat in [*self.seats]:
                if not seat.done():
                    seat.set_result(None)
        self.run.ended = True
        self.seats.clear()
        self.table = self.task = None

    def give_up(self) -> None:
        """Cancel the task because nobody waits; who asks now gets a new one."""
        table, task = self.table, self.task
        if table is None or task is None:
            return
        table.drop(self)
        if not table.loop.is_closed() and not task.cancelling():  # a second cancellation would interrupt its clean-up
            task.cancel()


def _launch(flight: _TaskFlight, coro_func: Callable[[], Awaitable[Any]]) -> _TaskFlight:
    table = flight.table
    assert table is not None
    table.setdefault(flight.digest, []).append(flight)
    flying = _fly(flight, coro_func)
    try:
        task = table.loop.create_task(flying)
        if not flight.run.ended:  # an eager task may have
            flight.task = task
            task.add_done_callback(flight.land)  # it may be cancelled before it began
    except BaseException:
        flying.close()
        flight.land()
        raise
    return flight


async def _fly(flight: _TaskFlight, coro_func: Callable[[], Awaitable[Any]]) -> None:
    innermost.set(flight.run)  # in the task's own context
    try:
        flight.value = await _call(coro_func)
    except Exception as error:  # noqa: BLE001 - everybody who waits raises it
        flight.failure = _Failure(error)
    except BaseException as error:
        if not flight.owned:
            raise
        flight.fatal = error
    finally:
        flight.land()
        del flight


async def _call(coro_func: Callable[[], Awaitable[Any]]) -> Any:
    # A coroutine of its own, because a StopIteration can leave none: it comes out as the RuntimeError that everybody knows.
    from inspect import isawaitable

    awaitable = coro_func()
    if not isawaitable(awaitable):
        msg = f"coro_func must return an awaitable, got {awaitable!r}"
        raise TypeError(msg)
    return await awaitable


async def _landing(flight: _TaskFlight, mine: bool) -> None:
    try:
        if flight.run.ended:
            return
        if mine:
            await _sit(flight)
        else:
            with wait_for(flight.run, flight.key, None):
                await _sit(flight)
    finally:
        del flight


async def _sit(flight: _TaskFlight) -> None:
    """Wait until the flight has landed; the last one to leave before that cancels it."""
    from asyncio import CancelledError

    assert flight.table is not None
    loop = flight.table.loop
    seat = loop.create_future()
    flight.seats.add(seat)
    try:
        await seat
    except BaseException as reason:
        flight.seats.discard(seat)
        if flight.seats or flight.run.ended:
            raise
        flight.give_up()
        if not isinstance(reason, CancelledError):
            raise
        await _see_off(flight, loop)
        if flight.failure is None:
            raise
    finally:
        flight.seats.discard(seat)
        del flight, seat


async def _see_off(flight: _TaskFlight, loop: AbstractEventLoop) -> None:
    """Wait until a cancelled flight has ended, and pass on any further cancellation, as a plain await would."""
    from asyncio import CancelledError

    try:
        while not flight.run.ended:
            seat = loop.create_future()
            flight.seats.add(seat)
            try:
                await seat
            except CancelledError:
                if flight.task is not None:
                    flight.task.cancel()
            finally:
                flight.seats.discard(seat)
    finally:
        del flight


def _raise_own(flight: _TaskFlight) -> None:
    """Raise in the one who started a flight what is meant for nobody else."""
    flight.owned = False
    fatal, flight.fatal = flight.fatal, None
    if fatal is None:
        return
    try:
        raise fatal
    finally:
        del flight, fatal
