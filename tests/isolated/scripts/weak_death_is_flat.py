"""Memory stays flat over a million values that are stored in weak caches and die; the pure core, being slower, is given a quarter of them."""

from __future__ import annotations

from helpers.leak import Unique, flat

from safemem import WeakCache, core

if __name__ == "__main__":
    for cache in (WeakCache[str, Unique](0), WeakCache[str, Unique](20), WeakCache[str, Unique](0, ttl=60)):

        def work(number: int, cache: WeakCache[str, Unique] = cache) -> None:
            """Store a value that nobody else holds."""
            cache[f"key {number}"] = Unique()
            cache.get(f"key {number - 3}")

        flat(work, 270_000 if core.NATIVE else 60_000)
        cache.resize(0)
        assert len(cache) == 0
        assert Unique.alive == 0
