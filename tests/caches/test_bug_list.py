"""Every class of bug known from other caches, with its own original scenario; numbered as in the list they come from.

Whole files go deeper into most of them: test_fuse (1, 2), test_flight and its sisters, test_cached_threads (3), test_keys (4, 7), test_time_clocks (5), test_iteration (6),
test_contract_on_remove (8), test_cycle_free and tests/isolated (9), test_contract_copy (10), test_threads (11), test_contract_bounds (12). 8 to 13 are in
test_bug_list_more.
"""

from __future__ import annotations

import asyncio
import gc
import math
import pickle
import threading
import weakref
from typing import Any, ClassVar

import pytest
from helpers.clock import SHARED, Clock, shared_clock
from helpers.collect import Thing
from helpers.kinds import WEAK, Kind
from helpers.threads import run_threads, switching_often

from safemem import LRUCache, SingleFlight, TTLCache, cached


class TestReentrancyUnderALock:
    """1: user code that touches the cache while the cache is at work."""

    def test_eq_of_a_key(self, kind: Kind) -> None:
        """A comparison may read the cache it is made for."""
        cache = kind.make()

        class Key:
            def __hash__(self) -> int:
                return 1

            def __eq__(self, other: object) -> bool:
                cache.get("other")
                return self is other

        cache[Key()] = 1
        cache[Key()] = 2
        assert len(cache) == 2

    @pytest.mark.parametrize(
        "let_go", [lambda c: c.__setitem__("b", 1), lambda c: c.clear(), lambda c: c.pop("a")], ids=["evict", "clear", "pop"]
    )
    def test_del_of_a_value(self, kind: Kind, let_go: Any) -> None:
        """A finaliser may pop its own key."""
        cache = kind.make(1)

        class Value:
            popped: ClassVar[list[object]] = []

            def __del__(self) -> None:
                Value.popped.append(cache.pop("a", "gone"))

        cache["a"] = Value()
        let_go(cache)
        # What is let go of without being removed can still be found by its own finaliser, as weak references can.
        found = kind is WEAK and isinstance(Value.popped[0], Value)
        assert Value.popped == ["gone"] or found

    def test_del_of_an_expired_value(self, timed: Kind, clock: Clock) -> None:
        """So may that of an expired value."""
        cache = timed.make(ttl=1, clock=clock)
        popped: list[object] = []

        class Value:
            def __del__(self) -> None:
                popped.append(cache.pop("a", "gone"))

        cache["a"] = Value()
        clock.tick()
        assert len(cache) == 0
        assert popped == ["gone"]

    def test_getsizeof_in_update(self, kind: Kind) -> None:
        """A getsizeof may touch the cache in the middle of update()."""
        cache: Any = None

        def weigh(_value: object) -> int:
            cache.get("a")
            cache.pop("b", None)
            return 1

        cache = kind.make(getsizeof=weigh)
        cache.update(a=1, b=2, c=3)
        assert dict(cache) == {"a": 1, "c": 3}

    def test_eq_of_a_value_in_comparison(self, kind: Kind) -> None:
        """A value's comparison may touch the cache in `==`."""
        cache = kind.make()

        class Value:
            __hash__ = None

            def __eq__(self, other: object) -> bool:
                cache["b"] = 2
                return True

        cache["a"] = Value()
        assert cache == {"a": 1}


class TestCollectorAgainstLock:
    """2: the collector and weak reference callbacks run wherever they like, on the thread that is inside the cache."""

    def test_finaliser_during_a_load(self, kind: Kind) -> None:
        """A collection inside a factory may finalise what uses the cache."""
        cache = kind.make(3)

        class Cyclic:
            def __init__(self) -> None:
                self.me = self

            def __del__(self) -> None:
                cache["from del"] = 1
                cache.setdefault("x", 2)

        def factory() -> int:
            Cyclic()
            gc.collect()
            return 5

        assert cache.get_or_create("a", factory) == 5
        assert cache["from del"] == 1

    def test_weakref_callback_that_uses_the_cache(self, kind: Kind) -> None:
        """A weak reference callback may delete from the cache that just let go of the object."""
        cache = kind.make(2)
        called: list[object] = []
        value = Thing()
        reference = weakref.ref(value, lambda _: called.append(cache.pop("b", None)))
        cache["a"] = value
        del value
        cache.update(b=1, c=2)
        assert reference() is None
        assert called == [1]
        assert list(cache) == ["c"]

    def test_finalize_in_many_threads(self) -> None:
        """weakref.finalize callbacks that use the cache, in threads that use the cache."""
        cache: LRUCache[Any, Any] = LRUCache(5)

        def work(number: int) -> None:
            for step in range(200):
                value = Thing()
                weakref.finalize(value, cache.pop, (number, step), None)
                cache[number, step] = value

        with switching_often():
            run_threads(4, work)
        cache._check()


