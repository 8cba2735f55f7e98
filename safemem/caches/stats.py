"""What a cache has counted."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CacheStats", "WeakCacheStats"]


@dataclass(frozen=True)
class CacheStats:
    """What a cache has counted since it was made or its counters were last reset; what `cache.stats()` returns.

    Attributes:
        hits: lookups that found a live value (`[]`, `get`, `setdefault`, `get_or_create`, a decorated function's calls).
        misses: lookups that did not, those that waited for somebody else's load included.
        loads: values that a factory made.
        load_failures: factories that raised.
        load_seconds: time spent in factories, failed ones included.
        evictions: entries let go to keep the bound, by `evict()`, `shrink()` and `resize()`, or for a memory budget.
        expirations: entries removed because their time was over.
        collections: entries removed because nobody else held their value (weak caches).
        currsize: number of entries, or what they weigh, now.
        maxsize: the bound now.

    >>> from safemem import LRUCache
    >>> cache = LRUCache(maxsize=2)
    >>> cache["a"] = 1
    >>> cache["a"], cache.get("b")
    (1, None)
    >>> stats = cache.stats()
    >>> stats.hits, stats.misses, stats.hit_ratio
    (1, 1, 0.5)
    """

    __module__ = "safemem"

    hits: int
    misses: int
    loads: int
    load_failures: int
    load_seconds: float
    evictions: int
    expirations: int
    collections: int
    currsize: float
    maxsize: float

    @property
    def hit_ratio(self) -> float:
        """The share of lookups that were hits; 0.0 before the first lookup."""
        lookups = self.hits + self.misses
        return self.hits / lookups if lookups else 0.0


@dataclass(frozen=True)
class WeakCacheStats(CacheStats):
    """What a `WeakCache` has counted; `currsize` and `maxsize` are about the values it holds strongly.

    Attributes:
        strong: number of entries held strongly now.
        revived: hits on a value that only others held.

    >>> from safemem import WeakCache
    >>> cache = WeakCache(maxsize=0)
    >>> cache["now"] = now = set()
    >>> cache["now"] is now
    True
    >>> stats = cache.stats()
    >>> stats.strong, stats.revived, stats.hits
    (0, 1, 1)
    """

    __module__ = "safemem"

    strong: int
    revived: int
