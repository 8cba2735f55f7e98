"""SingleFlight.do() keeps nothing, and leaves nothing for the collector."""

from __future__ import annotations

import contextvars
import gc
import sys
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from helpers.collect import Thing, freed_by_count, no_cyclic_garbage
from helpers.flights import Call, Slow, fail, join, never, tried, waits
from helpers.threads import until

from safemem import SingleFlight
from safemem.caches import circles


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
