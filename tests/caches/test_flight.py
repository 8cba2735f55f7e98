"""SingleFlight.do(): one run for all threads that ask at the same time, and no way to hang, to leak or to get somebody else's interruption."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import dis
import gc
import os
import pickle
import signal
import sys
import threading
import time
import traceback
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from helpers.collect import Thing, freed_by_count, no_cyclic_garbage
from helpers.threads import LIMIT, run_threads, switching_often

from safemem import SingleFlight
from safemem.caches import circles, flight, outcomes

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


def until(condition: Callable[[], object]) -> None:
    """Wait for something that another thread is about to do."""
    limit = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < limit, "it never happened"
        time.sleep(0.0005)


def waits(thread: threading.Thread | Call) -> bool:
    """Whether a thread stands before the gate of a flight."""
    frame = sys._current_frames().get(thread.ident or 0)
    return frame is not None and frame.f_code is flight._pass_gate.__code__


def never() -> Any:
    """A function that must not be run."""
    raise AssertionError


# There setting a context variable can crash the interpreter, so a thread's runs are not handed on with its context; see circles.enter.
needs_contexts = pytest.mark.skipif(sys.version_info < (3, 12), reason="Python 3.11 cannot say in a context what a thread runs")


class Call:
    """A call in a thread of its own, and what came of it."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call: Any = (function, arguments)
        self.value: Any = None
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        function, arguments = self.call
        try:
            self.value = function(*arguments)
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            self.error = error
        finally:
            del function, arguments, self.call, self  # the error leads to this frame

    @property
    def ident(self) -> int | None:
        """As of a thread."""
        return self.thread.ident

    def end(self) -> None:
        """Wait for the end."""
        self.thread.join(LIMIT)
        assert not self.thread.is_alive(), "the call hangs"

    def result(self) -> Any:
        """Wait for the end; return the value or raise the error."""
        self.end()
        if self.error is not None:
            raise self.error
        return self.value


class Slow:
    """A function that runs until it is let go, counts its runs, and then does what it was given to do."""

    def __init__(self, then: Callable[[], Any] = object) -> None:
        self.then = then
        self.runs = 0
        self.entered = threading.Event()
        self.leave = threading.Event()

    def __call__(self) -> Any:
        self.runs += 1
        self.entered.set()
        assert self.leave.wait(LIMIT)
        return self.then()

    def lead(self, flights: SingleFlight[Any], key: Any = "key") -> Call:
        """Have a thread lead a flight with this function; return when it is in the air."""
        call = Call(flights.do, key, self)
        assert self.entered.wait(LIMIT)
        return call


def join(flights: SingleFlight[Any], count: int, key: Any = "key", func: Callable[[], Any] = never) -> list[Call]:
    """Have threads join a flight; return when all wait."""
    calls = [Call(flights.do, key, func) for _ in range(count)]
    for call in calls:
        until(lambda call=call: waits(call))
    return calls


def fail() -> Any:
    """Raise."""
    raise LookupError("on purpose")


def tried(function: Callable[..., Any], *arguments: Any) -> None:
    """Call; what is raised is part of the programme."""
    try:
        function(*arguments)
    except BaseException:  # noqa: BLE001 - as the docstring says
        pass


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
                assert value > last or value == last
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


OURS = {module.__file__ for module in (circles, flight, outcomes)}


