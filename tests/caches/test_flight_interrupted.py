"""SingleFlight.do() with interrupts, finalisers and other people's code in its worst places."""

from __future__ import annotations

import gc
import sys
import threading
from _thread import allocate_lock
from typing import Any

import pytest
from helpers.flights import Bell, Call, Slow, join, never, tried, waits
from helpers.interject import Striker
from helpers.threads import LIMIT, run_threads, switching_often, until

from safemem import SingleFlight
from safemem.caches import circles, flight, outcomes


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
            assert all(wait.over for wait in circles.here().waits), at
            slow.leave.set()
            letting_go.result()
            leader.result()
            assert flights.do("key", lambda: "fresh") == "fresh", at
            assert flights._flights == [], at
        assert at > 10

    def test_what_an_interrupt_left_behind(self) -> None:
        """A wait that could not be taken away is, by the next wait of that thread."""
        wait = circles.Wait(circles.Run(circles.here(), None))
        wait.over = True
        circles.here().waits.add(wait)
        flights: SingleFlight[str] = SingleFlight()
        tried(flights.do, "key", lambda: flights.do("key", never))
        assert not circles.here().waits


class TestInterjections:
    """Something that happens between any two instructions of ours."""

    def test_a_landing_and_one_who_asks_after_it(self) -> None:
        """What had landed before one asked is not what one gets, whoever was about to withdraw."""
        struck, at = True, 0
        while struck:
            flights: SingleFlight[str] = SingleFlight()
            slow = Slow(lambda: "stale")
            leader = slow.lead(flights)
            late: list[Call] = []

            def land_and_ask(flights: Any = flights, slow: Any = slow, leader: Any = leader, late: Any = late) -> None:
                slow.leave.set()
                leader.end()
                late.append(call := Call(flights.do, "key", lambda: "fresh"))
                until(lambda: waits(call) or not call.thread.is_alive())

            # One who looked before that flight was there, and finds it when his own is in the list.
            mine = outcomes.Flight("key", hash("key"), circles.Run(circles.here(), allocate_lock()))
            striker = Striker(at, land_and_ask)
            striker.run(lambda flights=flights, mine=mine: flight._lead(flights._flights, mine, lambda: "fresh", None))
            struck, at = striker.struck, at + 1
            slow.leave.set()
            leader.result()
            assert [call.result() for call in late] == ["fresh"] * striker.struck, at
            assert flights._flights == [], at
        assert at > 5

    @pytest.mark.parametrize("key", ["key", "other"])
    @pytest.mark.parametrize("joining", [False, True])
    def test_one_who_asks(self, key: str, joining: bool) -> None:
        """A finaliser or handler gets a value, or a RecursionError in the middle of the very same flight; what it interrupted goes on."""
        main = threading.current_thread()
        struck, at = True, 0
        while struck:
            flights: SingleFlight[str] = SingleFlight()
            slow = Slow(lambda: "theirs")
            answers: list[str] = []

            def ask(flights: Any = flights, slow: Any = slow, answers: Any = answers) -> None:
                slow.leave.set()
                try:
                    answers.append(flights.do(key, lambda: "handler's"))
                except RecursionError:
                    answers.append("refused")

            striker = Striker(at, ask)
            calls = [slow.lead(flights)] if joining else []
            if joining:
                calls.append(Call(lambda slow=slow, striker=striker: (until(lambda: waits(main) or striker.struck), slow.leave.set())))
            assert striker.run(lambda flights=flights: flights.do("key", lambda: "ours")) in ({"ours", "theirs"} if joining else {"ours"})
            struck, at = striker.struck, at + 1
            for call in calls:
                call.result()
            assert set(answers) <= ({"handler's", "theirs", "refused"} if key == "key" else {"handler's"})
            assert len(answers) == struck
            assert flights._flights == [], at
            assert not circles.here().waits, at
            assert circles.enclosing() == [], at
        assert at > 10


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
