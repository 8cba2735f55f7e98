"""Every class of bug known from other caches, one test or more each; the names are those of the list.

The list is kept with the concept pages; what concerns decorators is tested in test_cached_functions, test_cached_methods, test_cached_async and
test_cached_threads, iteration in test_iteration, keys in test_keys, clocks in test_time, callbacks in test_contract_on_remove, and the whole matrix of
re-entrancy in test_fuse. Here each item has at least its own original scenario.
"""

from __future__ import annotations

import asyncio
import copy
import gc
import math
import pickle
import threading
import weakref
from typing import Any

import pytest
from helpers.clock import SHARED, Clock, shared_clock
from helpers.collect import Thing, freed_by_count
from helpers.kinds import TTL, Kind
from helpers.threads import run_threads, switching_often

from safemem import LRUCache, SingleFlight, TTLCache, cached, lru_cache


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
            popped: list[object] = []

            def __del__(self) -> None:
                Value.popped.append(cache.pop("a", "gone"))

        cache["a"] = Value()
        let_go(cache)
        assert Value.popped == ["gone"]

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
        assert len(calls) == 1

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


class TestCallbacks:
    """8: on_remove and overridden popitem."""

    def test_a_callback_that_inserts_does_not_overfill(self, kind: Kind) -> None:
        """The original scenario: the bound holds."""
        extra = iter(range(1000, 1010))

        def insert(*_: object) -> None:
            for key in extra:
                cache[key] = key

        cache = kind.make(2, on_remove=insert)
        for number in range(6):
            cache[number] = number
            assert len(cache) <= 2

    def test_a_callback_that_deletes_what_is_being_stored(self, kind: Kind) -> None:
        """Deleting the new key from inside raises no KeyError out of the store."""
        cache = kind.make(1, on_remove=lambda *_: cache.pop("b", None))
        cache["a"] = 1
        cache["b"] = 2
        assert len(cache) == 0

    def test_a_raising_callback_leaves_no_ghost(self, kind: Kind) -> None:
        """The evicted is gone and the new is there, whatever the callback raises."""
        from helpers.recorder import unraisable

        def fails(*_: object) -> None:
            raise LookupError

        cache = kind.make(1, on_remove=fails)
        with unraisable() as caught:
            cache.update(a=1, b=2)
        assert dict(cache) == {"b": 2}
        assert len(caught) == 1

    def test_a_callback_in_two_threads(self, kind: Kind) -> None:
        """Callbacks in many threads at once are each told their own."""
        told: list[int] = []
        cache = kind.make(10, on_remove=lambda key, _value, _cause: told.append(key))
        with switching_often():
            run_threads(4, lambda number: cache.update((number * 1000 + step, 1) for step in range(500)))
        assert len(told) == len(set(told)) == 1990
        assert set(told).isdisjoint(cache)

    def test_value_error_of_a_callback_is_not_too_large(self) -> None:
        """A ValueError from an overridden popitem is not mistaken for a value that is too large."""

        class Mine(LRUCache[Any, Any]):
            def popitem(self) -> Any:
                msg = "mine"
                raise ValueError(msg)

        calls: list[int] = []

        @cached(cache=Mine(1))
        def function(x: int) -> int:
            calls.append(x)
            return x

        function(1)
        with pytest.raises(ValueError, match="mine"):
            function(2)


class TestLeaks:
    """9: references that stay."""

    def test_popitem_leaks_no_reference(self, kind: Kind) -> None:
        """What popitem() returned dies when its caller lets go."""
        with freed_by_count() as watched:
            cache = kind.make()
            key, value = Thing(), Thing()
            watched += [weakref.ref(key), weakref.ref(value)]
            cache[key] = value
            del key, value
            cache.popitem()

    def test_cycles_through_a_cache(self, kind: Kind) -> None:
        """A cycle through a cache is collected."""
        cache = kind.make()
        thing = Thing()
        thing.other = cache
        cache["thing"] = thing
        watch = weakref.ref(thing)
        del cache, thing
        gc.collect()
        assert watch() is None

    def test_importing_starts_nothing(self) -> None:
        """A cache is kept by nobody and starts no thread."""
        before = threading.active_count()
        with freed_by_count() as watched:
            cache = TTL.make(5, ttl=1)
            cache["a"] = 1
            watched.append(weakref.ref(cache))
            del cache
        assert threading.active_count() == before

    def test_a_method_does_not_keep_its_instance(self) -> None:
        """The instance dies with its last reference."""

        class Owner:
            @cached
            def method(self) -> Thing:
                return Thing()

        with freed_by_count() as watched:
            owner = Owner()
            watched += [weakref.ref(owner), weakref.ref(owner.method())]
            del owner

    def test_failures_are_not_kept(self, kind: Kind) -> None:
        """An exception from a factory, and the frames of its traceback, die when the caller lets go."""
        with freed_by_count() as watched:
            cache = kind.make()

            class MyError(Exception):
                pass

            def factory() -> None:
                local = Thing()
                watched.append(weakref.ref(local))
                raise MyError

            try:
                cache.get_or_create("a", factory)
            except MyError as error:
                watched.append(weakref.ref(error))
            del factory

    def test_tasks_are_not_kept(self) -> None:
        """After a cached coroutine has run, its task is gone."""

        async def main() -> None:
            @cached
            async def function() -> Thing:
                tasks.add(asyncio.current_task())
                return Thing()

            tasks: weakref.WeakSet[Any] = weakref.WeakSet()
            await asyncio.gather(function(), function())
            await asyncio.sleep(0)
            gc.collect()
            me = asyncio.current_task()
            assert [task for task in tasks if task is not me] == []

        asyncio.run(main())