class Striker:
    """A trace function that raises KeyboardInterrupt at the n-th place where a signal handler may run while our code does."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.places = 0
        self.struck = False
        self._last: dict[Any, str] = {}
        self._names: dict[Any, dict[int, str]] = {}

    def __call__(self, frame: Any, event: str, _argument: Any) -> Any:
        if frame.f_code.co_filename not in OURS:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            names = self._names.get(frame.f_code)
            if names is None:
                names = self._names[frame.f_code] = {item.offset: item.opname for item in dis.get_instructions(frame.f_code)}
            # Handlers run after calls, at the start of a function, and when a loop jumps back.
            if self._last.get(frame, "").startswith(("CALL", "RESUME", "JUMP_BACKWARD")) and not self.struck:
                self.places += 1
                if self.places > self.at:
                    self.struck = True
                    self._last.clear()
                    raise KeyboardInterrupt
            self._last[frame] = names[frame.f_lasti]
        elif event == "return":
            self._last.pop(frame, None)
        return self

    def run(self, function: Callable[[], Any]) -> Any:
        """Run a function under this tracer."""
        before = sys.gettrace()
        sys.settrace(self)
        try:
            return function()
        finally:
            sys.settrace(before)


class TestInterruptedAnywhere:
    """A KeyboardInterrupt between any two instructions of ours."""

    @pytest.fixture(autouse=True)
    def rehearsal(self) -> None:
        """Some versions of Python trace the instructions of a function from its second run on."""
        Striker(sys.maxsize).run(lambda: SingleFlight[str]().do("key", lambda: "rehearsed"))

    def test_of_the_leader(self) -> None:
        """The next one who asks gets what he asked for, at once, and nothing stays behind."""
        struck, at = True, 0
        while struck:
            flights: SingleFlight[str] = SingleFlight()
            striker = Striker(at)
            tried(striker.run, lambda flights=flights: flights.do("key", lambda: "stale"))
            struck, at = striker.struck, at + 1
            assert Call(flights.do, "key", lambda: "fresh").result() == "fresh", at
            assert flights.do("key", lambda: "fresh") == "fresh", at
            assert flights._flights == [], at
            assert circles.enclosing() == [], at
            assert not circles.here().waits
        assert at > 10

    def test_of_a_leader_others_wait_for(self) -> None:
        """They take over, or get the value if there is one."""
        struck, at = True, 0
        while struck:
            flights: SingleFlight[str] = SingleFlight()
            waiters: list[Call] = []
            striker = Striker(at)

            def func(flights: Any = flights, waiters: Any = waiters) -> str:
                waiters += join(flights, 2, func=lambda: "theirs")
                return "ours"

            tried(striker.run, lambda flights=flights, func=func: flights.do("key", func))
            struck, at = striker.struck, at + 1
            assert {call.result() for call in waiters} <= {"ours", "theirs"}
            assert flights.do("key", lambda: "fresh") == "fresh", at
            assert flights._flights == [], at
        assert at > 10

    def test_of_one_who_joins(self) -> None:
        """The flight goes on for the others."""
        main = threading.current_thread()
        struck, at = True, 0
        while struck:
            flights: SingleFlight[str] = SingleFlight()
            slow = Slow()
            leader = slow.lead(flights)
            striker = Striker(at)
            letting_go = Call(lambda slow=slow, striker=striker: (until(lambda: waits(main) or striker.struck), slow.leave.set()))
            tried(striker.run, lambda flights=flights: flights.do("key", lambda: "fresh"))
            struck, at = striker.struck, at + 1
            slow.leave.set()
            letting_go.result()
            leader.result()
            assert flights.do("key", lambda: "fresh") == "fresh", at
            assert flights._flights == [], at
        assert at > 10


class TestCircles:
    """Nobody waits for himself, through however many others."""

    def test_the_same_key(self) -> None:
        """Asking for a key inside its own function is an error that names the key, and leaves the key free."""
        flights: SingleFlight[str] = SingleFlight()
        with pytest.raises(RecursionError, match="key 'egg' is asked for inside its own func"):
            flights.do("egg", lambda: flights.do("egg", never))
        assert flights.do("egg", lambda: 1) == 1

    def test_a_inside_b_inside_a(self) -> None:
        """The innermost is refused; who catches it goes on."""
        flights: SingleFlight[str] = SingleFlight()

        def hen() -> str:
            with pytest.raises(RecursionError):
                flights.do("egg", never)
            return "hen"

        assert flights.do("egg", lambda: flights.do("hen", hen)) == "hen"

    def test_in_another_context(self) -> None:
        """A thread is the same thread whatever context it runs in."""
        flights: SingleFlight[str] = SingleFlight()
        with pytest.raises(RecursionError):
            flights.do("key", lambda: contextvars.Context().run(flights.do, "key", never))

    @needs_contexts
    def test_a_helper_thread(self) -> None:
        """A thread that runs in the context of the function is a part of it."""
        flights: SingleFlight[str] = SingleFlight()

        def func() -> None:
            Call(contextvars.copy_context().run, flights.do, "key", never).result()

        with pytest.raises(RecursionError):
            flights.do("key", func)

    def test_a_helper_that_stayed(self) -> None:
        """When the function has returned, what it left behind is free to ask."""
        flights: SingleFlight[str] = SingleFlight()
        landed = threading.Event()

        def later() -> str:
            assert landed.wait(LIMIT)
            return flights.do("key", lambda: "asked again")

        helper = flights.do("key", lambda: Call(contextvars.copy_context().run, later))
        landed.set()
        assert helper.result() == "asked again"

    @needs_contexts
    def test_a_helper_that_waits_while_its_thread_closes_the_circle(self) -> None:
        """What a part waits for, the whole waits for."""
        flights: SingleFlight[str] = SingleFlight()
        slow = Slow(lambda: flights.do("a", never))
        other = slow.lead(flights, "b")

        def func() -> str:
            helper = Call(contextvars.copy_context().run, flights.do, "b", never)
            until(lambda: waits(helper))
            slow.leave.set()
            with pytest.raises(RecursionError):
                helper.result()
            return "a"

        assert flights.do("a", func) == "a"
        with pytest.raises(RecursionError):
            other.result()

    @pytest.mark.parametrize("length", [2, 3, 7])
    @pytest.mark.parametrize("objects", [1, 3])
    def test_threads(self, length: int, objects: int) -> None:
        """Of threads that ask for each other the one that closes the circle is refused; the others get their values."""
        several = [SingleFlight[int]() for _ in range(objects)]
        refused: list[int] = []
        here = threading.Barrier(length)

        def ask(number: int) -> Any:
            return several[number % length % objects].do(number % length, lambda: func(number % length))

        def func(number: int) -> str:
            here.wait(LIMIT)
            try:
                return ask(number + 1)
            except RecursionError:
                refused.append(number)
                return f"made by {number}"

        calls = [Call(ask, number) for number in range(length)]
        values = {call.result() for call in calls}
        assert values == {f"made by {refused[0]}"}
        assert len(refused) == 1

    def test_the_message_tells_the_length(self) -> None:
        """It names the key and says how many wait for each other."""
        flights: SingleFlight[str] = SingleFlight()
        slow = Slow(lambda: flights.do("here", never))
        other = slow.lead(flights, "there")

        def func() -> str:
            slow.leave.set()
            until(lambda: waits(other))
            return flights.do("there", never)

        with pytest.raises(RecursionError, match="'there' would close a circle of 2 "):
            flights.do("here", func)
        with pytest.raises(RecursionError, match="'there'"):
            other.result()

    def test_over_and_over(self) -> None:
        """However the threads are switched, exactly one of two is refused and none hangs."""
        one, other = SingleFlight[int](), SingleFlight[int]()
        rounds = 150
        refused: list[list[int]] = [[] for _ in range(rounds)]
        here = threading.Barrier(2)

        def work(number: int) -> None:
            mine, yours = (one, other) if number else (other, one)
            for turn in range(rounds):

                def func(turn: int = turn) -> None:
                    here.wait(LIMIT)
                    try:
                        yours.do(turn, never)
                    except RecursionError:
                        refused[turn].append(number)

                mine.do(turn, func)
                here.wait(LIMIT)

        with switching_often():
            run_threads(2, work)
        assert [len(turn) for turn in refused] == [1] * rounds

    def test_many_who_wait_are_no_circle(self) -> None:
        """Leaders may wait for one and the same flight, which may wait for another."""
        flights: SingleFlight[Any] = SingleFlight()
        slow = Slow(lambda: "end")
        first = slow.lead(flights, "end")
        middle = Call(flights.do, "middle", lambda: flights.do("end", never))
        until(lambda: waits(middle))
        leaders = [Call(flights.do, number, lambda: flights.do("middle", never)) for number in range(5)]
        for leader in leaders:
            until(lambda leader=leader: waits(leader))
        slow.leave.set()
        assert {call.result() for call in (first, middle, *leaders)} == {"end"}

    def test_who_was_refused_may_ask_again(self) -> None:
        """A refusal leaves no trace: after the flight has landed the same question is fine."""
        flights: SingleFlight[str] = SingleFlight()
        slow = Slow(lambda: "there")
        other: list[Call] = []

        def func() -> str:
            other.append(Call(flights.do, "there", lambda: flights.do("here", never)))
            until(lambda: waits(other[0]))
            with pytest.raises(RecursionError):
                flights.do("there", never)
            return "here"

        assert flights.do("here", func) == "here"
        assert other[0].result() == "here"
        slow.leave.set()
        assert flights.do("here", lambda: flights.do("there", slow)) == "there"

    def test_a_chain_of_contexts_does_not_grow(self) -> None:
        """Threads that start each other from inside flights for ever do not pile up what is over."""
        flights: SingleFlight[int] = SingleFlight()
        ends: list[int] = []
        done = threading.Event()

        def link(number: int) -> None:
            if number == 50:
                depth, run = 0, circles.innermost.get()
                while run is not None:
                    depth, run = depth + 1, run.outer
                ends.append(depth)
                done.set()
                return
            landed = threading.Event()
            flights.do(number, lambda: Call(contextvars.copy_context().run, later, landed, number + 1))
            landed.set()

        def later(landed: threading.Event, number: int) -> None:
            assert landed.wait(LIMIT)
            link(number)

        link(0)
        assert done.wait(LIMIT)
        assert ends[0] <= 3


class Bell:
    """In a cycle with itself; asks when the collector finds it."""

    def __init__(self, ask: Callable[[], Any]) -> None:
        self.ask = ask
        self.myself = self

    def __del__(self) -> None:
        self.ask()


class TestCallbacks:
    """User code that asks from the worst places."""

    def test_a_finaliser_inside_a_function(self) -> None:
        """It may ask for other keys."""
        flights: SingleFlight[str] = SingleFlight()
        answers: list[str] = []

        def func() -> str:
            Bell(lambda: answers.append(flights.do("other", lambda: "inner")))
            gc.collect()
            return "outer"

        assert flights.do("key", func) == "outer"
        assert answers == ["inner"]

    def test_finalisers_everywhere(self) -> None:
        """The collector may run one at any point in any thread: they ask, wait and lead, and nobody hangs."""
        flights: SingleFlight[int] = SingleFlight()
        answers: list[int] = []

        def ask() -> None:
            try:
                answers.append(flights.do(len(answers) % 3, lambda: 1))
            except RecursionError:  # it came in the middle of the very same flight
                answers.append(0)

        def work(number: int) -> None:
            for turn in range(100):
                Bell(ask)
                try:
                    flights.do((turn + number) % 3, lambda turn=turn: flights.do(3 + turn % 2, lambda: Bell(ask)))
                except RecursionError:
                    assert number >= 0

        before = gc.get_threshold()
        gc.set_threshold(5, 2, 2)
        try:
            with switching_often():
                run_threads(4, work)
        finally:
            gc.set_threshold(*before)
            gc.collect()
        assert len(answers) >= 400
        assert flights._flights == []

    def test_comparing_asks_the_same_object(self) -> None:
        """`__eq__` of a key may ask for another key."""
        flights: SingleFlight[Any] = SingleFlight()
        answers: list[str] = []

        class Curious:
            def __hash__(self) -> int:
                return 1

            def __eq__(self, other: object) -> bool:
                answers.append(flights.do("other", lambda: "inner"))
                return isinstance(other, Curious)

        slow = Slow()
        leader = slow.lead(flights, Curious())
        waiter = join(flights, 1, Curious())[0]
        slow.leave.set()
        assert waiter.result() is leader.result()
        assert answers == ["inner"]

    def test_comparing_raises(self) -> None:
        """It is the asker's problem alone."""
        flights: SingleFlight[Any] = SingleFlight()

        class Sour:
            def __hash__(self) -> int:
                return 1

            def __eq__(self, other: object) -> bool:
                raise ZeroDivisionError

        slow = Slow()
        leader = slow.lead(flights, Sour())
        with pytest.raises(ZeroDivisionError):
            flights.do(Sour(), never)
        slow.leave.set()
        leader.result()
        assert flights._flights == []

    def test_a_key_that_changes_while_it_flies(self) -> None:
        """It lands all the same, and nothing of it stays."""
        flights: SingleFlight[Any] = SingleFlight()

        class Changing:
            number = 1

            def __hash__(self) -> int:
                return self.number

        key = Changing()

        def func() -> str:
            key.number = 2
            return "value"

        assert flights.do(key, func) == "value"
        assert flights._flights == []

    def test_user_code_of_a_key_that_does_not_end(self) -> None:
        """One who is caught in the `__eq__` of his key keeps nobody else from anything."""
        flights: SingleFlight[Any] = SingleFlight()
        comparing, go_on = threading.Event(), threading.Event()

        class Endless:
            def __hash__(self) -> int:
                return hash("key")

            def __eq__(self, other: object) -> bool:
                comparing.set()
                go_on.wait(LIMIT)
                return False

        slow = Slow()
        leader = slow.lead(flights)
        stuck = Call(flights.do, Endless(), lambda: "unstuck")
        assert comparing.wait(LIMIT)
        waiter = join(flights, 1)[0]
        slow.leave.set()
        assert waiter.result() is leader.result()
        assert flights.do("free", lambda: "free") == "free"
        go_on.set()
        assert stuck.result() == "unstuck"


