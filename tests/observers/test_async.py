"""aemit() and asend(): plain receivers called, coroutine receivers run concurrently, nothing left running."""

from __future__ import annotations

import asyncio
import functools
import sys
from unittest import mock

import pytest
from helpers.aio import FACTORIES, in_loop, run, turns
from helpers.listeners import Listener

from safemem import Signal, cached


def tasks():
    """The tasks there are beside this one and that of the helper that runs it."""
    return {task for task in asyncio.all_tasks() - {asyncio.current_task()} if "watched" not in task.get_coro().__qualname__}


@pytest.mark.parametrize("factory", FACTORIES, ids=str)
def test_coroutine_receivers_run_concurrently(factory):
    """Two that wait for each other both come to an end; results are in calling order."""

    async def main():
        asked = Signal()
        first, second = asyncio.Event(), asyncio.Event()

        @asked.receiver
        async def one(value):
            first.set()
            await second.wait()
            return value + 1

        @asked.receiver
        def plain(value):
            return value

        @asked.receiver(priority=-1)
        async def two(value):
            second.set()
            await first.wait()
            return value + 2

        assert await asked.aemit(1) is None
        assert await asked.asend(1) == [(one, 2), (plain, 1), (two, 3)]
        assert tasks() == set()

    run(main, factory=factory)


async def plain_coroutine(value):
    """A receiver."""
    return value


class Async:
    """Calls and methods that are coroutines."""

    async def method(self, value):
        return value

    async def __call__(self, value):
        return value

    @cached
    async def remembered(self, value):
        return value


def marked(value):
    """Says of itself that it returns a coroutine."""
    return plain_coroutine(value)


KEPT = Async()
AWAITED = {
    "function": plain_coroutine,
    "method": KEPT.method,
    "callable object": KEPT,
    "partial": functools.partial(plain_coroutine),
    "partial of a method": functools.partial(KEPT.method),
    "partial of an object": functools.partial(KEPT),
    "cached": KEPT.remembered,
    "mock": mock.AsyncMock(return_value=5),
}
if sys.version_info >= (3, 12):
    import inspect

    AWAITED["marked"] = inspect.markcoroutinefunction(marked)


@pytest.mark.parametrize("receiver", AWAITED.values(), ids=AWAITED)
def test_what_is_a_coroutine_receiver(receiver):
    """All that calling gives something to be awaited, as far as can be told before calling it."""

    async def main():
        asked = Signal()
        asked.connect(receiver)
        asked.connect(receiver, priority=1)
        assert [result for _, result in await asked.asend(5)] == [5, 5]
        with pytest.raises(ExceptionGroup, match="2 receivers"):
            asked.emit(5)

    run(main)


PLAIN = {"function": lambda value: value, "mock": mock.Mock(return_value=5), "class": int, "builtin": abs}


@pytest.mark.parametrize("receiver", PLAIN.values(), ids=PLAIN)
def test_what_is_a_plain_receiver(receiver):
    """The rest is called, by aemit() too."""
    asked = Signal()
    asked.connect(receiver)
    assert asked.send(5) == [(receiver, 5)]
    assert run(lambda: asked.asend(5)) == [(receiver, 5)]


@in_loop
async def test_failures_come_as_one_group():
    """Of plain and coroutine receivers, in calling order, when all are done."""
    asked = Signal(name="asked")
    listener = Listener("plain")
    done = []

    @asked.receiver
    async def fails(value):
        raise KeyError(value)

    asked.connect(listener.fail)

    @asked.receiver
    async def slow(value):
        await turns(5)
        done.append(value)
        return "slow"

    with pytest.raises(ExceptionGroup, match="2 receivers of signal 'asked' failed") as caught:
        await asked.asend(1)
    assert [type(error) for error in caught.value.exceptions] == [KeyError, ValueError]
    assert "fails, connected at" in caught.value.exceptions[0].__notes__[0]
    assert caught.value.results == [(slow, "slow")]
    assert done == [1]
    with pytest.raises(ExceptionGroup) as caught:
        await asked.aemit(1)
    assert not hasattr(caught.value, "results")


