"""SingleFlight.ado(): one task for all that ask in an event loop, each of whom can be cancelled alone."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import sys
import threading
import traceback
import warnings
import weakref
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from helpers.collect import Thing, collector_off, freed_by_count
from helpers.threads import LIMIT, run_threads

from safemem import SingleFlight

# How tasks are made: as usual, and at once where this Python can do that.
FACTORIES = [getattr(asyncio, name) for name in ("eager_task_factory",) if hasattr(asyncio, name)] + [None]


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test in a loop of its own, within a limit; anything the loop complains about fails it."""

    @functools.wraps(test)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        run(lambda: test(*args, **kwargs))

    return wrapper


def run(main: Callable[[], Coroutine[Any, Any, Any]], *, factory: Any = None) -> Any:
    """Run a coroutine function; return what it returns."""
    complaints: list[dict[str, Any]] = []

    async def watched() -> Any:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: complaints.append(context))
        loop.set_task_factory(factory)
        return await asyncio.wait_for(main(), LIMIT)

    try:
        return asyncio.run(watched())
    finally:
        gc.collect()
        assert not complaints


async def turns(count: int = 6) -> None:
    """Let everybody else have a few turns."""
    for _ in range(count):
        await asyncio.sleep(0)


async def never() -> Any:
    """A coroutine function that must not be run."""
    raise AssertionError


async def fail() -> Any:
    """Raise."""
    raise LookupError("on purpose")


class Slow:
    """A coroutine function that waits until it is let go, counts its runs, and then does what it was given to do."""

    def __init__(self, then: Callable[[], Any] = Thing) -> None:
        self.then = then
        self.runs = 0
        self.cancelled = 0
        self.leave = asyncio.Event()

    async def __call__(self) -> Any:
        self.runs += 1
        try:
            await self.leave.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return self.then()


async def ask(flights: SingleFlight[Any], count: int, func: Callable[[], Awaitable[Any]], key: Any = "key") -> list[asyncio.Task[Any]]:
    """Have tasks ask for a key; return when all wait."""
    tasks = [asyncio.ensure_future(flights.ado(key, func)) for _ in range(count)]
    await turns()
    assert not any(task.done() for task in tasks)
    return tasks


async def outcomes(tasks: list[asyncio.Task[Any]]) -> list[Any]:
    """Wait for tasks; return values and exceptions."""
    await asyncio.wait(tasks)
    return [asyncio.CancelledError() if task.cancelled() else task.exception() or task.result() for task in tasks]


