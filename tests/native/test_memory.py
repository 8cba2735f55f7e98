"""Memory: nothing leaks, nothing is lost when there is none, cycles are collected, and entries are as small as promised."""

from __future__ import annotations

import gc
import math
import sys
import weakref
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from helpers.clock import Clock
from helpers.collect import Thing, classes_are_collected, collector_off
from helpers.memory import fails_without_memory

from safemem import LRUCache, TLRUCache, TTLCache

from .cores import NATIVE, make


def lru() -> Any:
    """A small cache."""
    return LRUCache(3)


def told() -> Any:
    """One that tells."""
    return LRUCache(3, on_remove=lambda *_: None)


def weighed() -> Any:
    """One that weighs."""
    return LRUCache(3000, getsizeof=lambda _value: 1000)


def ttl() -> Any:
    """One with deadlines in order, in the system's time."""
    return TTLCache(3, 60)


def ttl_of_integers() -> Any:
    """One with a timer of integers."""
    return TTLCache(3, 60000, timer=lambda: 1000000)


def tlru() -> Any:
    """One with deadlines in any order."""
    lives = iter(range(10000, 0, -1))
    return TLRUCache(3, lambda _key, _value, now: now + next(lives))


MAKERS = (lru, told, weighed, ttl, ttl_of_integers, tlru)


class Bad:
    """A key that cannot be compared."""

    def __hash__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        raise LookupError


def use(cache: Any, number: int) -> None:
    """Everything, errors included, with keys and values that nobody else has."""
    names = [f"key {number} {i}" for i in range(5)]
    for name in names:
        cache[name] = [name]
    cache[names[4]], cache.get(names[3]), cache.get("missing"), cache.peek(names[3])
    cache[names[4]] = (number, "again")
    cache.setdefault(names[4], [1])
    cache.setdefault(f"other {number}", [2])
    cache.update({names[0]: [0], names[1]: [1]})
    for attempt in (
        lambda: cache["missing"],
        lambda: cache[[]],
        lambda: cache.pop("missing"),
        lambda: cache.__delitem__("missing"),
        lambda: cache.get(),
    ):
        with pytest.raises((KeyError, TypeError)):
            attempt()
    cache[Bad()] = [number]
    for attempt in (
        lambda: cache[Bad()],
        lambda: cache.get(Bad()),
        lambda: cache.__setitem__(Bad(), 1),
        lambda: cache.setdefault(Bad(), [1]),
    ):
        with pytest.raises(LookupError):
            attempt()
    list(cache), list(cache.items()), list(reversed(cache.values())), next(iter(cache)), repr(cache), cache.stats()
    iterator = iter(cache.items())
    next(iterator)
    cache.copy(), cache.get_or_create(f"lazy {number}", lambda: [3])
    if isinstance(cache, LRUCache):
        cache.evict(1)
    else:
        cache.set(names[2], [1], ttl=number % 7 + 5), cache.expire(), cache.ttl_of(names[2])
    cache.pop(names[2], None), cache.popitem()
    cache.resize(2)
    cache.resize(cache.maxsize + 1 if cache.getsizeof(1) == 1 else 3000)
    cache.clear()
    cache[names[0]] = [number]


@pytest.mark.parametrize("maker", MAKERS)
def test_no_reference_leaks(maker: Callable[[], Any]) -> None:
    """A round more of everything leaves no block of memory more."""
    cache = maker()
    with collector_off():
        for number in range(6):
            use(cache, number)
        gc.collect()
        before = sys.getallocatedblocks()
        for number in range(6, 46):
            use(cache, number)
        gc.collect()
        grown = sys.getallocatedblocks() - before
    assert grown < 40, grown


@pytest.mark.parametrize("maker", MAKERS)
def test_no_type_leaks_references(maker: Callable[[], Any]) -> None:
    """Making and dropping caches, iterators and views leaves the reference counts of their types as they were."""
    cache = maker()
    kinds = (type(cache), type(iter(cache)), type(cache).__mro__[1])
    del cache
    gc.collect()
    before = [sys.getrefcount(kind) for kind in kinds]
    for _ in range(50):
        cache = maker()
        cache["a"] = 1
        list(iter(cache)), iter(cache), cache.items()
    del cache
    gc.collect()
    assert [sys.getrefcount(kind) for kind in kinds] == before