class TestSingleFlight:
    """3: the hazards of one computation for many."""

    def test_the_same_key_inside_itself(self, kind: Kind) -> None:
        """Asking for a key inside its own factory raises RecursionError and leaves the key free."""
        cache = kind.make()
        with pytest.raises(RecursionError):
            cache.get_or_create("a", lambda: cache.get_or_create("a", int))
        assert cache.get_or_create("a", lambda: 1) == 1

    def test_a_inside_b_inside_a(self, kind: Kind) -> None:
        """So does a circle of keys."""
        cache = kind.make()
        with pytest.raises(RecursionError):
            cache.get_or_create("a", lambda: cache.get_or_create("b", lambda: cache.get_or_create("a", int)))
        assert len(cache) == 0
        assert cache.get_or_create("b", lambda: 2) == 2

    def test_an_exception_leaves_nothing_set(self, kind: Kind) -> None:
        """After a failure the next call tries again."""
        cache = kind.make()
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                cache.get_or_create("a", lambda: 1 // 0)
        assert cache.get_or_create("a", lambda: 1) == 1

    @pytest.mark.parametrize("moment", range(1, 7))
    def test_a_flight_that_lands_in_between(self, kind: Kind, moment: int) -> None:
        """Whenever another thread's flight lands, between any two looks of ours at the key, the factory runs once."""
        cache = kind.make()
        calls: list[int] = []
        hashed: list[int] = []

        class Key:
            def __hash__(self) -> int:
                return 1

            def __eq__(self, other: object) -> bool:
                return isinstance(other, Key)

        class Watched(Key):
            def __hash__(self) -> int:
                hashed.append(1)
                if len(hashed) == moment:
                    thread.start()
                    thread.join(0.1)  # it may have to wait for us
                return 1

        def factory() -> object:
            calls.append(1)
            return object()

        thread = threading.Thread(target=lambda: got.append(cache.get_or_create(Key(), factory)))
        got: list[object] = []
        got.append(cache.get_or_create(Watched(), factory))
        if len(hashed) >= moment:
            thread.join(10)
        assert len(calls) == 1
        assert len(set(got)) == 1

    def test_waiters_do_not_retry_one_by_one(self, kind: Kind) -> None:
        """A failure reaches all that wait for it at once: the factory ran once for them."""
        cache = kind.make()
        calls: list[int] = []
        entered, leave = threading.Event(), threading.Event()
        errors: list[BaseException] = []

        def factory() -> None:
            calls.append(1)
            entered.set()
            leave.wait(10)
            raise LookupError

        def ask(_number: int = 0) -> None:
            try:
                cache.get_or_create("a", factory)
            except LookupError as error:
                errors.append(error)

        first = threading.Thread(target=ask)
        first.start()
        entered.wait(10)
        rest = [threading.Thread(target=ask) for _ in range(4)]
        for thread in rest:
            thread.start()
        while cache.stats().misses < 5:
            threading.Event().wait(0.001)
        threading.Event().wait(0.02)
        leave.set()
        for thread in (first, *rest):
            thread.join(10)
        assert len(errors) == 5
        assert len(calls) < 5, "each waiter tried again"

    def test_maxsize_zero_does_not_serialise(self) -> None:
        """With maxsize 0 calls run side by side."""
        barrier = threading.Barrier(3, timeout=10)

        @cached(maxsize=0)
        def together() -> int:
            return barrier.wait()

        results: list[int] = []
        run_threads(3, lambda _number: results.append(together()))
        assert sorted(results) == [0, 1, 2]

    def test_instances_share_nothing(self) -> None:
        """An error or a wait of one instance is nothing to another."""

        class Owner:
            def __init__(self, *, fails: bool) -> None:
                self.fails = fails

            @cached
            def method(self, x: int) -> int:
                if self.fails:
                    raise ValueError(x)
                return x

        entered = threading.Barrier(2, timeout=10)
        outcomes: dict[int, object] = {}

        def work(number: int) -> None:
            owner = Owner(fails=bool(number))
            entered.wait()
            try:
                outcomes[number] = owner.method(1)
            except ValueError as error:
                outcomes[number] = str(error)

        run_threads(2, work)
        assert outcomes == {0: 1, 1: "1"}

    def test_failed_tasks_are_not_kept(self) -> None:
        """In asyncio too a failure is tried again, and one caller's cancellation is not another's."""

        async def main() -> None:
            calls: list[int] = []

            @cached
            async def function() -> int:
                calls.append(1)
                await asyncio.sleep(0)
                if len(calls) == 1:
                    raise LookupError
                return 5

            with pytest.raises(LookupError):
                await function()
            first = asyncio.ensure_future(function())
            second = asyncio.ensure_future(function())
            await asyncio.sleep(0)
            first.cancel()
            assert await second == 5
            assert len(calls) == 2
            assert first.cancelled() or await asyncio.wait([first])

        asyncio.run(main())

    def test_one_function_many_event_loops(self) -> None:
        """A cached coroutine function belongs to no loop."""

        @cached
        async def function(x: int) -> int:
            await asyncio.sleep(0)
            return x

        assert [asyncio.run(function(x)) for x in (1, 1, 2)] == [1, 1, 2]
        assert function.cache_info()[:2] == (1, 2)

    def test_a_shared_exception_does_not_grow(self, kind: Kind) -> None:
        """Raising one exception to many callers does not lengthen its traceback each time."""
        cache = kind.make()
        entered, leave = threading.Event(), threading.Event()
        lengths: list[int] = []

        def factory() -> None:
            entered.set()
            leave.wait(10)
            raise LookupError

        def ask(_number: int) -> None:
            try:
                cache.get_or_create("a", factory)
            except LookupError as error:
                traceback, length = error.__traceback__, 0
                while traceback is not None:
                    traceback, length = traceback.tb_next, length + 1
                lengths.append(length)

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(12)]
        for thread in threads:
            thread.start()
        while cache.stats().misses < len(threads):
            threading.Event().wait(0.001)
        leave.set()
        for thread in threads:
            thread.join(10)
        assert len(lengths) == len(threads)
        assert max(lengths) <= 12


