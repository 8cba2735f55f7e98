"""@cached on coroutine functions: one run for many waiters, each of whom can be cancelled alone."""

from __future__ import annotations

import asyncio
import inspect
import weakref
from typing import Any

import cachetools
import pytest
from helpers.aio import Gate, in_loop, turns
from helpers.clock import Clock
from helpers.collect import Thing, freed_by_count

from safemem import cached


@in_loop
async def test_one_run_for_equal_arguments() -> None:
    """Awaiting twice runs the coroutine once, and both get the very same object."""
    calls: list[int] = []

    @cached
    async def function(x: int) -> Thing:
        calls.append(x)
        await asyncio.sleep(0)
        return Thing(x)

    first = await function(1)
    assert await function(1) is first
    assert await function(2) is not first
    assert calls == [1, 2]
    assert function.cache_info() == (1, 2, 128, 2)


@in_loop
async def test_many_at_once_run_it_once() -> None:
    """A hundred that ask at once run it once."""
    gate = Gate()
    tasks = [asyncio.ensure_future(gate.function(1)) for _ in range(100)]
    await turns()
    gate.gate.set()
    results = await asyncio.gather(*tasks)
    assert gate.calls == [1]
    assert len({id(result) for result in results}) == 1
    info = gate.function.cache_info()
    assert info.hits + info.misses == 100


@in_loop
async def test_different_arguments_do_not_wait_for_each_other() -> None:
    """Others run at their own pace."""
    gate = Gate()
    slow = asyncio.ensure_future(gate.function(1))
    await turns()

    @cached
    async def quick(x: int) -> int:
        return x

    assert await quick(1) == 1
    other = asyncio.ensure_future(gate.function(2))
    await turns()
    assert gate.calls == [1, 2]
    gate.gate.set()
    await asyncio.gather(slow, other)


def test_it_is_a_coroutine_function() -> None:
    """inspect and asyncio take it for the coroutine function it is, methods too; what it returns is a coroutine."""

    class Owner:
        @cached
        async def method(self) -> None: ...

        @classmethod
        @cached
        async def of_class(cls) -> None: ...

        @staticmethod
        @cached
        async def of_nothing() -> None: ...

        @cached
        def plain(self) -> None: ...

    @cached
    async def function() -> None: ...

    @cached
    def plain() -> None: ...

    for decorated in (function, Owner.method, Owner().method, Owner.of_class, Owner().of_class, Owner.of_nothing):
        assert inspect.iscoroutinefunction(decorated)
    for decorated in (plain, Owner.plain, Owner().plain):
        assert not inspect.iscoroutinefunction(decorated)
    for decorated in (function, Owner().method):
        awaitable = decorated()
        assert inspect.isawaitable(awaitable)
        assert asyncio.iscoroutine(awaitable)
        awaitable.close()


@in_loop
async def test_create_task() -> None:
    """What a call returns can be made a task, and waited for with the tools of asyncio."""

    @cached
    async def function(x: int) -> int:
        await asyncio.sleep(0)
        return x

    for _ in range(2):
        assert await asyncio.create_task(function(1)) == 1
        assert await asyncio.wait_for(function(1), 5) == 1
        assert await asyncio.gather(function(1), function(2)) == [1, 2]
    async with asyncio.TaskGroup() as group:
        task = group.create_task(function(3))
    assert task.result() == 3


@in_loop
async def test_exceptions_reach_all_and_are_not_cached() -> None:
    """A failure reaches everybody who waits; the next call tries again."""
    gate = Gate()
    gate.error = LookupError("mine")
    tasks = [asyncio.ensure_future(gate.function(1)) for _ in range(5)]
    await turns()
    gate.gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [str(result) for result in results] == ["mine"] * 5
    assert gate.calls == [1]
    gate.error = None
    assert (await gate.function(1)).name == 1
    assert gate.calls == [1, 1]
    assert gate.function.cache_info().currsize == 1


@pytest.mark.parametrize("victim", [0, 1, 2, 3])
@in_loop
async def test_cancelling_one_waiter_cancels_nobody_else(victim: int) -> None:
    """Whichever is cancelled, the first too, the others get the result of the one run."""
    gate = Gate()
    tasks = [asyncio.ensure_future(gate.function(1)) for _ in range(4)]
    await turns()
    tasks[victim].cancel()
    await turns()
    assert tasks[victim].cancelled()
    gate.gate.set()
    others = [task for task in tasks if task is not tasks[victim]]
    results = await asyncio.gather(*others)
    assert len({id(result) for result in results}) == 1
    assert gate.calls == [1]
    assert (await gate.function(1)) is results[0]


@in_loop
async def test_cancelling_one_by_one() -> None:
    """Waiters can be cancelled one by one down to the last; the last one still gets its result."""
    gate = Gate()
    tasks = [asyncio.ensure_future(gate.function(1)) for _ in range(6)]
    await turns()
    for task in tasks[:-1]:
        task.cancel()
        await turns()
        assert task.cancelled()
        assert not tasks[-1].done()
    gate.gate.set()
    assert (await tasks[-1]).name == 1
    assert gate.calls == [1]


@in_loop
async def test_cancelling_all() -> None:
    """When everybody has been cancelled nothing is left behind and the next call works."""
    gate = Gate()
    tasks = [asyncio.ensure_future(gate.function(1)) for _ in range(4)]
    await turns()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert all(task.cancelled() for task in tasks)
    gate.gate.set()
    await turns()
    assert (await gate.function(1)).name == 1


