"""Memory stays flat while caches are made, copied, merged, pickled and let go."""

from __future__ import annotations

import copy
import pickle

from helpers.leak import Unique, flat

from safemem import LRUCache, TLRUCache, TTLCache


def for_ever(_key: object, _value: object, _now: float) -> float:
    """Nothing expires."""
    return float("inf")


def work(number: int) -> None:
    """Make caches of every class and copies of every kind."""
    for cache in (LRUCache(5), TTLCache(5, 60), TLRUCache(5, for_ever)):
        cache.update({f"key {number} {part}": part * 10**6 for part in range(7)})
        cache["unique"] = Unique()
        twin = copy.deepcopy(cache)
        twin |= cache.copy()
        copy.copy(twin).clear()
        cache.pop("unique")
        pickle.loads(pickle.dumps(cache)).popitem()
        cache.__init__(*([3] if isinstance(cache, LRUCache) else [3, for_ever] if isinstance(cache, TLRUCache) else [3, 60]))


if __name__ == "__main__":
    flat(work, 500)
