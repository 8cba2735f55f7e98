"""SingleFlight.ado(): one task for all that ask in an event loop, and who gets what of it."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import traceback
import weakref
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import pytest
from helpers.aio import FACTORIES, in_loop, run, turns
from helpers.aio_flights import Slow, ask, fail, never, outcomes
from helpers.collect import Thing
from helpers.isolate import assert_clean, run_code
from helpers.threads import LIMIT, run_threads

from safemem import SingleFlight


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
        assert_clean(
            run_code("import sys; from safemem import SingleFlight; SingleFlight().do(1, int); assert 'asyncio' not in sys.modules")
        )
