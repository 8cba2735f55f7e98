"""Memory stays flat while a full cache is written to: what is evicted, replaced and deleted goes."""

from __future__ import annotations

from helpers.clock import Clock
from helpers.leak import Unique, flat

from safemem import LRUCache, TLRUCache, TTLCache

if __name__ == "__main__":
    for cache in (
        LRUCache(50),
        LRUCache(50, lambda _value: 1),
        TTLCache(50, 60, Clock()),
        TLRUCache(50, lambda _k, _v, now: now + 60, Clock()),
    ):

        def work(number: int, cache: LRUCache[str, Unique] = cache) -> None:
            """Write a little of everything."""
            cache[f"key {number}"] = Unique()
            cache[f"key {number}"] = Unique()
            cache.get(f"key {number - 20}")
            cache.get("missing")
            if number % 7 == 0:
                cache.pop(f"key {number - 3}", None)
            if number % 500 == 0:
                cache.clear()

        flat(work)
