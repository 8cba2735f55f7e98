"""SingleFlight.do(): one run for all threads that ask at the same time, and who gets what of it."""

from __future__ import annotations

import asyncio
import copy
import pickle
import signal
import threading
import traceback
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from helpers.collect import Thing
from helpers.flights import Call, Slow, fail, join, never, waits
from helpers.threads import LIMIT, run_threads, switching_often, until

from safemem import SingleFlight
from safemem.caches import circles


class TestOneRun:
    """What it is for."""

    def test_alone(self) -> None:
        """One caller gets what the function returns."""
        thing = Thing()
        assert SingleFlight[str]().do("key", lambda: thing) is thing

    def test_none_is_a_value(self) -> None:
        """Any value will do, None and false ones too."""
        flights: SingleFlight[str] = SingleFlight()
        slow = Slow(lambda: None)
        first = slow.lead(flights)
        second = join(flights, 1)[0]
        slow.leave.set()
        assert first.result() is None
        assert second.result() is None

    def test_sixty_four_threads_one_run(self) -> None:
        """The function runs once and all get the very same object."""
        flights: SingleFlight[str] = SingleFlight()
        slow = Slow()
        first = slow.lead(flights)
        others = join(flights, 63)
        slow.leave.set()
        assert {id(call.result()) for call in (first, *others)} == {id(first.value)}
        assert slow.runs == 1
        assert repr(flights) == "<SingleFlight: 0 in progress>"

    def test_sixty_four_threads_at_the_very_same_time(self) -> None:
        """However they arrive, never do two run at once, and everybody gets the result of a run that he overlapped."""
        flights: SingleFlight[str] = SingleFlight()
        running: list[int] = []
        overlaps: list[int] = []
        numbers = iter(range(10**6))

        def func() -> int:
            running.append(1)
            if len(running) > 1:
                overlaps.append(1)
            number = next(numbers)
            running.pop()
            return number

        def work(_number: int) -> None:
            last = -1
            for _ in range(30):
                value = flights.do("key", func)
                assert value > last  # one that had landed before he asked would not do
                last = value

        with switching_often():
            run_threads(64, work)
        assert not overlaps
        assert flights._flights == []

    def test_nothing_is_cached(self) -> None:
        """After the landing the next call runs again."""
        flights: SingleFlight[str] = SingleFlight()
        values = iter("ab")
        assert flights.do("key", lambda: next(values)) == "a"
        assert flights.do("key", lambda: next(values)) == "b"

    def test_different_keys_do_not_wait(self) -> None:
        """Two keys fly at the same time, hash collision or not."""
        flights: SingleFlight[int] = SingleFlight()
        both = threading.Barrier(2)
        calls = [Call(flights.do, key, lambda: both.wait(LIMIT)) for key in (-1, -2)]
        assert {call.result() for call in calls} == {0, 1}

    def test_equal_keys_are_one(self) -> None:
        """Keys are compared as a dict does it."""
        flights: SingleFlight[float] = SingleFlight()
        slow = Slow()
        first = slow.lead(flights, 1)
        others = [*join(flights, 1, 1.0), *join(flights, 1, True)]
        slow.leave.set()
        assert all(call.result() is first.result() for call in others)

    def test_nan_is_itself(self) -> None:
        """A key that is not equal to itself is the same key all the same."""
        flights: SingleFlight[float] = SingleFlight()
        nan = float("nan")
        with pytest.raises(RecursionError):
            flights.do(nan, lambda: flights.do(nan, never))

    def test_two_objects_have_nothing_in_common(self) -> None:
        """The same key in another object is another flight."""
        one, other = SingleFlight[str](), SingleFlight[str]()
        assert one.do("key", lambda: other.do("key", lambda: "inner")) == "inner"

    def test_other_keys_from_within(self) -> None:
        """A function may ask for other keys, to any depth."""
        flights: SingleFlight[int] = SingleFlight()

        def fib(n: int) -> int:
            return n if n < 2 else flights.do(n - 1, lambda: fib(n - 1)) + flights.do(n - 2, lambda: fib(n - 2))

        assert flights.do(12, lambda: fib(12)) == 144
        assert repr(flights) == "<SingleFlight: 0 in progress>"