class TestIdentityByHash:
    """4: a hash is not a key."""

    def test_minus_one_and_minus_two(self, kind: Kind) -> None:
        """Deleting and storing -1 leaves -2 alone."""
        cache = kind.make()
        cache[-2] = "two"
        with pytest.raises(KeyError):
            del cache[-1]
        cache[-1] = "one"
        assert dict(cache) == {-2: "two", -1: "one"}

    def test_flights_by_hash(self) -> None:
        """Flights for -1 and -2 are two flights."""
        flights = SingleFlight()
        assert flights.do(-1, lambda: flights.do(-2, lambda: "inner")) == "inner"


class TestTime:
    """5: clocks."""

    def test_a_clock_set_back_hides_nothing(self, timed: Kind) -> None:
        """The original scenario: a at 100, clock back, b; both expire in their time, for every way of looking."""
        clock = Clock(100)
        cache = timed.make(ttl=10, clock=clock)
        cache["a"] = 1
        clock.jump(50)
        cache["b"] = 2
        clock.jump(60)
        assert list(cache) == []
        assert len(cache) == 0

    def test_ttl_nan(self) -> None:
        """A life of NaN is refused."""
        with pytest.raises(ValueError, match="nan"):
            TTLCache(5, math.nan)

    def test_maxsize_nan(self, kind: Kind) -> None:
        """A bound of NaN is no bound, and refused."""
        with pytest.raises(ValueError, match="nan"):
            kind.make(math.nan)

    def test_pickled_deadlines(self, timed: Kind) -> None:
        """A pickle of a process that started long ago is not immortal in a young one, nor dead in an older one."""
        for there in (10.0, 1e9):
            SHARED.jump(1e6)
            cache = timed.make(ttl=10, clock=shared_clock)
            cache["a"] = 1
            data = pickle.dumps(cache)
            SHARED.jump(there)
            loaded = pickle.loads(data)
            assert loaded.ttl_of("a") == 10


class TestExpiryInIteration:
    """6: iterating while things change."""

    def test_storing_again(self, timed: Kind) -> None:
        """The original scenario: six keys, set again in the loop, seen six times."""
        cache = timed.make(10, ttl=10)
        cache.update((number, number) for number in range(6))
        assert len([cache.__setitem__(key, key) for key in cache]) == 6

    def test_clear_in_the_loop(self, timed: Kind) -> None:
        """After clear() the loop shows no removed keys."""
        cache = timed.make(10, ttl=10)
        cache.update((number, number) for number in range(6))
        assert [(key, cache.clear())[0] for key in cache] == [0]

    def test_expiring_in_the_loop(self, timed: Kind, clock: Clock) -> None:
        """Expiring some in the loop skips no others."""
        cache = timed.make(10, ttl=10, clock=clock)
        for number in range(6):
            cache.set(number, number, ttl=number + 0.5)
        assert [(key, clock.tick(), cache.expire())[0] for key in cache] == [0, 1, 2, 3, 4, 5]


class TestHashAndEq:
    """7: keys with moods."""

    def test_mutated_hash(self, kind: Kind) -> None:
        """A key whose hash changed wedges nothing: every later insert works."""
        cache = kind.make(2)

        class Key:
            number = 1

            def __hash__(self) -> int:
                return self.number

        key = Key()
        cache[key] = 1
        key.number = 2
        for number in range(10):
            cache[number] = number
        assert list(cache) == [8, 9]

    def test_hash_errors_are_not_swallowed(self, kind: Kind) -> None:
        """get() does not turn a failing `__hash__` into a miss."""

        class Key:
            def __hash__(self) -> int:
                raise LookupError

        with pytest.raises(LookupError):
            kind.make().get(Key(), "default")

    def test_key_error_from_eq(self, kind: Kind) -> None:
        """A KeyError from `__eq__` is not a miss."""

        class Key:
            def __hash__(self) -> int:
                return 1

            def __eq__(self, other: object) -> bool:
                msg = "from eq"
                raise KeyError(msg)

        cache = kind.make()
        cache[Key()] = 1
        for operation in (cache.get, cache.pop, cache.peek, cache.setdefault, cache.__contains__):
            with pytest.raises(KeyError, match="from eq"):
                operation(Key(), *([None] if operation == cache.pop else []))
        with pytest.raises(KeyError, match="from eq"):
            cache.get_or_create(Key(), int)
