"""SingleFlight.do(): nobody waits for himself, through however many others."""

from __future__ import annotations

import contextvars
import threading
from typing import Any

import pytest
from helpers.flights import Call, Slow, needs_contexts, never, waits
from helpers.threads import LIMIT, run_threads, switching_often, until

from safemem import SingleFlight
from safemem.caches import circles


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

    def test_asking_again_and_again(self) -> None:
        """However often one is refused, those who wait do not pile up what it was about."""
        flights: SingleFlight[str] = SingleFlight()
        slow = Slow(lambda: flights.do("here", never))
        other = slow.lead(flights, "there")

        def func() -> str:
            slow.leave.set()
            until(lambda: waits(other))
            for _ in range(100):
                with pytest.raises(RecursionError):
                    flights.do("there", never)
            (there,) = [flight for flight in flights._flights if flight.key == "there"]
            assert all(not wait.claims for wait in there.run.waits | there.run.thread.waits)
            return "here"

        assert flights.do("here", func) == "here"
        assert other.result() == "here"

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
