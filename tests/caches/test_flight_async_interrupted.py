"""SingleFlight.ado() with interrupts, finalisers and the collector in its worst places."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from collections.abc import Generator
from typing import Any

import pytest
from helpers.aio import LIMIT, run, turns
from helpers.aio_flights import Slow, ask, never, outcomes
from helpers.flights import tried
from helpers.interject import Striker

from safemem import SingleFlight
from safemem.caches import circles

needs_eager_tasks = pytest.mark.skipif(not hasattr(asyncio, "eager_task_factory"), reason="this Python has no eager tasks")


class Soon:
    """Comes to a value after a turn of the loop; not a coroutine, which would complain if an interrupt kept it from being awaited."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __await__(self) -> Generator[Any, Any, Any]:
        yield
        return self.value


class Struck:
    """Awaits a coroutine, the first step of it under a tracer."""

    def __init__(self, coroutine: Any, striker: Striker) -> None:
        self.coroutine = coroutine
        self.striker = striker

    def __await__(self) -> Generator[Any, Any, Any]:
        steps = self.coroutine.__await__()
        try:
            first = self.striker.run(lambda: next(steps))
        except StopIteration as end:
            return end.value
        yield first
        return (yield from steps)


@pytest.fixture(autouse=True)
def rehearsal() -> None:
    """Some versions of Python trace the instructions of a function from its second run on."""
    asyncio.run(Struck(SingleFlight[str]().ado("key", lambda: Soon(1)), Striker(sys.maxsize)).coroutine)
    loop = asyncio.new_event_loop()
    Striker(sys.maxsize).run(lambda: loop.run_until_complete(SingleFlight[str]().ado("key", lambda: Soon(1))))
    loop.close()


class TestInterruptedAnywhere:
    """A KeyboardInterrupt between any two instructions of ours, which stops the loop."""

    # As anywhere, an interrupt may come in between the call of a coroutine function and the await.
    @pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
    @pytest.mark.parametrize("joining", [False, True])
    def test_and_the_loop_goes_on(self, joining: bool) -> None:
        """When it is run again, everybody gets a value or the interrupt, and the next who asks gets what he asked for."""
        struck, at = True, 0
        while struck:
            flights: SingleFlight[str] = SingleFlight()
            striker = Striker(at)
            loop = asyncio.new_event_loop()
            loop.set_exception_handler(lambda *_: None)
            tasks = [loop.create_task(flights.ado("key", lambda: Soon("value"))) for _ in range(1 + joining)]
            tried(striker.run, lambda loop=loop, tasks=tasks: loop.run_until_complete(asyncio.wait(tasks)))
            struck, at = striker.struck, at + 1
            while not all(task.done() for task in tasks):
                tried(loop.run_until_complete, asyncio.wait(tasks, timeout=5))  # stopped again by each task that raises the interrupt
            assert {type(task.exception()) for task in tasks} <= {type(None), KeyboardInterrupt}, at
            assert {task.result() for task in tasks if task.exception() is None} <= {"value"}, at
            # A flight whose owner was interrupted just then goes on.
            loop.run_until_complete(asyncio.wait_for(flights.ado("key", lambda: Soon("value")), LIMIT))
            assert loop.run_until_complete(asyncio.wait_for(flights.ado("key", lambda: Soon("fresh")), LIMIT)) == "fresh", at
            assert not flights._loops, at
            assert all(wait.over for wait in circles.here().waits), at
            loop.close()
        assert at > 20


class TestInterjections:
    """Something that happens between any two instructions of ours."""

    @needs_eager_tasks
    def test_a_flight_that_comes_and_goes(self) -> None:
        """A finaliser that starts a task which is done at once leaves the flight it interrupted where others find it."""

        async def main(at: int) -> bool:
            flights: SingleFlight[str] = SingleFlight()
            others: list[asyncio.Task[str]] = []
            slow = Slow()

            async def at_once() -> str:
                return "other"

            striker = Striker(at, lambda: others.append(asyncio.ensure_future(flights.ado("other", at_once))))
            first = asyncio.ensure_future(_wrapped(Struck(flights.ado("key", slow), striker)))
            second = (await ask(flights, 1, never))[0]
            slow.leave.set()
            assert await first is await second
            assert await outcomes(others) == ["other"] if striker.struck else not others
            assert not flights._loops
            return striker.struck

        at = 0
        while run(lambda at=at: main(at), factory=asyncio.eager_task_factory):
            at += 1
        assert at > 20


async def _wrapped(awaitable: Any) -> Any:
    return await awaitable


class TestCollected:
    """Flights that nobody can reach any more."""

    @pytest.mark.parametrize("elsewhere", [False, True])
    def test_while_their_loop_goes_on(self, elsewhere: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        """They go, with what asyncio says about any such task and nothing else, whichever thread collects them."""
        raised: list[Any] = []
        said: list[str] = []
        monkeypatch.setattr(sys, "unraisablehook", raised.append)

        async def abandon() -> None:
            flights: SingleFlight[str] = SingleFlight()
            await ask(flights, 2, asyncio.get_running_loop().create_future)

        async def main() -> None:
            loop = asyncio.get_running_loop()
            loop.set_debug(True)  # then it minds the wrong thread
            loop.set_exception_handler(lambda _loop, context: said.append(context["message"]))
            await abandon()
            if elsewhere:
                collecting = threading.Thread(target=gc.collect)
                collecting.start()
                collecting.join()
            else:
                gc.collect()
            await turns()

        asyncio.run(main())
        gc.collect()
        assert not raised
        assert set(said) == {"Task was destroyed but it is pending!"}
