"""SingleFlight.ado(): nobody waits for himself, through however many others."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from helpers.aio import in_loop, run, turns
from helpers.aio_flights import Slow, ask, never, outcomes
from helpers.threads import LIMIT

from safemem import SingleFlight


class TestCircles:
    """Nobody waits for himself, through however many others."""

    @in_loop
    async def test_the_same_key(self) -> None:
        """Asking for a key inside its own coroutine is an error that names the key, and leaves the key free."""
        flights: SingleFlight[str] = SingleFlight()
        with pytest.raises(RecursionError, match="key 'egg' is asked for inside its own func"):
            await flights.ado("egg", lambda: flights.ado("egg", never))
        with pytest.raises(RecursionError):
            await flights.ado("egg", lambda: flights.ado("hen", lambda: flights.ado("egg", never)))
        assert await flights.ado("egg", lambda: asyncio.sleep(0, 1)) == 1

    @in_loop
    async def test_in_a_gather(self) -> None:
        """A task that the coroutine made is a part of it; its siblings go on."""
        flights: SingleFlight[str] = SingleFlight()

        async def func() -> list[Any]:
            return await asyncio.gather(
                flights.ado("other", lambda: asyncio.sleep(0, "other")),
                asyncio.ensure_future(flights.ado("key", never)),
                return_exceptions=True,
            )

        other, error = await flights.ado("key", func)
        assert other == "other"
        assert isinstance(error, RecursionError)

    @pytest.mark.parametrize("length", [2, 3, 7])
    @pytest.mark.parametrize("objects", [1, 3])
    @pytest.mark.parametrize("gathered", [False, True])
    def test_tasks(self, length: int, objects: int, gathered: bool) -> None:
        """Of tasks that ask for each other the one that closes the circle is refused; the others get their values."""
        several = [SingleFlight[int]() for _ in range(objects)]
        refused: list[int] = []

        async def ask_for(number: int) -> Any:
            return await several[number % length % objects].ado(number % length, lambda: func(number % length))

        async def func(number: int) -> Any:
            await turns(number)
            try:
                return (await asyncio.gather(ask_for(number + 1), asyncio.sleep(0)))[0] if gathered else await ask_for(number + 1)
            except RecursionError:
                refused.append(number)
                return f"made by {number}"

        async def main() -> list[Any]:
            return await asyncio.gather(*(ask_for(number) for number in range(length)))

        assert set(run(main)) == {f"made by {refused[0]}"}
        assert len(refused) == 1

    @in_loop
    async def test_many_who_wait_are_no_circle(self) -> None:
        """Coroutines may wait for one and the same flight, several times over."""
        flights: SingleFlight[Any] = SingleFlight()
        slow = Slow(lambda: "end")
        tasks = await ask(flights, 1, slow, "end")

        async def func() -> Any:
            return (await asyncio.gather(*(flights.ado("end", never) for _ in range(3))))[0]

        for number in range(3):
            tasks += await ask(flights, 2, func, number)
        slow.leave.set()
        assert set(await outcomes(tasks)) == {"end"}

    @in_loop
    async def test_a_task_that_stayed(self) -> None:
        """What a coroutine left behind is free to ask when the coroutine has ended."""
        flights: SingleFlight[str] = SingleFlight()
        landed = asyncio.Event()

        async def later() -> str:
            await landed.wait()
            return await flights.ado("key", lambda: asyncio.sleep(0, "asked again"))

        async def func() -> asyncio.Task[str]:
            return asyncio.ensure_future(later())

        task = await flights.ado("key", func)
        landed.set()
        assert await task == "asked again"

    @in_loop
    async def test_a_helper_thread(self) -> None:
        """A thread that runs in the context of a coroutine belongs to it, but threads do not wait for coroutines."""
        flights: SingleFlight[str] = SingleFlight()

        async def func() -> str:
            return await asyncio.to_thread(flights.do, "key", lambda: "the thread's")

        assert await flights.ado("key", func) == "the thread's"

    def test_a_bridge_between_threads_and_loops(self) -> None:
        """A circle is seen through a coroutine that a thread hands to a loop and waits for."""
        flights: SingleFlight[str] = SingleFlight()

        async def main() -> None:
            loop = asyncio.get_running_loop()

            async def func() -> str:
                return await asyncio.to_thread(flights.do, "there", lambda: bridge())

            def bridge() -> str:
                return asyncio.run_coroutine_threadsafe(flights.ado("here", never), loop).result(LIMIT)

            with pytest.raises(RecursionError):
                await flights.ado("here", func)

        run(main)

    @in_loop
    async def test_a_chain_of_tasks_does_not_grow(self) -> None:
        """Tasks that start each other from inside flights for ever do not pile up what is over."""
        from safemem.caches.circles import innermost

        flights: SingleFlight[int] = SingleFlight()
        end = asyncio.get_running_loop().create_future()

        async def link(number: int) -> None:
            if number == 100:
                depth, flying = 0, innermost.get()
                while flying is not None:
                    depth, flying = depth + 1, flying.outer
                end.set_result(depth)
                return
            landed = asyncio.Event()

            async def func() -> asyncio.Task[None]:
                return asyncio.ensure_future(later(landed, number + 1))

            kept.append(await flights.ado(number, func))
            landed.set()

        async def later(landed: asyncio.Event, number: int) -> None:
            await landed.wait()
            await link(number)

        kept: list[Any] = []
        await link(0)
        assert await end <= 3
