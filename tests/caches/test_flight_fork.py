"""SingleFlight.do() in a forked child, where there is only the thread that forked."""

from __future__ import annotations

import os
import signal
import threading
import traceback
import warnings

import pytest
from helpers.flights import Call, Slow, join, never, waits
from helpers.forks import forks, in_child
from helpers.threads import LIMIT, until

from safemem import SingleFlight


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

    def test_by_a_handler_while_its_thread_waits(self) -> None:
        """In the child the wait is over, as nobody is left to wait for: who waited there leads a flight of his own."""
        flights: SingleFlight[str] = SingleFlight()
        slow = Slow(lambda: "the parent's")
        leader = slow.lead(flights)
        main = threading.main_thread()
        pids: list[int] = []

        def fork(*_: object) -> None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                pids.append(os.fork())
            if not pids[0]:
                signal.alarm(int(LIMIT))

        def strike() -> int:
            until(lambda: waits(main))
            signal.pthread_kill(main.ident or 0, signal.SIGUSR1)
            until(lambda: pids)
            status = os.waitstatus_to_exitcode(os.waitpid(pids[0], 0)[1])
            slow.leave.set()
            return status

        handler = signal.signal(signal.SIGUSR1, fork)
        try:
            striker = Call(strike)
            value = flights.do("key", lambda: "the child's")
            if not pids[0]:
                os._exit(0 if value == "the child's" and flights.do("key", lambda: "next") == "next" else 1)
        finally:
            if pids and not pids[0]:
                os._exit(2)
            signal.signal(signal.SIGUSR1, handler)
        assert value == leader.result() == "the parent's"
        assert striker.result() == 0

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