class TestFailures:
    """Who gets what when the function raises."""

    def test_an_exception_reaches_all(self) -> None:
        """One object, for everybody; the next call tries again."""
        flights: SingleFlight[str] = SingleFlight()
        slow = Slow(fail)
        calls = [slow.lead(flights), *join(flights, 7)]
        slow.leave.set()
        for call in calls:
            with pytest.raises(LookupError, match="on purpose"):
                call.result()
        assert len({id(call.error) for call in calls}) == 1
        assert flights.do("key", lambda: "again") == "again"

    @pytest.mark.parametrize("kind", [StopIteration, StopAsyncIteration])
    def test_the_end_of_an_iteration(self, kind: type[Exception]) -> None:
        """It is an exception like any other."""
        flights: SingleFlight[str] = SingleFlight()

        def end() -> None:
            raise kind("value")

        slow = Slow(end)
        calls = [slow.lead(flights), *join(flights, 1)]
        slow.leave.set()
        for call in calls:
            with pytest.raises(kind, match="value"):
                call.result()

    def test_the_traceback_does_not_grow(self) -> None:
        """However many raise it, its traceback is that of the failure, plus the one caller's."""
        flights: SingleFlight[str] = SingleFlight()
        slow = Slow(fail)
        calls = [slow.lead(flights), *join(flights, 9)]
        slow.leave.set()
        for call in calls:
            call.end()
        error = calls[0].error
        assert error is not None
        functions = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
        assert functions.count("fail") == 1
        assert functions.count("do") <= 2

    def test_the_context_is_that_of_the_failure(self) -> None:
        """What one of the callers was handling when it asked is no business of the others."""
        flights: SingleFlight[str] = SingleFlight()

        def fail_twice() -> None:
            try:
                fail()
            except LookupError:
                raise ValueError from None

        def ask_while_handling() -> None:
            try:
                raise ZeroDivisionError
            except ZeroDivisionError:
                flights.do("key", never)

        slow = Slow(fail_twice)
        leader = slow.lead(flights)
        waiter = Call(ask_while_handling)
        until(lambda: waits(waiter))
        slow.leave.set()
        with pytest.raises(ValueError) as caught:
            waiter.result()
        leader.end()
        assert isinstance(caught.value.__context__, LookupError)

    @pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError])
    def test_an_interruption_is_its_own_callers(self, kind: type[BaseException]) -> None:
        """One who waits takes over with his own function, and the others get that one's result."""
        flights: SingleFlight[str] = SingleFlight()

        def interrupt() -> None:
            raise kind

        slow = Slow(interrupt)
        leader = slow.lead(flights)
        runs: list[Any] = []

        def take_over() -> Thing:
            runs.append(threading.get_ident())
            if len(runs) == 1:
                until(lambda: sum(map(waits, others)) == len(others) - 1)
            return Thing()

        others = join(flights, 8, func=take_over)
        slow.leave.set()
        values = {id(call.result()) for call in others}
        with pytest.raises(kind):
            leader.result()
        assert len(values) == 1
        assert len(runs) == 1
        assert runs[0] in {call.ident for call in others}
        assert slow.runs == 1

    def test_one_interruption_after_the_other(self) -> None:
        """Whoever takes over may be interrupted as well; the last one gets through."""
        flights: SingleFlight[str] = SingleFlight()
        runs: list[int] = []

        def three_times() -> str:
            runs.append(1)
            if len(runs) < 4:
                raise KeyboardInterrupt
            return "through"

        def interrupt() -> None:
            raise KeyboardInterrupt

        slow = Slow(interrupt)
        calls = [slow.lead(flights), *join(flights, 4, func=three_times)]
        slow.leave.set()
        for call in calls:
            call.end()
        assert [type(call.error) for call in calls].count(KeyboardInterrupt) == 4
        assert [call.value for call in calls].count("through") == 1
        assert flights._flights == []

    def test_an_interrupted_waiter(self) -> None:
        """A KeyboardInterrupt that hits one who waits leaves the flight as it is for everybody else."""
        flights: SingleFlight[str] = SingleFlight()
        slow = Slow()
        leader = slow.lead(flights)
        before = join(flights, 2)
        main = threading.main_thread()

        def strike() -> None:
            until(lambda: waits(main))
            signal.pthread_kill(main.ident or 0, signal.SIGUSR1)

        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        handler = signal.signal(signal.SIGUSR1, interrupt)
        try:
            striker = Call(strike)
            with pytest.raises(KeyboardInterrupt):
                flights.do("key", never)
        finally:
            signal.signal(signal.SIGUSR1, handler)
        striker.result()
        assert not circles.here().waits
        after = join(flights, 2)
        slow.leave.set()
        assert {id(call.result()) for call in (leader, *before, *after)} == {id(leader.value)}

    def test_a_signal_handler_that_asks_while_its_thread_waits(self) -> None:
        """The handler gets its value, and the wait it interrupted goes on."""
        flights: SingleFlight[str] = SingleFlight()
        slow = Slow(lambda: "slow")
        slow.lead(flights)
        other = Slow(lambda: "other")
        other.lead(flights, "other")
        main = threading.main_thread()
        answers: list[str] = []

        def strike() -> None:
            until(lambda: waits(main))
            signal.pthread_kill(main.ident or 0, signal.SIGUSR1)
            until(lambda: len(main_waits) == 2)
            other.leave.set()
            until(lambda: answers)
            slow.leave.set()

        main_waits = circles.here().waits
        handler = signal.signal(signal.SIGUSR1, lambda *_: answers.append(flights.do("other", never)))
        try:
            striker = Call(strike)
            assert flights.do("key", never) == "slow"
        finally:
            signal.signal(signal.SIGUSR1, handler)
        striker.result()
        assert answers == ["other"]
        assert not main_waits


