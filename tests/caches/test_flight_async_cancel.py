"""SingleFlight.ado(): each one who waits can be cancelled alone."""

from __future__ import annotations

import asyncio

import pytest
from helpers.aio import in_loop, run, turns
from helpers.aio_flights import Slow, ask, fail, never, outcomes
from helpers.collect import Thing

from safemem import SingleFlight


class TestCancelling:
    """Each one who waits can be cancelled alone."""

    @pytest.mark.parametrize("which", [0, 1, 2, 4])
    def test_one_of_five(self, which: int) -> None:
        """The first, a middle one, the last: the others get their value."""
        flights: SingleFlight[str] = SingleFlight()

        async def main() -> None:
            slow = Slow()
            tasks = await ask(flights, 5, slow)
            tasks[which].cancel()
            await turns()
            assert tasks.pop(which).cancelled()
            assert slow.cancelled == 0
            slow.leave.set()
            assert len({id(value) for value in await outcomes(tasks)}) == 1
            assert slow.runs == 1

        run(main)

    @in_loop
    async def test_all_but_one(self) -> None:
        """In any order, and one who comes late joins as well."""
        flights: SingleFlight[str] = SingleFlight()
        slow = Slow()
        tasks = await ask(flights, 5, slow)
        for task in tasks[:4]:
            task.cancel()
        late = (await ask(flights, 1, never))[0]
        slow.leave.set()
        assert await late is await tasks[4]

    @in_loop
    async def test_the_last_one(self) -> None:
        """When nobody waits any more the coroutine is cancelled, and has ended when the last one leaves; the next one starts anew."""
        flights: SingleFlight[str] = SingleFlight()
        slow = Slow()
        tasks = await ask(flights, 3, slow)
        for task in tasks:
            task.cancel()
        results = await outcomes(tasks)
        assert [type(result) for result in results] == [asyncio.CancelledError] * 3
        assert slow.cancelled == 1
        assert not flights._loops
        slow.leave.set()
        await flights.ado("key", slow)
        assert slow.runs == 2

    @in_loop
    async def test_who_comes_while_it_is_being_cancelled(self) -> None:
        """It does not join what is being given up."""
        flights: SingleFlight[str] = SingleFlight()
        cleaning, clean = asyncio.Event(), asyncio.Event()

        async def func() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                cleaning.set()
                await clean.wait()

        task = (await ask(flights, 1, func))[0]
        task.cancel()
        await cleaning.wait()
        assert not task.done()
        assert await flights.ado("key", lambda: asyncio.sleep(0, "new")) == "new"
        clean.set()
        assert isinstance((await outcomes([task]))[0], asyncio.CancelledError)

    @in_loop
    async def test_cancelled_twice(self) -> None:
        """A second cancellation reaches the clean-up of the coroutine, as with a plain await."""
        flights: SingleFlight[str] = SingleFlight()
        interrupted: list[str] = []

        async def func() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    interrupted.append("cleaning")
                    raise

        task = (await ask(flights, 1, func))[0]
        task.cancel()
        await turns()
        assert not task.done()
        task.cancel()
        await turns()
        assert task.cancelled()
        assert interrupted == ["cleaning"]

    @in_loop
    async def test_a_clean_up_that_fails(self) -> None:
        """The last one, who waits for it, gets its exception, as with a plain await."""
        flights: SingleFlight[str] = SingleFlight()

        async def func() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await fail()

        tasks = await ask(flights, 2, func)
        for task in tasks:
            task.cancel()
        results = await outcomes(tasks)
        assert sorted(type(result).__name__ for result in results) == ["CancelledError", "LookupError"]

    @in_loop
    async def test_a_coroutine_that_takes_no_notice(self) -> None:
        """Who was cancelled is cancelled, whatever the coroutine made of it."""
        flights: SingleFlight[str] = SingleFlight()

        async def func() -> str:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                pass
            return "value"

        task = (await ask(flights, 1, func))[0]
        task.cancel()
        assert isinstance((await outcomes([task]))[0], asyncio.CancelledError)

    @in_loop
    async def test_before_it_began(self) -> None:
        """Cancelled in the turn in which it asked: the coroutine function is not even called."""
        flights: SingleFlight[str] = SingleFlight()
        task = asyncio.ensure_future(flights.ado("key", never))
        await turns(1)
        task.cancel()
        assert isinstance((await outcomes([task]))[0], asyncio.CancelledError)
        assert not flights._loops

    @pytest.mark.parametrize("first", ["cancel", "land"])
    @pytest.mark.parametrize("failing", [False, True])
    @pytest.mark.parametrize("victims", [{0}, {1}, {0, 1}, {0, 1, 2}])
    def test_in_the_turn_of_the_landing(self, first: str, failing: bool, victims: set[int]) -> None:
        """Whatever comes first, who was cancelled is cancelled and the others get what there is."""
        flights: SingleFlight[str] = SingleFlight()

        async def main() -> None:
            loop = asyncio.get_running_loop()
            gate = loop.create_future()

            async def func() -> str:
                await gate
                return await fail() if failing else "value"

            tasks = await ask(flights, 3, func)
            if first == "land":
                gate.set_result(None)
                await turns(1)  # it has landed, nobody has been woken yet
                assert not flights._loops
                assert not any(task.done() for task in tasks)
            for victim in victims:
                tasks[victim].cancel()
            if first == "cancel" and not gate.done():
                gate.set_result(None)
            for number, result in enumerate(await outcomes(tasks)):
                if number in victims:
                    assert isinstance(result, asyncio.CancelledError | LookupError if victims == {0, 1, 2} else asyncio.CancelledError)
                else:
                    assert isinstance(result, LookupError) if failing else result == "value"

        run(main)
        assert not flights._loops

    @in_loop
    async def test_who_takes_over_is_cancelled_in_that_turn(self) -> None:
        """Then somebody else does."""
        flights: SingleFlight[str] = SingleFlight()

        def interrupt() -> None:
            raise asyncio.CancelledError

        slow = Slow(interrupt)
        owner, first, second = [
            *(await ask(flights, 1, slow)),
            *(await ask(flights, 1, never)),
            *(await ask(flights, 1, lambda: asyncio.sleep(0, "second"))),
        ]
        slow.leave.set()
        await turns(1)
        first.cancel()
        assert await second == "second"
        assert isinstance((await outcomes([first]))[0], asyncio.CancelledError)
        assert isinstance((await outcomes([owner]))[0], asyncio.CancelledError)

    @in_loop
    async def test_timeouts(self) -> None:
        """A deadline of one who waits is his alone; the last one's ends the coroutine."""
        flights: SingleFlight[str] = SingleFlight()
        slow = Slow()
        patient = (await ask(flights, 1, slow))[0]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await flights.ado("key", never)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(flights.ado("key", never), 0.001)
        slow.leave.set()
        assert isinstance(await patient, Thing)
        endless = Slow()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await flights.ado("key", endless)
        assert endless.cancelled == 1

    @in_loop
    async def test_a_task_group(self) -> None:
        """One that fails cancels the others, who wait for a flight that somebody outside needs."""
        flights: SingleFlight[str] = SingleFlight()
        slow = Slow()
        outside = (await ask(flights, 1, slow))[0]
        with pytest.raises(ExceptionGroup):
            async with asyncio.TaskGroup() as group:
                for _ in range(3):
                    group.create_task(flights.ado("key", never))
                group.create_task(fail())
        slow.leave.set()
        assert isinstance(await outside, Thing)
