"""What a cached coroutine function returns, result known or not, is a coroutine to everybody who asks."""

from __future__ import annotations

import asyncio
import collections.abc
import gc
import inspect
import sys
import types
import weakref
from collections.abc import Generator
from typing import Any

import pytest
from helpers.aio import in_loop
from helpers.collect import Thing

from safemem import cached


class Owner:
    """One with a method."""

    @cached
    async def method(self, x: Any) -> Any:
        await asyncio.sleep(0)
        return x


@cached
async def function(x: Any) -> Any:
    """Return it, later."""
    await asyncio.sleep(0)
    return x


def hit(x: Any = "x") -> Any:
    """What a call returns whose result is known."""
    asyncio.run(function(x))
    return function(x)


@pytest.mark.parametrize("call", [function, Owner().method], ids=["function", "method"])
@in_loop
async def test_asyncio_takes_it(call: Any) -> None:
    """Everything in asyncio that takes a coroutine takes a hit as it takes a miss."""
    thing = Thing()
    for _ in range(2):
        assert await call(thing) is thing
        assert await asyncio.create_task(call(thing), name="task") is thing
        assert await asyncio.ensure_future(call(thing)) is thing
        assert await asyncio.gather(call(thing), call(thing), call(Thing("other"))) is not None
        assert await asyncio.wait_for(call(thing), 10) is thing
        assert await asyncio.shield(call(thing)) is thing
        assert [await done for done in asyncio.as_completed([call(thing), call(thing)])] == [thing, thing]
        async with asyncio.timeout(10):
            assert await call(thing) is thing
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call(thing)) for _ in range(3)]
        assert [task.result() for task in tasks] == [thing] * 3
        assert await asyncio.get_running_loop().create_task(call(thing)) is thing
        assert await asyncio.to_thread(asyncio.run, call(thing)) is thing
        future = asyncio.run_coroutine_threadsafe(call(thing), asyncio.get_running_loop())
        assert await asyncio.wrap_future(future) is thing


@pytest.mark.parametrize("debug", [False, True])
def test_running_it(debug: bool) -> None:
    """asyncio.run and a Runner take it, in debug mode too."""
    for _ in range(2):
        assert asyncio.run(function("run"), debug=debug) == "run"
        with asyncio.Runner(debug=debug) as runner:
            assert runner.run(function("run")) == "run"


def test_a_cancelled_task_of_it() -> None:
    """A task that is cancelled before it begins throws into the coroutine, and the result stays."""

    async def main() -> None:
        task = asyncio.create_task(hit_here)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    hit_here = hit()
    asyncio.run(main())
    assert asyncio.run(function("x")) == "x"


def test_what_it_is() -> None:
    """It is a coroutine and an awaitable by every test but that for the interpreter's own type, and can be referred to weakly."""
    for coroutine in (function("new"), hit()):
        assert isinstance(coroutine, collections.abc.Coroutine)
        assert isinstance(coroutine, collections.abc.Awaitable)
        assert asyncio.iscoroutine(coroutine)
        assert inspect.isawaitable(coroutine)
        assert not isinstance(coroutine, collections.abc.AsyncIterable)
        assert weakref.ref(coroutine)() is coroutine
        assert isinstance(coroutine.__name__, str)
        assert isinstance(coroutine.__qualname__, str)
        assert repr(coroutine).startswith("<coroutine object ")
        with pytest.raises(TypeError, match="pickle"):
            coroutine.__reduce_ex__(2)
        coroutine.close()


@pytest.mark.filterwarnings("ignore:.asyncio.iscoroutinefunction.:DeprecationWarning")  # from Python 3.14 on
def test_what_a_coroutine_function_is() -> None:
    """Functions, methods and bound methods say that they are coroutine functions, marked again or not."""
    functions = [function, Owner.method, Owner().method, Owner.__dict__["method"]]
    for one in functions:
        assert inspect.iscoroutinefunction(one)
        assert asyncio.iscoroutinefunction(one)
    mark = getattr(inspect, "markcoroutinefunction", None)
    if mark is not None:
        for one in (function, cached(lambda: None)):
            assert mark(one) is one
            assert inspect.iscoroutinefunction(one)


def test_send() -> None:
    """Sending None ends it with the result; sending anything else first is refused, and changes nothing."""
    for value in ("x", None, (1, 2), StopIteration(3), Thing()):
        coroutine = hit(value)
        for wrong in (1, "x", False):
            with pytest.raises(TypeError, match="can't send non-None value to a just-started coroutine"):
                coroutine.send(wrong)
        with pytest.raises(StopIteration) as caught:
            coroutine.send(None)
        assert caught.value.value is value
        for sent in (None, 1):
            with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
                coroutine.send(sent)