@pytest.mark.parametrize("maker", MAKERS)
def test_reference_counts_are_exact(maker: Callable[[], Any]) -> None:
    """A cache holds one reference to each key and value, and none after they went."""
    cache = maker()
    key, value = Thing(), Thing()
    before = sys.getrefcount(key), sys.getrefcount(value)
    cache[key] = value
    assert (sys.getrefcount(key), sys.getrefcount(value)) == (before[0] + 1, before[1] + 1)
    for _ in range(3):
        cache[key], cache.get(key), cache.peek(key), key in cache, cache.setdefault(key, 1), list(cache.items())
        cache[key] = value
    assert (sys.getrefcount(key), sys.getrefcount(value)) == (before[0] + 1, before[1] + 1)
    iterator = iter(cache)
    assert sys.getrefcount(value) == before[1] + 1
    del iterator
    for number in range(5):
        cache[number] = number
    assert (sys.getrefcount(key), sys.getrefcount(value)) == before
    cache[key] = value
    cache[key] = 1
    cache.pop(key)
    assert (sys.getrefcount(key), sys.getrefcount(value)) == before
    cache[key] = value
    cache.__init__(*([3] if isinstance(cache, LRUCache) else [3, 5] if isinstance(cache, TTLCache) else [3, lambda *_: math.inf]))
    assert (sys.getrefcount(key), sys.getrefcount(value)) == before


@pytest.mark.parametrize("maker", MAKERS)
def test_cycles_are_collected(maker: Callable[[], Any]) -> None:
    """A cycle through a value, a key, an iterator, an attribute or a callback of a cache is collected."""
    watch = []
    for tie in (
        lambda cache, thing: cache.__setitem__("value", thing),
        lambda cache, thing: cache.__setitem__(thing, 1),
        lambda cache, thing: cache.__setitem__((thing, 1), 1),
        lambda cache, thing: setattr(cache, "attribute", thing),
        lambda cache, thing: (cache.__setitem__("value", thing), setattr(thing, "name", iter(cache.items()))),
        lambda cache, thing: (cache.__setitem__("self", cache), cache.__setitem__("value", thing)),
    ):
        cache, thing = maker(), Thing()
        thing.other = cache
        tie(cache, thing)
        watch += [weakref.ref(cache), weakref.ref(thing)]
        del cache, thing
    gc.collect()
    assert [reference() for reference in watch if reference() is not None] == []


def test_cycles_through_callables_are_collected() -> None:
    """A cycle through on_remove, getsizeof, timer or ttu is collected."""
    watch = []

    def tied(cache: Any, *_: object) -> float:
        return 1.0 if cache else 2.0

    for cls, name in ((LRUCache, "on_remove"), (LRUCache, "getsizeof"), (TTLCache, "timer"), (TLRUCache, "ttu")):
        holder: list[Any] = []

        def call(*_: object, holder: list[Any] = holder) -> float:
            return tied(holder)

        arguments: dict[str, Any] = {name: call}
        if cls is TTLCache:
            arguments["ttl"] = 5
        cache = cls(3, **arguments)
        cache["a"] = 1
        holder.append(cache)
        watch += [weakref.ref(cache), weakref.ref(call)]
        del cache, holder, call, arguments
    gc.collect()
    assert [reference() for reference in watch if reference() is not None] == []


def test_a_subclass_is_collected() -> None:
    """A class made from a cache class goes with its instances."""

    class Sub(LRUCache[str, object]):
        __slots__ = ("x",)

    cache = Sub(3)
    cache["a"] = Sub
    cache.x = cache
    watch = weakref.ref(Sub), weakref.ref(cache)
    del Sub, cache
    gc.collect()
    assert watch[1]() is None
    assert watch[0]() is None or not classes_are_collected()


def test_a_deep_nest_of_caches_is_freed() -> None:
    """Caches in caches, twenty thousand deep, do not exhaust the stack."""
    for core in (LRUCache, NATIVE[0]):
        outer = core(1) if core is LRUCache else make(core, 1)
        innermost = weakref.ref(outer)
        for _ in range(20_000):
            cache = outer
            outer = core(1) if core is LRUCache else make(core, 1)
            outer["in"] = cache
        del cache, outer
        assert innermost() is None


@pytest.mark.parametrize(("maker", "most"), [(lambda n: LRUCache(n), (56, 72)), (lambda n: TTLCache(n, 600), (72, 88))], ids=["LRU", "TTL"])
def test_bytes_per_entry(maker: Callable[[float], Any], most: tuple[int, int]) -> None:
    """At 500,000 entries, and at any other number of them, bounded or not, an entry takes no more than promised."""
    fixed = sys.getsizeof(maker(1))
    for unbounded in (False, True):
        for count in (1000, 513, 1025, 65_537, 131_073, 200_000, 262_145, 500_000):
            cache = maker(math.inf if unbounded else count)
            for number in range(count):
                cache[number] = None
            assert (sys.getsizeof(cache) - fixed) / count <= most[count != 500_000], (count, unbounded)