class Immediate:
    """An awaitable that is no coroutine."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __await__(self) -> Generator[Any, None, Any]:
        return self.value
        yield


class TestOneRun:
    """What it is for."""

    @in_loop
    async def test_alone(self) -> None:
        """One caller gets what the coroutine returns, None too."""
        flights: SingleFlight[str] = SingleFlight()
        thing = Thing()

        async def get(value: Any) -> Any:
            return value

        assert await flights.ado("key", lambda: get(thing)) is thing
        assert await flights.ado("key", lambda: get(None)) is None

    @in_loop
    async def test_a_hundred(self) -> None:
        """The coroutine runs once and all get the very same object."""
        flights: SingleFlight[str] = SingleFlight()
        slow = Slow()
        tasks = await ask(flights, 100, slow)
        assert repr(flights) == "<SingleFlight: 1 in progress>"
        slow.leave.set()
        assert len({id(value) for value in await outcomes(tasks)}) == 1
        assert slow.runs == 1
        assert repr(flights) == "<SingleFlight: 0 in progress>"

    @in_loop
    async def test_nothing_is_cached(self) -> None:
        """After the landing the next call runs again, in the same turn of the loop too."""
        flights: SingleFlight[str] = SingleFlight()
        slow = Slow()
        slow.leave.set()
        assert await flights.ado("key", slow) is not await flights.ado("key", slow)
        assert slow.runs == 2

    @in_loop
    async def test_different_keys_do_not_wait(self) -> None:
        """Two keys fly at the same time, hash collision or not; equal ones are one."""
        flights: SingleFlight[float] = SingleFlight()
        one, two = Slow(), Slow()
        first, second = (await ask(flights, 1, one, -1))[0], (await ask(flights, 1, two, -2))[0]
        same = (await ask(flights, 1, never, -1.0))[0]
        two.leave.set()
        await second
        one.leave.set()
        assert await first is await same

    @pytest.mark.parametrize(
        "make",
        [
            lambda: Immediate("value"),
            lambda: asyncio.ensure_future(asyncio.sleep(0, "value")),
            lambda: asyncio.gather(asyncio.sleep(0, "value")),
        ],
        ids=["object", "task", "future"],
    )
    def test_any_awaitable(self, make: Callable[[], Awaitable[Any]]) -> None:
        """Futures, tasks and objects with `__await__` will do."""
        assert run(lambda: SingleFlight[str]().ado("key", make)) in ("value", ["value"])

    @in_loop
    async def test_it_is_a_task_of_its_own(self) -> None:
        """It runs in a copy of the context of the first who asked."""
        variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
        variable.set("outside")

        async def func() -> str:
            seen = variable.get()
            variable.set("inside")
            return seen

        assert await SingleFlight[str]().ado("key", func) == "outside"
        assert variable.get() == "outside"

    @pytest.mark.parametrize("factory", FACTORIES)
    @pytest.mark.parametrize("kind", [None, LookupError, KeyboardInterrupt])
    def test_eager_tasks(self, kind: type[BaseException] | None, factory: Any) -> None:
        """A task that is done before it was handed out is fine too."""
        flights: SingleFlight[str] = SingleFlight()

        async def at_once() -> str:
            if kind is not None:
                raise kind
            return "value"

        async def main() -> None:
            if kind is None:
                assert await flights.ado("key", at_once) == "value"
            else:
                with pytest.raises(kind):
                    await flights.ado("key", at_once)
            slow = Slow()
            tasks = await ask(flights, 3, slow)
            slow.leave.set()
            assert len(set(await outcomes(tasks))) == 1
            with pytest.raises(RecursionError):
                await flights.ado("a", lambda: flights.ado("a", never))

        run(main, factory=factory)
        assert not flights._loops

    @in_loop
    async def test_threads_and_loops_are_apart(self) -> None:
        """A thread that asks for a key that a task is making runs a function of its own."""
        flights: SingleFlight[str] = SingleFlight()
        slow = Slow()
        task = (await ask(flights, 1, slow))[0]
        assert flights.do("key", lambda: "the thread's") == "the thread's"
        assert flights.do("key", lambda: asyncio.new_event_loop().close()) is None
        slow.leave.set()
        await task

    def test_loops_side_by_side(self) -> None:
        """Loops in several threads have flights of their own, and nothing holds a loop when they have landed."""
        flights: SingleFlight[str] = SingleFlight()
        both = threading.Barrier(8)
        loops: list[weakref.ref[Any]] = []
        runs: list[int] = []

        async def func() -> int:
            runs.append(1)
            both.wait(LIMIT)
            return threading.get_ident()

        async def main() -> None:
            loops.append(weakref.ref(asyncio.get_running_loop()))
            values = await asyncio.gather(*(flights.ado("key", func) for _ in range(5)))
            assert set(values) == {threading.get_ident()}

        run_threads(8, lambda _number: asyncio.run(main()))
        assert len(runs) == 8
        assert not flights._loops
        gc.collect()
        assert [loop() for loop in loops] == [None] * 8


class TestFailures:
    """Who gets what when the coroutine raises."""

    @in_loop
    async def test_an_exception_reaches_all(self) -> None:
        """One object, for everybody, with the traceback of the failure; the next call tries again."""
        flights: SingleFlight[str] = SingleFlight()

        async def slowly() -> Any:
            await turns()
            return await fail()

        tasks = [asyncio.ensure_future(flights.ado("key", slowly)) for _ in range(10)]
        errors = await outcomes(tasks)
        assert len({id(error) for error in errors}) == 1
        assert isinstance(errors[0], LookupError)
        functions = [frame.name for frame in traceback.extract_tb(errors[0].__traceback__)]
        assert functions.count("fail") == 1
        assert functions.count("ado") <= 2
        assert await flights.ado("key", lambda: asyncio.sleep(0, "again")) == "again"

    @pytest.mark.parametrize("kind", [StopIteration, StopAsyncIteration])
    @pytest.mark.parametrize("early", [True, False])
    def test_the_end_of_an_iteration(self, kind: type[Exception], early: bool) -> None:
        """It reaches everybody as it leaves any coroutine: a StopIteration as a RuntimeError."""
        flights: SingleFlight[str] = SingleFlight()

        class Ends:
            def __await__(self) -> Generator[Any, None, Any]:
                yield from asyncio.sleep(0).__await__()
                raise kind

        def func() -> Any:
            if early:
                raise kind
            return Ends()

        async def main() -> list[Any]:
            return await outcomes([asyncio.ensure_future(flights.ado("key", func)) for _ in range(3)])

        errors = run(main)
        assert len({id(error) for error in errors}) == 1
        assert isinstance(errors[0], RuntimeError if kind is StopIteration else kind)

    @pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError])
    @pytest.mark.parametrize("factory", FACTORIES)
    def test_an_interruption_is_its_own_callers(self, kind: type[BaseException], factory: Any) -> None:
        """One who waits takes over with a coroutine of its own, and the others get that one's result."""
        flights: SingleFlight[str] = SingleFlight()
        caught: list[BaseException] = []
        runs: list[int] = []

        def interrupt() -> None:
            raise kind("mine")

        async def first(slow: Slow) -> None:
            try:
                await flights.ado("key", slow)
            except BaseException as error:  # noqa: BLE001 - the test looks at it
                caught.append(error)

        async def take_over() -> Thing:
            runs.append(1)
            return Thing()

        async def main() -> None:
            slow = Slow(interrupt)
            leader = asyncio.ensure_future(first(slow))
            await turns()
            others = await ask(flights, 5, take_over)
            slow.leave.set()
            values = await outcomes(others)
            assert len({id(value) for value in values}) == 1
            assert isinstance(values[0], Thing)
            await leader

        run(main, factory=factory)
        assert [type(error) for error in caught] == [kind]
        assert caught[0].args == ("mine",)
        assert len(runs) == 1

    @in_loop
    async def test_one_interruption_after_the_other(self) -> None:
        """Whoever takes over may be interrupted as well; the last one gets through."""
        flights: SingleFlight[str] = SingleFlight()
        runs: list[int] = []

        async def three_times() -> str:
            runs.append(1)
            await turns()
            if len(runs) < 4:
                raise asyncio.CancelledError
            return "through"

        tasks = [asyncio.ensure_future(flights.ado("key", three_times)) for _ in range(6)]
        await asyncio.wait(tasks)
        assert [task.cancelled() for task in tasks].count(True) == 3
        assert [task.result() for task in tasks if not task.cancelled()] == ["through"] * 3

    def test_an_interruption_of_an_owner_who_left(self) -> None:
        """It stops the loop, as in any task, and those who wait are not forgotten."""
        flights: SingleFlight[str] = SingleFlight()

        def interrupt() -> None:
            raise KeyboardInterrupt

        async def main() -> None:
            slow = Slow(interrupt)
            owner = (await ask(flights, 1, slow))[0]
            other = (await ask(flights, 1, lambda: asyncio.sleep(0, "taken over")))[0]
            owner.cancel()
            await turns()
            assert owner.cancelled()
            slow.leave.set()
            others.append(other)
            await other

        others: list[asyncio.Task[Any]] = []
        loop = asyncio.new_event_loop()
        complaints: list[Any] = []
        loop.set_exception_handler(lambda _loop, context: complaints.append(context))
        try:
            task = loop.create_task(main())
            with pytest.raises(KeyboardInterrupt):
                loop.run_until_complete(task)
            assert loop.run_until_complete(others[0]) == "taken over"
            loop.run_until_complete(task)
        finally:
            loop.close()
        assert not flights._loops

    @in_loop
    async def test_a_task_that_somebody_else_cancels(self) -> None:
        """Before it began or after: its own caller is cancelled, one who waits takes over."""
        flights: SingleFlight[str] = SingleFlight()
        for pause in range(4):
            before = asyncio.all_tasks()
            owner = asyncio.ensure_future(flights.ado("key", Slow()))
            others = [asyncio.ensure_future(flights.ado("key", lambda: asyncio.sleep(0, "taken over"))) for _ in range(2)]
            await turns(1)
            (flying,) = asyncio.all_tasks() - before - {owner, *others}
            await turns(pause)
            flying.cancel()
            assert isinstance((await outcomes([owner]))[0], asyncio.CancelledError)
            assert await outcomes(others) == ["taken over"] * 2


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