def test_await_by_hand() -> None:
    """Its iterator ends at once with the result."""
    coroutine = hit()
    iterator = coroutine.__await__()
    with pytest.raises(StopIteration) as caught:
        next(iterator)
    assert caught.value.value == "x"
    coroutine.close()

    class Awaitable:
        def __await__(self) -> Generator[Any, Any, Any]:
            return (yield from hit_again.__await__())

    async def main() -> Any:
        return await Awaitable()

    hit_again = hit()
    assert asyncio.run(main()) == "x"

    @types.coroutine
    def old() -> Generator[Any, Any, Any]:
        return (yield from third)

    async def outer() -> Any:
        return await old()

    third = hit()
    assert asyncio.run(outer()) == "x"


def test_throw() -> None:
    """What is thrown comes out, whatever way it is given, and ends it; what cannot be thrown is refused and changes nothing."""
    error = ValueError("thrown")
    traceback = None
    try:
        raise KeyError
    except KeyError as other:
        traceback = other.__traceback__
    for arguments in ((error,), (ValueError,), (BaseException,), (StopIteration("inner"),)):
        coroutine = hit()
        kind = arguments[0] if isinstance(arguments[0], type) else type(arguments[0])
        with pytest.raises((kind, RuntimeError)) as caught:  # a real coroutine turns StopIteration into RuntimeError
            coroutine.throw(*arguments)
        assert caught.value is arguments[0] or isinstance(arguments[0], type) or caught.type is RuntimeError
        for ended, argument in ((coroutine.send, None), (coroutine.throw, error)):
            with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
                ended(argument)
        coroutine.close()
    coroutine = hit()
    for wrong in ((), (1,), ("x",), (int,)):
        with pytest.raises(TypeError):
            coroutine.throw(*wrong)
    with pytest.raises(StopIteration):
        coroutine.send(None)
    if sys.version_info < (3, 12):  # deprecated since
        for wrong in ((error, 1), (error, None, 5), (ValueError, None, 5)):
            coroutine = hit()
            with pytest.raises(TypeError):
                coroutine.throw(*wrong)
            coroutine.close()
        for three in ((ValueError, "text", traceback), (ValueError, error, traceback), (error, None, traceback), (ValueError, None, None)):
            with pytest.raises(ValueError) as caught:
                hit().throw(*three)
            assert not three[2] or traceback in frames(caught.value)


def frames(error: BaseException) -> list[Any]:
    """All parts of a traceback."""
    parts, part = [], error.__traceback__
    while part is not None:
        parts.append(part)
        part = part.tb_next
    return parts


def test_close() -> None:
    """A closed one says nothing when it goes, and cannot be awaited any more; closing again is nothing."""
    thing = Thing()
    coroutine = hit(thing)
    assert coroutine.close() is None
    assert coroutine.close() is None
    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        coroutine.send(None)
    done = hit(thing)
    with pytest.raises(StopIteration):
        done.send(None)
    assert done.close() is None


@in_loop
async def test_awaited_twice() -> None:
    """The second await raises as with any coroutine."""
    await function("twice")
    coroutine = function("twice")
    assert await coroutine == "twice"
    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        await coroutine


@pytest.mark.parametrize("cycle", [False, True])
def test_never_awaited(cycle: bool) -> None:
    """Forgetting to await it is a RuntimeWarning, whoever frees it."""
    coroutine: Any = hit()
    holder = [coroutine]
    if cycle:
        holder.append(holder)
        asyncio.run(function(id(holder)))
        function.cache[(id(holder),)] = holder
        holder[0] = coroutine = replace(coroutine, function(id(holder)))
        function.cache_clear()
    with pytest.warns(RuntimeWarning, match="coroutine '.*' was never awaited"):
        del coroutine, holder
        gc.collect()


def replace(old: Any, new: Any) -> Any:
    """Close the old one, return the new one."""
    old.close()
    return new


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_other_loops() -> None:
    """Trio and anyio take it, where they are installed."""
    trio = pytest.importorskip("trio", reason="not everybody has it")

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(function, "x")
        assert await function("x") == "x"

    asyncio.run(function("x"))
    trio.run(main)
    assert trio.run(function, "x") == "x"
