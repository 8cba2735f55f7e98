"""What a type checker sees of the caches. Checked by mypy and pyright, not executed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from datetime import datetime, timedelta
from typing import assert_type

import cachetools

from safemem import CacheStats, LRUCache, RemovalCause, SingleFlight, TLRUCache, TTLCache, maintain


class Shape:
    """A value type of the user's."""


def lru() -> None:
    cache: LRUCache[str, int] = LRUCache(10)
    assert_type(LRUCache[str, int](10), LRUCache[str, int])
    assert_type(cache["a"], int)
    assert_type(cache.get("a"), int | None)
    assert_type(cache.get("a", 0), int)
    assert_type(cache.get("a", "none"), int | str)
    assert_type(cache.peek("a"), int | None)
    assert_type(cache.peek("a", 0), int)
    assert_type(cache.pop("a"), int)
    assert_type(cache.pop("a", 0), int)
    assert_type(cache.pop("a", None), int | None)
    assert_type(cache.popitem(), tuple[str, int])
    assert_type(cache.setdefault("a", 1), int)
    assert_type(cache.get_or_create("a", lambda: 1), int)
    assert_type(iter(cache), Iterator[str])
    assert_type(reversed(cache), Iterator[str])
    assert_type(list(cache.items()), list[tuple[str, int]])
    assert_type(cache.maxsize, float)
    assert_type(cache.currsize, float)
    assert_type(cache.evict(), int)
    assert_type(cache.shrink(0.5), int)
    assert_type(cache.copy(), LRUCache[str, int])
    assert_type(cache | {"b": 2}, LRUCache[str, int])
    assert_type(LRUCache[str, int].fromkeys(["a"], 1), LRUCache[str, int])
    assert_type(LRUCache[str, int].fromkeys(["a"], 1, maxsize=5), LRUCache[str, int])
    cache |= {"b": 2}
    cache.resize(5)
    cache.reset_stats()


async def coroutines() -> None:
    cache: LRUCache[str, Shape] = LRUCache(10)

    async def make() -> Shape:
        return Shape()

    assert_type(await cache.aget_or_create("a", make), Shape)


def ttl() -> None:
    cache = TTLCache[str, int](10, 60)
    assert_type(cache["a"], int)
    assert_type(cache.expire(), list[tuple[str, int]])
    assert_type(cache.copy(), TTLCache[str, int])
    cache.set("a", 1, ttl=5)
    cache.set("a", 1, ttl=timedelta(seconds=5))
    TTLCache[str, int](10, timedelta(minutes=1))
    with cache.timer as now:
        assert_type(now, float)


def ttl_with_another_timer() -> None:
    cache: TTLCache[str, int, datetime] = TTLCache(10, timedelta(days=1), timer=datetime.now)
    assert_type(cache.timer(), datetime)
    assert_type(cache.expire(datetime.now()), list[tuple[str, int]])
    positional: TTLCache[str, str, datetime] = TTLCache(10, timedelta(days=1), datetime.now, len)
    assert_type(positional["a"], str)


def ttu(key: str, value: int, now: float) -> float:
    return now + value


def tlru() -> None:
    cache: TLRUCache[str, int] = TLRUCache(10, ttu)
    assert_type(cache["a"], int)
    assert_type(cache.expire(), list[tuple[str, int]])

    def by_date(key: str, value: int, now: datetime) -> datetime:
        return now + timedelta(days=value)

    dated: TLRUCache[str, int, datetime] = TLRUCache(10, by_date, timer=datetime.now)
    assert_type(dated.timer(), datetime)


def weights() -> None:
    cache: LRUCache[str, bytes] = LRUCache(10, len)
    assert_type(cache, LRUCache[str, bytes])
    named: LRUCache[str, bytes] = LRUCache(10.5, getsizeof=len)
    assert_type(named["a"], bytes)


def removals() -> None:
    def on_remove(key: str, value: Shape, cause: RemovalCause) -> None:
        assert_type(cause.evicted, bool)
        if cause is RemovalCause.SIZE:
            print(key, value)

    cache: LRUCache[str, Shape] = LRUCache(10, on_remove=on_remove)
    timed: TTLCache[str, Shape] = TTLCache(10, 60, on_remove=on_remove)
    assert_type(cache["a"], Shape)
    assert_type(timed["a"], Shape)


def statistics() -> None:
    stats = LRUCache[str, int](10).stats()
    assert_type(stats, CacheStats)
    assert_type(stats.hits, int)
    assert_type(stats.load_seconds, float)
    assert_type(stats.hit_ratio, float)
    stats.hits = 1  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue] # frozen


def fits_where_others_fit() -> None:
    lru_cache: cachetools.Cache[str, int] = LRUCache[str, int](10)
    ttl_cache: cachetools.Cache[str, int] = TTLCache[str, int](10, 60)
    tlru_cache: cachetools.Cache[str, int] = TLRUCache[str, int](10, ttu)
    mutable: MutableMapping[str, int] = LRUCache[str, int](10)
    mapping: Mapping[str, int] = mutable
    print(lru_cache, ttl_cache, tlru_cache, mapping)


def mistakes() -> None:
    cache: LRUCache[str, int] = LRUCache(10)
    cache[1] = 1  # type: ignore[index]  # pyright: ignore[reportArgumentType]
    cache["a"] = "1"  # type: ignore[assignment]  # pyright: ignore[reportArgumentType]
    cache.get_or_create("a", lambda: "1")  # type: ignore[arg-type, return-value]  # pyright: ignore[reportArgumentType]
    LRUCache("10")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    LRUCache()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


class Squares(LRUCache[int, int]):
    """A subclass in the manner of cachetools."""

    def __missing__(self, key: int) -> int:
        value = self[key] = key * key
        return value

    def popitem(self) -> tuple[int, int]:
        return super().popitem()


def flights() -> None:
    flight = SingleFlight[object]()
    assert_type(flight.do("key", lambda: 1), int)
    assert_type(flight.do(("any", "key"), Shape), Shape)


async def coroutine_flights() -> None:
    async def make() -> Shape:
        return Shape()

    assert_type(await SingleFlight[str]().ado("key", make), Shape)


def maintenance() -> None:
    with maintain(30, TTLCache[str, int](10, 60), LRUCache[int, Shape](10)):
        pass
    keeper = maintain(timedelta(seconds=30).total_seconds(), TTLCache[str, int](10, 60))
    keeper.start()
    keeper.stop()