class TestLettingGo:
    """Nothing is kept, and nothing is left for the collector."""

    def test_key_function_and_result(self) -> None:
        """All go with the last who took part, waiters included."""
        flights: SingleFlight[Any] = SingleFlight()
        with freed_by_count() as watched:
            key, slow = Thing(), Slow(Thing)
            leader = slow.lead(flights, key)
            waiter = join(flights, 1, key)[0]
            slow.leave.set()
            assert leader.result() is waiter.result()
            watched += [weakref.ref(key), weakref.ref(slow), weakref.ref(leader.value)]
            del key, slow, leader, waiter

    def test_a_context_that_lives_on(self) -> None:
        """Who inherited the context of a flight does not keep the key, the function or the result."""
        flights: SingleFlight[Any] = SingleFlight()
        contexts = []

        class Func:
            def __call__(self) -> Thing:
                contexts.append(contextvars.copy_context())
                return Thing()

        with freed_by_count() as watched:
            key, func = Thing(), Func()
            value = flights.do(key, func)
            watched += [weakref.ref(key), weakref.ref(func), weakref.ref(value)]
            del key, func, value
        assert contexts

    def test_of_a_failure(self) -> None:
        """The exception goes with the last who caught it."""
        flights: SingleFlight[Any] = SingleFlight()

        class Failure(Exception):
            pass

        def func() -> None:
            raise Failure

        with freed_by_count() as watched:
            key, slow = Thing(), Slow(func)
            calls = [slow.lead(flights, key), *join(flights, 2, key)]
            slow.leave.set()
            for call in calls:
                call.end()
            watched += [weakref.ref(key), weakref.ref(calls[0].error), weakref.ref(flights)]
            del key, slow, calls, call, flights

    @pytest.mark.parametrize("outcome", [Thing, fail, sys.exit, lambda: None])
    def test_no_garbage(self, outcome: Callable[[], Any]) -> None:
        """Alone and with others, however it ends."""
        flights: SingleFlight[Any] = SingleFlight()
        with no_cyclic_garbage(), freed_by_count() as watched:
            tried(flights.do, "key", outcome)
            slow = Slow(outcome)
            calls = [slow.lead(flights), *join(flights, 3, func=outcome)]
            slow.leave.set()
            for call in calls:
                call.end()
            watched.append(weakref.ref(slow))
            del slow, calls, call

    def test_no_garbage_of_circles(self) -> None:
        """Refusals leave nothing either."""

        def circles_of_every_kind() -> weakref.ref[Any]:
            flights: SingleFlight[Any] = SingleFlight()
            tried(flights.do, "a", lambda: flights.do("a", never))
            tried(flights.do, "a", lambda: flights.do("b", lambda: flights.do("a", never)))
            slow = Slow(lambda: flights.do("here", never))
            other = slow.lead(flights, "there")

            def func() -> Any:
                slow.leave.set()
                until(lambda: waits(other))
                return flights.do("there", never)

            tried(flights.do, "here", func)
            other.end()
            other.error = None  # it leads to this frame
            return weakref.ref(flights)

        with no_cyclic_garbage(), freed_by_count() as watched:
            watched.append(circles_of_every_kind())

    def test_a_thread_leaves_nothing(self) -> None:
        """What stands for a thread goes with it."""
        flights: SingleFlight[str] = SingleFlight()

        def number_of_threads() -> int:
            return sum(type(item) is circles.Thread for item in gc.get_objects())

        before = number_of_threads()
        call = Call(flights.do, "key", number_of_threads)
        assert call.result() == before + 1
        until(lambda: number_of_threads() == before)


