"""Statistics count every look-up, load, eviction and expiry exactly, and nothing else."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from helpers.clock import Clock
from helpers.kinds import Kind
from helpers.naming import source

from safemem import CacheStats, WeakCache


def counted(cache: Any) -> dict[str, float]:
    """The counters that are not zero, without the sizes (`strong` is one) and the seconds."""
    stats = dataclasses.asdict(cache.stats())
    for name in ("currsize", "maxsize", "load_seconds", "strong"):
        stats.pop(name, None)
    return {name: count for name, count in stats.items() if count}


def test_a_new_cache_counted_nothing(kind: Kind) -> None:
    """All counters start at 0, sizes are those of the cache."""
    stats = dataclasses.asdict(kind.make(7).stats())
    none = CacheStats(
        hits=0, misses=0, loads=0, load_failures=0, load_seconds=0.0, evictions=0, expirations=0, collections=0, currsize=0, maxsize=7
    )
    assert stats == dataclasses.asdict(none) | ({"strong": 0, "revived": 0} if kind.cls is WeakCache else {})


def test_stats_are_a_frozen_snapshot(kind: Kind) -> None:
    """stats() is a frozen dataclass that does not follow the cache."""
    cache = kind.make()
    stats = cache.stats()
    cache.get("a")
    assert isinstance(stats, CacheStats)
    assert dataclasses.is_dataclass(stats)
    assert stats.misses == 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        stats.hits = 5


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (lambda cache: cache["a"], {"hits": 1}),
        (lambda cache: cache.get("a"), {"hits": 1}),
        (lambda cache: cache.get("z"), {"misses": 1}),
        (lambda cache: cache.setdefault("a", 1), {"hits": 1}),
        (lambda cache: cache.setdefault("z", 1), {"misses": 1}),
        (lambda cache: cache.get_or_create("a", int), {"hits": 1}),
        (lambda cache: cache.get_or_create("z", int), {"misses": 1, "loads": 1}),
        (lambda cache: "a" in cache, {}),
        (lambda cache: "z" in cache, {}),
        (lambda cache: cache.peek("a"), {}),
        (lambda cache: cache.peek("z"), {}),
        (lambda cache: cache.pop("a"), {}),
        (lambda cache: cache.pop("z", None), {}),
        (lambda cache: cache.popitem(), {}),
        (lambda cache: cache.__setitem__("a", 2), {}),
        (lambda cache: cache.__delitem__("a"), {}),
        (lambda cache: cache.update(a=2), {}),
        (lambda cache: list(cache), {}),
        (lambda cache: list(cache.items()), {}),
        (lambda cache: list(cache.values()), {}),
        (lambda cache: ("a", 1) in cache.items(), {}),
        (lambda cache: 1 in cache.values(), {}),
        (lambda cache: cache == {"a": 1}, {}),
        (lambda cache: {"a": 1} == cache, {}),
        (lambda cache: cache.copy(), {}),
        (lambda cache: cache | {"a": 2}, {}),
        (repr, {}),
        (len, {}),
        (lambda cache: cache.clear(), {}),
        (lambda cache: cache.evict(), {"evictions": 1}),
        (lambda cache: cache.shrink(1.0), {"evictions": 2}),
        (lambda cache: cache.resize(1), {"evictions": 1}),
        (lambda cache: cache.update(c=3, d=4), {"evictions": 1}),
    ],
    ids=source,
)
def test_what_counts(kind: Kind, operation: Any, expected: dict[str, int]) -> None:
    """Each operation counts exactly this on a cache of a and b with room for one more."""
    cache = kind.make(3)
    cache.update(a=1, b=2)
    operation(cache)
    assert counted(cache) == expected


def test_missing_keys_count_as_misses(kind: Kind) -> None:
    """A failed `[]` is a miss, one answered by __missing__ too; a failed `del` or `pop` is not."""
    cache = kind.make()
    for operation in (cache.__getitem__, cache.__delitem__, cache.pop):
        with pytest.raises(KeyError):
            operation("a")
    assert counted(cache) == {"misses": 1}
    made_up = kind.subclass({"__missing__": lambda _self, key: key}).make()
    assert made_up["a"] == "a"
    assert counted(made_up) == {"misses": 1}


def test_loads_and_failures(kind: Kind) -> None:
    """loads counts factories that returned, load_failures those that raised; each was a miss; their time is counted."""
    cache = kind.make()
    cache.get_or_create("a", int)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            cache.get_or_create("b", lambda: 1 // 0)
    assert counted(cache) == {"misses": 3, "loads": 1, "load_failures": 2}
    assert cache.stats().load_seconds >= 0.0
    assert isinstance(cache.stats().load_seconds, float)


def test_expired_is_a_miss(timed: Kind, clock: Clock) -> None:
    """A look-up that finds an expired item is a miss; the expiration counts when the item goes."""
    cache = timed.make(ttl=1, clock=clock)
    cache.update(a=1, b=2)
    clock.tick()
    assert cache.get("a") is None
    cache.expire()
    assert counted(cache) == {"misses": 1, "expirations": 2}


def test_unhashable_look_ups_count_nothing(kind: Kind) -> None:
    """A look-up that could not take place is neither hit nor miss."""
    cache = kind.make()
    with pytest.raises(TypeError):
        cache.get([])
    with pytest.raises(TypeError):
        cache[[]]
    assert counted(cache) == {}


def test_sizes(kind: Kind) -> None:
    """currsize and maxsize are those of the moment, by weight."""
    cache = kind.make(10, getsizeof=len)
    cache["a"] = "four"
    assert (cache.stats().currsize, cache.stats().maxsize) == (4, 10)
    cache.resize(6.5)
    assert cache.stats().maxsize == 6.5


def test_hit_ratio(kind: Kind) -> None:
    """hit_ratio is hits over look-ups, and a number before the first look-up."""
    cache = kind.make()
    assert 0.0 <= cache.stats().hit_ratio <= 1.0
    cache["a"] = 1
    for key in ("a", "a", "a", "z"):
        cache.get(key)
    assert cache.stats().hit_ratio == 0.75


def test_reset_stats(kind: Kind) -> None:
    """reset_stats() sets the counters to 0 and leaves the entries alone; so do clear() and others leave the counters."""
    cache = kind.make(1)
    cache.update(a=1, b=2)
    cache.get("b")
    cache.get("a")
    cache.clear()
    assert counted(cache) == {"hits": 1, "misses": 1, "evictions": 1}
    cache["c"] = 3
    assert cache.reset_stats() is None
    assert counted(cache) == {}
    assert list(cache.items()) == [("c", 3)]
    cache.get("c")
    assert counted(cache) == {"hits": 1}


def test_reading_stats_changes_nothing(kind: Kind) -> None:
    """Asking twice gives the same answer."""
    cache = kind.make()
    cache.get("a")
    assert cache.stats() == cache.stats()
    assert cache.stats().hit_ratio == cache.stats().hit_ratio == 0.0