@in_loop
async def test_timeouts() -> None:
    """A waiter's timeout is its own."""
    gate = Gate()
    patient = asyncio.ensure_future(gate.function(1))
    await turns()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(gate.function(1), 0.001)
    gate.gate.set()
    assert (await patient).name == 1
    assert gate.calls == [1]


@in_loop
async def test_the_coroutine_that_cancels_itself() -> None:
    """A CancelledError raised by the coroutine itself hangs nobody."""
    calls: list[int] = []

    @cached
    async def function() -> int:
        calls.append(1)
        await asyncio.sleep(0)
        if len(calls) == 1:
            raise asyncio.CancelledError
        return 5

    results = await asyncio.gather(function(), function(), return_exceptions=True)
    assert all(result == 5 or isinstance(result, asyncio.CancelledError) for result in results)
    assert await function() == 5


@in_loop
async def test_recursion() -> None:
    """Awaiting one's own result, directly or in a circle, raises RecursionError instead of waiting for ever."""

    @cached
    async def endless(x: int) -> int:
        return await endless(x)

    @cached
    async def one(x: int) -> int:
        await asyncio.sleep(0)
        return await two(x)

    @cached
    async def two(x: int) -> int:
        return await one(x)

    for function in (endless, one, two, endless):
        with pytest.raises(RecursionError):
            await function(1)

    @cached
    async def factorial(n: int) -> int:
        return n * await factorial(n - 1) if n else 1

    assert await factorial(20) == 2432902008176640000


@in_loop
async def test_two_tasks_in_a_circle() -> None:
    """Two tasks that wait for each other's result get RecursionError, one of them at least, and nobody hangs."""
    inside = asyncio.Event()

    @cached
    async def one() -> int:
        inside.set()
        await turns()
        return await two()

    @cached
    async def two() -> int:
        await inside.wait()
        return await one()

    results = await asyncio.gather(one(), two(), return_exceptions=True)
    assert any(isinstance(result, RecursionError) for result in results)
    assert all(isinstance(result, RecursionError) for result in results)


@in_loop
async def test_options() -> None:
    """maxsize, ttl, typed, key, cache and cache_if work as for plain functions."""
    clock = Clock()

    @cached(maxsize=1)
    async def bounded(x: int) -> Thing:
        return Thing(x)

    @cached(maxsize=0)
    async def uncached(x: int) -> Thing:
        return Thing(x)

    @cached(ttl=5, timer=clock)
    async def aging() -> Thing:
        return Thing()

    @cached(key=len)
    async def keyed(x: str) -> str:
        return x

    @cached(cache_if=bool)
    async def choosy(x: Any) -> Any:
        return [x] if x else 0

    store: Any = cachetools.LFUCache(2)

    @cached(cache=store)
    async def stored(x: int) -> Thing:
        return Thing(x)

    first = await bounded(1)
    await bounded(2)
    assert await bounded(1) is not first
    assert await uncached(1) is not await uncached(1)
    thing = await aging()
    assert await aging() is thing
    clock.tick(5)
    assert await aging() is not thing
    assert [await keyed("ab"), await keyed("cd")] == ["ab", "ab"]
    await choosy(0)
    assert await choosy(1) is await choosy(1)
    assert choosy.cache_info().currsize == 1
    assert await stored(1) is await stored(1)
    for x in range(5):
        await stored(x)
    assert len(store) == 2
    assert bounded.cache_remove(1) is True


@in_loop
async def test_values_are_kept_not_coroutines() -> None:
    """`cache` holds results, so that they can be looked at and stored directly."""

    @cached
    async def function(x: int) -> int:
        return x

    await function(1)
    assert list(function.cache.values()) == [1]
    function.cache[function.cache_key(2)] = "stored"
    assert await function(2) == "stored"


@in_loop
async def test_methods() -> None:
    """Coroutine methods have a cache for each instance, which dies with it."""

    class Owner:
        def __init__(self, name: str) -> None:
            self.name = name
            self.calls = 0

        @cached
        async def method(self, x: int) -> Thing:
            self.calls += 1
            await asyncio.sleep(0)
            return Thing((self.name, x))

    class Slotted:
        __slots__ = ("__weakref__",)
        __hash__ = None

        @cached
        async def method(self, x: int) -> Thing:
            await asyncio.sleep(0)
            return Thing(x)

    one, two = Owner("one"), Owner("two")
    results = await asyncio.gather(one.method(1), one.method(1), two.method(1))
    assert results[0] is results[1]
    assert [result.name for result in results[1:]] == [("one", 1), ("two", 1)]
    assert one.calls == two.calls == 1
    assert one.method.cache_info().currsize == 1
    del results, one, two
    for cls in (lambda: Owner("x"), Slotted):
        with freed_by_count() as watched:
            owner = cls()
            thing = await owner.method(1)
            watched += [weakref.ref(owner), weakref.ref(thing)]
            del owner, thing
            await turns()


@in_loop
async def test_class_and_static_methods() -> None:
    """In either order of decorators."""

    class Owner:
        @classmethod
        @cached
        async def one(cls, x: int) -> Any:
            return cls, x

        @cached
        @classmethod
        async def two(cls, x: int) -> Any:
            return cls, x

        @staticmethod
        @cached
        async def three(x: int) -> Any:
            return x

        @cached
        @staticmethod
        async def four(x: int) -> Any:
            return x

    for method, expected in ((Owner.one, (Owner, 1)), (Owner.two, (Owner, 1)), (Owner.three, 1), (Owner.four, 1)):
        assert await method(1) == await method(1) == expected
        assert method.cache_info()[:2] == (1, 1)