def in_child(work: Callable[[], object]) -> int:
    """Fork; run `work` in the child; return its exit status."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads around is what is tested here
        pid = os.fork()
    if pid == 0:
        status = 1
        try:
            signal.alarm(int(LIMIT))
            work()
            status = 0
        except BaseException:  # noqa: BLE001 - a child must not return into pytest
            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@forks
class TestFork:
    """In the child there is only the thread that forked."""

    def test_a_flight_of_another_thread(self) -> None:
        """It does not exist in the child: who asks there leads a flight of his own."""
        flights: SingleFlight[str] = SingleFlight()
        slow = Slow()
        leader = slow.lead(flights)
        waiters = join(flights, 2)

        def child() -> None:
            assert repr(flights) == "<SingleFlight: 0 in progress>"
            assert flights.do("key", lambda: "the child's") == "the child's"
            assert Call(flights.do, "key", lambda: "a thread's").result() == "a thread's"
            assert flights._flights == []

        assert in_child(child) == 0
        slow.leave.set()
        assert {id(call.result()) for call in (leader, *waiters)} == {id(leader.value)}

    def test_a_flight_of_the_thread_that_forks(self) -> None:
        """It lives on in both: threads of the child wait for it, and it lands there too."""
        flights: SingleFlight[str] = SingleFlight()
        statuses: list[int] = []
        pids: list[int] = []

        def func() -> str:
            def child() -> None:
                with pytest.raises(RecursionError):
                    flights.do("key", never)
                pids.append(os.getpid())
                waiter.extend(join(flights, 1))

            waiter: list[Call] = []
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                pid = os.fork()
            if pid:
                statuses.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                return "the parent's"
            try:
                signal.alarm(int(LIMIT))
                child()
                waiters.extend(waiter)
            except BaseException:  # noqa: BLE001 - a child must not return into pytest
                traceback.print_exc()
                os._exit(2)
            return "the child's"

        waiters: list[Call] = []
        value = flights.do("key", func)
        if pids:  # the child
            good = value == "the child's" and waiters[0].result() == "the child's" and flights.do("key", lambda: "next") == "next"
            os._exit(0 if good else 1)
        assert value == "the parent's"
        assert statuses == [0]

    def test_who_waits_in_the_parent_is_nobodys_circle_in_the_child(self) -> None:
        """What other threads were waiting for at the fork is over in the child."""
        flights: SingleFlight[str] = SingleFlight()
        statuses: list[int] = []
        slow = Slow()

        def func() -> None:
            other = Call(flights.do, "other", lambda: flights.do("mine", never))
            until(lambda: waits(other))

            def child() -> None:
                assert flights.do("other", lambda: "the child's") == "the child's"
                # Threads of the child may get the identifiers that the dead ones had.
                for _ in range(20):
                    assert Call(flights.do, "other", lambda: "a thread's").result() == "a thread's"

            statuses.append(in_child(child))

        flights.do("mine", func)
        slow.leave.set()
        assert statuses == [0]

    def test_in_the_middle_of_everything(self) -> None:
        """Forks while other threads lead and wait, and all children get what they ask for."""
        flights: SingleFlight[int] = SingleFlight()
        stop = threading.Event()

        def work() -> None:
            while not stop.is_set():
                flights.do(1, lambda: flights.do(2, lambda: 2))

        calls = [Call(work) for _ in range(4)]
        try:
            for _ in range(10):
                assert in_child(lambda: (flights.do(1, lambda: 1), flights.do(2, lambda: 2))) == 0
        finally:
            stop.set()
        for call in calls:
            call.result()


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