class TestInput:
    """Wrong arguments."""

    @pytest.mark.parametrize("func", [3, None])
    @in_loop
    async def test_not_callable(self, func: Any) -> None:
        """The message names the argument, the rule and the offender."""
        with pytest.raises(TypeError, match=f"^coro_func must be callable, got {func!r}$"):
            await SingleFlight[str]().ado("key", func)

    @in_loop
    async def test_not_awaitable(self) -> None:
        """So does that of a result that cannot be awaited; it reaches everybody."""
        flights: SingleFlight[Any] = SingleFlight()
        errors = await outcomes([asyncio.ensure_future(flights.ado("key", lambda: 3)) for _ in range(2)])
        assert [str(error) for error in errors] == ["coro_func must return an awaitable, got 3"] * 2
        assert isinstance(errors[0], TypeError)

    @in_loop
    async def test_unhashable(self) -> None:
        """The natural error."""
        with pytest.raises(TypeError, match="unhashable"):
            await SingleFlight[Any]().ado([], never)

    def test_without_a_loop(self) -> None:
        """The natural error, and no coroutine is left un-awaited."""
        coroutine = SingleFlight[str]().ado("key", never)
        with pytest.raises(RuntimeError, match="no running event loop"):
            coroutine.send(None)

    def test_asyncio_is_imported_by_who_uses_it(self) -> None:
        """The threads' half does without."""
        from helpers.isolate import assert_clean

        assert_clean(
            run_text("import sys; from safemem import SingleFlight; SingleFlight().do(1, int); assert 'asyncio' not in sys.modules")
        )


def run_text(text: str) -> Any:
    """Run Python code in a process of its own."""
    import os
    import subprocess
    from pathlib import Path

    import safemem

    path = str(Path(safemem.__file__).parent.parent)
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=LIMIT, check=False, env=environment)