class TestCopy:
    """10: copies."""

    def test_copy_copy_shares_nothing(self, kind: Kind) -> None:
        """The original scenario: a copy and the original keep their bounds."""
        cache = kind.make(3)
        cache.update(a=1, b=2)
        twin = copy.copy(cache)
        twin.update(c=3, d=4)
        cache.update(e=5, f=6)
        assert len(twin) == len(list(twin)) == 3
        assert len(cache) == len(list(cache)) == 3


class TestSubclassesAndThreads:
    """11: order and data out of step."""

    def test_threads_never_desynchronise(self) -> None:
        """The original scenario: four threads of stores and deletions; no KeyError, and all entries can be popped."""
        cache: LRUCache[int, int] = LRUCache(50)

        def work(number: int) -> None:
            for step in range(1500):
                cache[(number * 7 + step) % 80] = step
                cache.pop((number + step * 3) % 80, None)
                cache.get(step % 80)

        with switching_often():
            run_threads(4, work)
        cache._check()
        assert len(cache) == len([cache.popitem() for _ in range(len(cache))])

    def test_eq_during_eviction(self) -> None:
        """A comparison that evicts the entry under comparison crashes nothing."""
        cache: LRUCache[Any, int] = LRUCache(3)

        class Key:
            def __hash__(self) -> int:
                return 1

            def __eq__(self, other: object) -> bool:
                cache.clear()
                return False

        for number in range(10):
            cache[Key()] = number
            cache.get(Key())
        cache._check()


class TestSizes:
    """12: weights."""

    def test_a_value_that_grew(self, kind: Kind) -> None:
        """The original scenario: the sum is that of the weights as stored, and back to 0 at the end."""
        cache = kind.make(10, getsizeof=len)
        value = [1, 2, 3]
        cache["a"] = value
        value *= 3
        cache["b"] = [1, 2]
        assert cache.currsize == 5
        cache.clear()
        assert cache.currsize == 0

    @pytest.mark.parametrize("weight", [-1, math.nan, math.inf, 11, 10**30])
    def test_impossible_weights(self, kind: Kind, weight: float) -> None:
        """Negative, NaN, infinite and too large weights are refused."""
        cache = kind.make(10, getsizeof=lambda value: value)
        with pytest.raises(ValueError):
            cache["a"] = weight
        assert (len(cache), cache.currsize) == (0, 0)


class TestSilentTraps:
    """13: APIs that quietly do something else."""

    def test_update_with_pairs(self, kind: Kind) -> None:
        """update() of pairs stores them."""
        cache = kind.make()
        cache.update([("a", 1)])
        assert cache["a"] == 1

    def test_iterable(self, kind: Kind) -> None:
        """A cache can be iterated."""
        cache = kind.make()
        cache["a"] = 1
        assert list(cache) == ["a"]

    def test_maxsize_zero_is_not_unbounded(self, kind: Kind) -> None:
        """0 means nothing fits."""
        with pytest.raises(ValueError):
            kind.make(0)["a"] = 1

    def test_cached_is_bounded_by_default(self) -> None:
        """@cached keeps 128 results."""

        @cached
        def function(x: int) -> int:
            return x

        for x in range(200):
            function(x)
        assert function.cache_info() == (0, 200, 128, 128)

    def test_counters_are_exact_in_threads(self, kind: Kind) -> None:
        """Hits and misses of many threads are all counted."""
        cache = kind.make()
        cache["a"] = 1

        def work(_number: int) -> None:
            for _ in range(2000):
                cache.get("a")
                cache.get("b")

        with switching_often():
            run_threads(4, work)
        assert (cache.stats().hits, cache.stats().misses) == (8000, 8000)

    def test_order_of_keywords(self) -> None:
        """f(a=1, b=2) and f(b=2, a=1) are one call, computed once; lru_cache keeps to functools, where they are two."""
        for decorate, computed in ((cached, 1), (lru_cache, 2)):
            calls: list[int] = []

            @decorate
            def function(a: int, b: int, calls: Any = calls) -> int:
                calls.append(1)
                return a - b

            assert function(a=1, b=2) == function(b=2, a=1) == -1
            assert len(calls) == computed

    def test_equal_arguments_of_different_types(self) -> None:
        """1, 1.0 and True share a result, as everywhere in Python, unless typed=True."""

        @cached(typed=True)
        def function(x: object) -> str:
            return repr(x)

        assert [function(1), function(1.0), function(True)] == ["1", "1.0", "True"]