@in_loop
async def test_cancellation_cancels_the_receivers_and_waits_for_their_end():
    """Before it is passed on; those that are at it finish their clean-up."""
    asked = Signal()
    log = []

    @asked.receiver
    async def one():
        try:
            await asyncio.sleep(100)
        finally:
            await turns(5)
            log.append("cleaned")

    @asked.receiver
    async def two():
        raise ValueError("two")

    task = asyncio.create_task(asked.aemit())
    await turns(3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert log == ["cleaned"]
    assert tasks() == set()
    context = caught.value.__context__
    while context is not None and not isinstance(context, ExceptionGroup):
        context = context.__context__
    assert context is not None, "what had failed is lost"


@in_loop
async def test_cancelled_twice():
    """Being cancelled again while the receivers end does not leave them behind."""
    asked = Signal()
    log = []

    @asked.receiver
    async def stubborn():
        for _ in range(3):
            try:
                await asyncio.sleep(100)
            except asyncio.CancelledError:
                log.append("no")

    task = asyncio.create_task(asked.aemit())
    await turns(3)
    for _ in range(3):
        task.cancel()
        await turns(3)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert log == ["no"] * 3
    assert tasks() == set()


@in_loop
async def test_a_timeout_around_an_emission():
    """Ends it in time."""
    asked = Signal()
    asked.connect(functools.partial(asyncio.sleep, 100))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await asked.aemit()
    assert tasks() == set()


@in_loop
async def test_a_base_exception_of_a_receiver_ends_the_emission():
    """The others are cancelled and awaited; what had failed is its context."""

    class Stop(BaseException):
        pass

    asked = Signal()
    log = []

    async def fails():
        raise ValueError

    async def stops():
        await turns(2)
        raise Stop

    async def waits():
        try:
            await asyncio.sleep(100)
        finally:
            log.append("ended")

    for receiver in (fails, stops, waits):
        asked.connect(receiver)
    with pytest.raises(Stop) as caught:
        await asked.aemit()
    assert log == ["ended"]
    assert isinstance(caught.value.__context__, ExceptionGroup)
    assert tasks() == set()

    def stop_at_once():
        raise Stop

    asked.connect(stop_at_once, priority=-1)
    with pytest.raises(Stop):
        await asked.aemit()
    assert tasks() == set()


@in_loop
async def test_a_receiver_that_is_cancelled_itself():
    """Its cancellation is passed on, as by asyncio.gather(); nobody is left running."""
    asked = Signal()

    @asked.receiver
    async def gives_up():
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await asked.aemit()
    assert tasks() == set()


@in_loop
async def test_once_senders_and_disconnection():
    """As in a plain emission."""
    asked = Signal()
    called = []

    async def receiver():
        called.append("once")

    asked.connect(receiver, once=True)
    asked.connect(lambda: called.append("sender"), sender=Listener)
    late = asked.connect(lambda: called.append("late"))
    asked.connect(late.disconnect, priority=1)
    await asked.aemit()
    await asked.aemit()
    assert called == ["once"]


@in_loop
async def test_muted_and_empty():
    """Nothing to be done is done."""
    asked = Signal()
    asked.connect(plain_coroutine)
    with asked.muted():
        assert await asked.asend(1) == []
    asked.clear()
    assert await asked.asend(1) == []
    await asked.aemit(1)


@in_loop
async def test_methods_are_weak_here_too():
    """A coroutine method dies with its object, that lives while it is awaited."""
    asked = Signal()
    kept = Async()
    asked.connect(kept.method)
    started = asyncio.Event()

    class Slow:
        async def method(self, value):
            started.set()
            await turns(5)
            return self

    slow = Slow()
    asked.connect(slow.method)
    task = asyncio.create_task(asked.asend(1))
    await started.wait()
    del slow
    results = await task
    kinds = [type(result) for _, result in results]
    assert kinds == [int, Slow]
    del kept, results, task
    await turns(1)  # until then the loop holds what the task returned
    assert len(asked) == 0


def test_an_emission_that_is_closed_in_the_middle():
    """Closing the coroutine, as a loop does that ends, cancels what runs."""
    asked = Signal()
    ended = []

    @asked.receiver
    async def receiver():
        try:
            await asyncio.sleep(100)
        finally:
            ended.append(True)

    async def main():
        coroutine = asked.aemit()
        task = asyncio.ensure_future(_drive(coroutine))
        await turns(3)
        coroutine.close()
        await turns(3)
        task.cancel()
        await asyncio.wait([task])

    async def _drive(coroutine):
        coroutine.send(None)
        await turns(50)

    run(main)
    assert ended == [True]
