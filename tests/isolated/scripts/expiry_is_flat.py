"""Memory stays flat while items expire, each after its own time, are rewritten and deleted."""

from __future__ import annotations

from helpers.clock import Clock
from helpers.leak import Unique, flat

from safemem import TLRUCache, TTLCache

if __name__ == "__main__":
    clock = Clock()
    for cache in (TTLCache(10**9, 50, clock), TLRUCache(10**9, lambda _k, _v, now: now + 50, clock)):

        def work(number: int, cache: TTLCache[str, Unique] = cache) -> None:
            """Write a little of everything."""
            clock.tick()
            cache[f"key {number}"] = Unique()
            cache.set(f"own {number}", Unique(), ttl=1 + number * 7919 % 90)
            cache.set("again", Unique(), ttl=1e9 - number)
            cache["and again"] = Unique()
            cache.pop(f"own {number - 3}", None)

        flat(work)