class TestInput:
    """Wrong arguments, and what it is as an object."""

    @pytest.mark.parametrize("func", [3, None, "name"])
    def test_not_callable(self, func: Any) -> None:
        """The message names the argument, the rule and the offender."""
        with pytest.raises(TypeError, match=f"^func must be callable, got {func!r}$"):
            SingleFlight[str]().do("key", func)

    def test_unhashable(self) -> None:
        """The natural error."""
        with pytest.raises(TypeError, match="unhashable"):
            SingleFlight[Any]().do([], never)

    def test_a_hash_that_raises(self) -> None:
        """It comes out as it is, and nothing has begun."""

        class Sour:
            def __hash__(self) -> int:
                raise ZeroDivisionError

        flights: SingleFlight[Any] = SingleFlight()
        with pytest.raises(ZeroDivisionError):
            flights.do(Sour(), never)
        assert flights._flights == []

    def test_repr(self) -> None:
        """It says how many flights are in the air."""
        flights: SingleFlight[str] = SingleFlight()
        assert flights.do("a", lambda: flights.do("b", lambda: repr(flights))) == "<SingleFlight: 2 in progress>"

    @pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
    def test_copies(self, copied: Callable[[Any], Any]) -> None:
        """A copy has nothing in the air."""
        flights: SingleFlight[str] = SingleFlight()

        def func() -> str:
            other = copied(flights)
            assert type(other) is SingleFlight
            return other.do("key", lambda: "the copy's")

        assert flights.do("key", func) == "the copy's"

    def test_a_subclass(self) -> None:
        """It is copied as what it is, and says so."""

        class Named(SingleFlight[str]):
            pass

        assert type(copy.copy(Named())) is Named
        assert repr(Named()) == "<Named: 0 in progress>"

    def test_as_an_object(self) -> None:
        """Its name is the public one, it can be weakly referenced, and it has no length."""
        assert SingleFlight.__module__ == "safemem"
        assert weakref.ref(SingleFlight[str]()) is not None
        assert not hasattr(SingleFlight, "__len__")
        assert not hasattr(SingleFlight[str](), "__dict__")
