"""SingleFlight.ado() keeps nothing, and leaves nothing for the collector."""

from __future__ import annotations

import asyncio
import gc
import warnings
import weakref
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from helpers.aio import in_loop, run, turns
from helpers.aio_flights import Slow, ask, fail, never, outcomes
from helpers.collect import Thing, collector_off, freed_by_count

from safemem import SingleFlight


@contextmanager
def garbage() -> Iterator[Counter[str]]:
    """Count what the block leaves for the collector, by type."""
    found: Counter[str] = Counter()
    flags = gc.get_debug()
    with collector_off():
        gc.set_debug(gc.DEBUG_SAVEALL)
        kept = len(gc.garbage)
        try:
            yield found
            gc.collect()
            found.update(f"{type(item).__module__}.{type(item).__qualname__}" for item in gc.garbage[kept:])
        finally:
            gc.set_debug(flags)
            del gc.garbage[kept:]


async def settled(awaitable: Awaitable[Any]) -> None:
    """Await; whatever is raised is part of the programme."""
    try:
        await awaitable
    except BaseException:  # noqa: BLE001 - as the docstring says
        pass


def interrupt() -> Any:
    """Raise what is meant for one alone."""
    raise SystemExit


class TestLettingGo:
    """Nothing is kept, and nothing is left for the collector."""

    @pytest.mark.parametrize("then", [Thing, lambda: 1 // 0, interrupt], ids=["value", "failure", "interruption"])
    @pytest.mark.parametrize("victims", [(), (0,), (2,), (0, 1, 2)])
    def test_no_garbage(self, then: Callable[[], Any], victims: tuple[int, ...]) -> None:
        """However it ends, and whoever is cancelled, no more is left than by plain tasks that do the same."""
        flights: SingleFlight[str] = SingleFlight()

        async def main(asked: Callable[[Slow], Awaitable[Any]]) -> None:
            await settled(asked(Slow(interrupt)))
            slow = Slow(then)
            tasks = [asyncio.ensure_future(settled(asked(slow))) for _ in range(3)]
            await turns()
            for victim in victims:
                tasks[victim].cancel()
            slow.leave.set()
            await asyncio.wait(tasks)

        def left(asked: Callable[[Slow], Awaitable[Any]]) -> Counter[str]:
            loop = asyncio.new_event_loop()
            try:
                loop.run_until_complete(turns())
                with garbage() as found:
                    loop.run_until_complete(main(asked))
                return found
            finally:
                loop.close()

        async def through_flights(slow: Slow) -> Any:
            slow.leave.set() if slow.then is interrupt and not slow.runs else None
            return await flights.ado("key", slow)

        async def plainly(slow: Slow) -> Any:
            slow.leave.set() if slow.then is interrupt and not slow.runs else None
            return await slow()

        assert left(through_flights) - left(plainly) == Counter()

    def test_no_garbage_of_circles(self) -> None:
        """Refusals leave nothing either."""
        flights: SingleFlight[str] = SingleFlight()

        async def main() -> None:
            await settled(flights.ado("a", lambda: flights.ado("a", never)))
            await settled(flights.ado("a", lambda: flights.ado("b", lambda: flights.ado("a", never))))
            await settled(flights.ado("a", lambda: 3))
            await asyncio.gather(
                settled(flights.ado("a", lambda: flights.ado("b", lambda: flights.ado("a", never)))),
                settled(flights.ado("b", lambda: flights.ado("a", lambda: flights.ado("b", never)))),
            )

        loop = asyncio.new_event_loop()
        try:
            loop.run_until_complete(turns())
            with garbage() as found:
                loop.run_until_complete(main())
            assert not found
        finally:
            loop.close()

    @in_loop
    async def test_key_function_and_result(self) -> None:
        """All go with the last who took part, while the loop runs on."""
        flights: SingleFlight[Any] = SingleFlight()
        with freed_by_count() as watched:
            key, slow = Thing(), Slow()
            tasks = await ask(flights, 3, slow, key)
            slow.leave.set()
            watched += [weakref.ref(key), weakref.ref(slow), weakref.ref((await outcomes(tasks))[0])]
            del key, slow, tasks

    @in_loop
    async def test_at_once(self) -> None:
        """A result goes with the one who asked for it, not a turn of the loop later."""
        flights: SingleFlight[Any] = SingleFlight()

        async def make() -> Thing:
            return Thing()

        with freed_by_count() as watched:
            watched.append(weakref.ref(await flights.ado("key", make)))

    def test_a_loop_that_ended_in_the_middle(self) -> None:
        """Its flights end with it: nothing is complained about, and the next loop has flights of its own."""
        flights: SingleFlight[str] = SingleFlight()
        slow: list[Slow] = []

        async def abandon() -> None:
            slow.append(Slow())
            await ask(flights, 3, slow[0])

        run(abandon)
        assert slow[0].cancelled == 1
        assert not flights._loops
        assert run(lambda: flights.ado("key", lambda: asyncio.sleep(0, "next"))) == "next"

    def test_a_loop_that_was_closed_in_the_middle(self) -> None:
        """It is let go of when the next loop asks, and blocks nobody."""
        flights: SingleFlight[str] = SingleFlight()
        loop = asyncio.new_event_loop()
        complaints: list[Any] = []
        loop.set_exception_handler(lambda _loop, context: complaints.append(context["message"]))
        tasks: list[Any] = []

        async def abandon() -> None:
            tasks.extend(await ask(flights, 2, Slow()))

        loop.run_until_complete(abandon())
        loop.close()
        watched = weakref.ref(loop)
        assert run(lambda: flights.ado("key", lambda: asyncio.sleep(0, "next"))) == "next"
        assert not flights._loops
        tasks.clear()
        del loop, abandon
        gc.collect()
        assert watched() is None
        assert set(complaints) <= {"Task was destroyed but it is pending!"}

    def test_a_loop_that_cannot_make_tasks(self) -> None:
        """The error comes out, no coroutine is left un-awaited, and the key is free."""
        flights: SingleFlight[str] = SingleFlight()

        async def main() -> None:
            loop = asyncio.get_running_loop()

            def refuse(*_: Any, **__: Any) -> Any:
                raise ZeroDivisionError

            loop.set_task_factory(refuse)
            with pytest.raises(ZeroDivisionError):
                await flights.ado("key", never)
            loop.set_task_factory(None)
            assert not flights._loops
            assert await flights.ado("key", lambda: asyncio.sleep(0, "value")) == "value"

        run(main)
        gc.collect()

    def test_nothing_is_said_about_tasks(self) -> None:
        """Failures that nobody waits for any more are nobody's exceptions that were never retrieved."""
        flights: SingleFlight[str] = SingleFlight()

        async def func() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await fail()

        async def main() -> None:
            tasks = await ask(flights, 2, func)
            for task in tasks:
                task.cancel()
            await turns()
            await outcomes(tasks)

        with warnings.catch_warnings():
            warnings.simplefilter("error")
            run(main)
