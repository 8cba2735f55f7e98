"""The rest of the list of bugs known from other caches: callbacks, leaks, copies, threads, weights, traps."""

from __future__ import annotations

import asyncio
import copy
import gc
import math
import threading
import weakref
from typing import Any

import pytest
from helpers.collect import Thing, freed_by_count
from helpers.kinds import TTL, Kind
from helpers.threads import run_threads, switching_often

from safemem import LRUCache, cached, lru_cache


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
