"""Flights of asyncio: one task for everybody in an event loop who asks for the same thing at the same time.

All of this runs in the thread of the loop, so what has no `await` in it happens in one go; only a finaliser or a signal may come in between.
The exception is a coroutine that the collector closes, which may be in any thread; what that does to the loop, it leaves to the loop's thread.
The task keeps no result and raises nothing, so asyncio has nothing to complain about when nobody is left to look at it. Everybody who waits has
a future of its own, a seat, so that cancelling one is of no concern to the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safemem.caches.circles import Run, Waiting, here, innermost
from safemem.caches.outcomes import NOTHING, Failure, Flight, remove

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future, Task
    from collections.abc import Awaitable, Callable

__all__ = ["Table", "TaskFlight", "landing", "launch", "raise_own"]


class Table(dict[int, "list[TaskFlight]"]):
    """The flights of one event loop, by hash; used by the thread of the loop alone."""

    __slots__ = ("loop", "loops", "thread")

    def __init__(self, loop: AbstractEventLoop, loops: dict[AbstractEventLoop, Table]) -> None:
        super().__init__()
        self.loop = loop
        self.loops = loops
        self.thread = here()

    def add(self, flight: TaskFlight) -> None:
        """Put a flight in; a flight of a finaliser's that comes and goes meanwhile may drop what is still empty, so it is put back."""
        bucket = self.setdefault(flight.digest, [])
        bucket.append(flight)
        self.setdefault(flight.digest, bucket)
        self.loops.setdefault(self.loop, self)

    def drop(self, flight: TaskFlight) -> None:
        """Take a flight out, if it is in; the last one takes the table with it, so that nothing holds the loop."""
        bucket = self.get(flight.digest)
        if bucket is not None:
            remove(bucket, flight)
            if not bucket:
                del self[flight.digest]
        if not self and self.loops.get(self.loop) is self:
            self.loops.pop(self.loop, None)


class TaskFlight(Flight):
    """A flight that is a task of its own; everybody who waits has a seat, the one who started it too."""

    __slots__ = ("fatal", "owned", "seats", "table", "task")

    def __init__(self, key: object, digest: int, table: Table) -> None:
        super().__init__(key, digest, Run(table.thread, None))
        self.table: Table | None = table
        self.task: Task[None] | None = None
        self.seats: set[Future[None]] = set()
        self.owned = True
        self.fatal: BaseException | None = None

    def land(self, task: Task[None] | None = None) -> None:
        """Wake everybody who waits; the second time nothing happens. With the task: it is done, whatever has become of `_fly()`."""
        table = self.table
        if table is None:
            return
        if task is not None and self.value is NOTHING and self.failure is None and self.fatal is None:
            from asyncio import CancelledError

            # Somebody got hold of the task and cancelled it before it began, or an interrupt stopped `_fly()` on its way in.
            self.fatal = (None if task.cancelled() else task.exception()) or CancelledError()
        table.drop(self)
        _in_loop(table.loop, _wake, [*self.seats])
        if self.task is not None:
            self.task.remove_done_callback(self.land)  # which would hold the value until the loop comes by
        self.run.ended = True
        self.seats.clear()
        self.table = self.task = None

    def give_up(self) -> None:
        """Cancel the task because nobody waits; who asks now gets a new one."""
        table, task = self.table, self.task
        if table is None or task is None:
            return
        table.drop(self)
        if not task.cancelling():  # a second cancellation would interrupt its clean-up
            _in_loop(table.loop, task.cancel)


def _wake(seats: list[Future[None]]) -> None:
    for seat in seats:
        if not seat.done():
            seat.set_result(None)


def _in_loop(loop: AbstractEventLoop, function: Callable[..., object], *args: object) -> None:
    """Do something to what belongs to a loop: at once if this is the running loop, else in its next turn, if it ever has one."""
    from asyncio import _get_running_loop

    if _get_running_loop() is loop:
        function(*args)
    elif not loop.is_closed():
        loop.call_soon_threadsafe(function, *args)


def launch(key: object, digest: int, table: Table, coro_func: Callable[[], Awaitable[Any]]) -> TaskFlight:
    """Put a new flight into its table and start its task."""
    flight = TaskFlight(key, digest, table)
    flying = _fly(flight, coro_func)
    try:
        table.add(flight)
        task = table.loop.create_task(flying)
        if not flight.run.ended:  # an eager task may have
            flight.task = task
            task.add_done_callback(flight.land)
    except BaseException:
        flight.land()
        flying.close()
        raise
    return flight


async def _fly(flight: TaskFlight, coro_func: Callable[[], Awaitable[Any]]) -> None:
    innermost.set(flight.run)  # in the task's own context
    try:
        flight.value = await _call(coro_func)
    except Exception as error:  # noqa: BLE001 - everybody who waits raises it
        flight.failure = Failure(error)
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

    awaitable: Any = coro_func()
    if not isawaitable(awaitable):
        msg = f"coro_func must return an awaitable, got {awaitable!r}"
        raise TypeError(msg)
    return await awaitable


async def landing(flight: TaskFlight, mine: bool) -> None:
    """Wait until a flight has landed; `mine`: the one who waits started it, so it cannot close a circle."""
    waiting = None
    try:
        if flight.run.ended:
            return
        if not mine:
            waiting = Waiting(flight.run, flight.key, None)
            waiting.begin()
        await _sit(flight)
    finally:
        if waiting is not None:
            waiting.wait.over = True
            waiting.end()
        del flight, waiting


async def _sit(flight: TaskFlight) -> None:
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


async def _see_off(flight: TaskFlight, loop: AbstractEventLoop) -> None:
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


def raise_own(flight: TaskFlight) -> None:
    """Raise in the one who started a flight what is meant for nobody else."""
    flight.owned = False
    fatal, flight.fatal = flight.fatal, None
    if fatal is None:
        return
    try:
        raise fatal
    finally:
        del flight, fatal