def test_no_memory_is_reserved() -> None:
    """A large bound, or none, costs nothing before there are entries; clear() gives everything back."""
    for bound in (math.inf, 2**31, 2**62, 10**100):
        cache = LRUCache(bound)
        empty = sys.getsizeof(cache)
        assert empty < 1000
        for number in range(1000):
            cache[number] = number
        cache.clear()
        assert sys.getsizeof(cache) == empty


@pytest.mark.parametrize(
    "maker",
    [
        lambda clock: LRUCache(math.inf),
        lambda clock: LRUCache(math.inf, getsizeof=lambda value: value),
        lambda clock: TTLCache(math.inf, 50.0, clock),
        lambda clock: TLRUCache(math.inf, lambda key, _value, now: now + 50.0 + key * 7919 % 40, clock),
        lambda clock: TTLCache(math.inf, 50, lambda: int(clock())),
        lambda clock: TTLCache(math.inf, timedelta(seconds=50), lambda: datetime(2030, 1, 1) + timedelta(seconds=clock())),
        lambda clock: TLRUCache(math.inf, lambda key, _value, now: now + 50 + key * 7919 % 40, lambda: int(clock())),
    ],
    ids=["LRU", "weighed", "TTL", "TLRU", "TTL of integers", "TTL of datetimes", "TLRU of integers"],
)
def test_memory_is_given_back(maker: Callable[[Any], Any]) -> None:
    """When most entries were evicted, cut off or have expired, what is left takes less, in the same order, for loops under way too."""
    clock = Clock(0.0)
    cache = maker(clock)
    for let_go in (
        lambda: cache.evict(4500),
        lambda: cache.resize(499 if cache.getsizeof(1) == 1 else 10),
        lambda: (clock.tick(200.0), len(cache)),
        lambda: cache.evict(5000),
    ):
        cache.clear()
        cache.resize(math.inf)
        for number in range(5000):
            cache[number] = 1 + number % 2
        for number in range(0, 5000, 3):
            cache[number]
        keys = list(cache)
        large = sys.getsizeof(cache)
        iterator = iter(cache)
        next(iterator)
        let_go()
        cache._check()
        left = list(cache)
        assert left == keys[len(keys) - len(left) :]
        assert list(iterator) == left[left[:1] == keys[:1] :]
        if len(left) < 1000:
            assert sys.getsizeof(cache) < large / 2
            assert all(len(held) <= len(left) for held in gc.get_referents(cache) if type(held) is list)  # records of deadlines
        for number in range(0, 5000, 7):
            cache[number] = 1
            cache.pop(number + 1, None)
        cache._check()
        clock.tick(45.0)
        len(cache)
        cache._check()
        clock.tick(500.0)
        assert cache._count_removed() >= 4000


testcapi = pytest.importorskip("_testcapi", reason="part of CPython's own tests")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # whatever else runs in this process has no memory either
@pytest.mark.parametrize("maker", MAKERS)
def test_every_allocation_fails_in_turn(maker: Callable[[], Any]) -> None:
    """Whichever allocation fails, the error comes out, the cache is whole, and what was to be removed or stored is not lost half-way."""
    key, fresh, value = Thing("key"), Thing("fresh"), Thing("value")

    def many(cache: Any) -> None:
        for number in range(40):
            cache[number] = value

    operations: list[Callable[[Any], Any]] = [
        lambda cache: cache.__setitem__(fresh, value),
        lambda cache: cache.__setitem__(key, value),
        lambda cache: cache.setdefault(fresh, value),
        lambda cache: cache.get(key),
        lambda cache: cache.pop(key),
        lambda cache: cache.popitem(),
        lambda cache: cache.clear(),
        lambda cache: cache.__delitem__(key),
        lambda cache: cache._export(),
        lambda cache: list(cache._iterate_items()),
        lambda cache: cache._resize(1),
        lambda cache: cache._counters(),
        lambda cache: cache._set_for(fresh, value, 5) if hasattr(cache, "_set_for") else None,
        lambda cache: cache.expire() if hasattr(cache, "expire") else None,
        lambda cache: cache._import([(fresh, value, 1, 5.0)]),
        many,
    ]
    with collector_off():  # or it may find what other tests left, and fail for them
        for operation in operations:
            for start in range(60):
                cache = maker()
                before = sys.getrefcount(key), sys.getrefcount(fresh), sys.getrefcount(value)
                cache.resize(math.inf)
                cache[key] = value
                for number in range(7):
                    cache[number] = number
                failed = fails_without_memory(start, operation, cache)
                cache._check()
                assert len(list(cache.items())) == len(cache)
                cache.resize(math.inf)
                cache[key] = 1
                assert cache[key] == 1
                del cache
                assert (sys.getrefcount(key), sys.getrefcount(fresh), sys.getrefcount(value)) == before, (operation, start)
                if not failed and start > 20:
                    break
