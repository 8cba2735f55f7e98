"""@cached on coroutine functions: event loops one after another, side by side and beside threads, and what is left of tasks."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from typing import Any

import pytest
from helpers.aio import LIMIT, Gate, in_loop, turns
from helpers.threads import run_threads

from safemem import cached


@in_loop
async def test_context_variables_are_the_first_callers() -> None:
    """The run sees the context of who asked first."""
    import contextvars

    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")

    @cached
    async def function() -> str:
        await asyncio.sleep(0)
        return variable.get()

    async def ask(value: str) -> str:
        variable.set(value)
        return await function()

    assert await asyncio.gather(ask("first"), ask("second")) == ["first", "first"]


@in_loop
async def test_nothing_is_left_of_the_tasks() -> None:
    """After success, failure and cancellation no task and no exception is kept."""
    gate = Gate()
    watch: list[weakref.ref[Any]] = []
    for error, cancel in ((None, False), (LookupError(), False), (None, True)):
        gate.error = error
        gate.gate.clear()
        tasks = [asyncio.ensure_future(gate.function(len(watch))) for _ in range(3)]
        await turns()
        watch += [weakref.ref(task) for task in tasks]
        if cancel:
            tasks[0].cancel()
        gate.gate.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        del tasks
    gate.error = error = None
    await turns()
    gc.collect()
    assert [reference() for reference in watch] == [None] * 9
    assert len(asyncio.all_tasks()) == 2 or len(asyncio.all_tasks()) == 1


def test_a_coroutine_that_is_never_awaited() -> None:
    """Calling without awaiting warns as a coroutine does, and blocks nobody."""

    @cached
    async def function(x: int) -> int:
        return x

    with pytest.warns(RuntimeWarning, match="never awaited"):
        function(1)
    assert asyncio.run(function(1)) == 1


def test_loops_one_after_another() -> None:
    """Results of one loop are found in the next."""
    calls: list[int] = []

    @cached
    async def function(x: int) -> int:
        calls.append(x)
        await asyncio.sleep(0)
        return x

    assert [asyncio.run(function(1)) for _ in range(3)] == [1, 1, 1]
    assert calls == [1]


def test_a_loop_that_was_closed_in_the_middle() -> None:
    """A flight of a loop that ended before the flight did blocks nobody."""

    @cached
    async def function(forever: list[bool]) -> int:
        if forever[0]:
            await asyncio.Event().wait()
        return 5

    class Hashable(list[bool]):
        def __hash__(self) -> int:
            return 1

    argument = Hashable([True])

    async def start() -> None:
        task = asyncio.ensure_future(function(argument))
        await turns()
        assert not task.done()

    asyncio.run(start())
    argument[0] = False
    assert asyncio.run(asyncio.wait_for(function(argument), LIMIT)) == 5


def test_loops_side_by_side() -> None:
    """Loops in several threads never wait for each other's flights for ever, and all get a result."""
    calls: list[int] = []
    started = threading.Barrier(4, timeout=LIMIT)

    @cached
    async def function(x: int) -> int:
        calls.append(x)
        await asyncio.sleep(0.01)
        return x

    results: list[int] = []

    def work(_number: int) -> None:
        started.wait()
        results.append(asyncio.run(asyncio.wait_for(function(1), LIMIT)))

    run_threads(4, work)
    assert results == [1, 1, 1, 1]
    assert len(calls) <= 4


def test_threads_and_loops() -> None:
    """Threads and loops use one cache without waiting for each other."""
    from safemem import LRUCache

    cache: LRUCache[str, Any] = LRUCache(10)
    inside, leave = threading.Event(), threading.Event()

    def slow() -> str:
        inside.set()
        assert leave.wait(LIMIT)
        return "thread"

    thread = threading.Thread(target=cache.get_or_create, args=("key", slow))
    thread.start()
    assert inside.wait(LIMIT)

    async def quick() -> str:
        return "loop"

    assert asyncio.run(asyncio.wait_for(cache.aget_or_create("key", quick), LIMIT)) == "loop"
    leave.set()
    thread.join(LIMIT)
    assert cache["key"] == "loop"
