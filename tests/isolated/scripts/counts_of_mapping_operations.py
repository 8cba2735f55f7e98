"""Reference counts of keys, values and the cache after every mapping operation are what they were before."""

from __future__ import annotations

import math
from typing import Any

from helpers.clock import Clock
from helpers.leak import Unique, ignore, same_counts, unique_keys

from safemem import LRUCache, TLRUCache, TTLCache


def check(cache: Any) -> None:
    """Do everything to one cache."""
    keys = unique_keys(3)
    values = [Unique(number) for number in range(3)]
    default = Unique()

    def work() -> None:
        for key, value in zip(keys, values, strict=True):
            cache[key] = value
            cache[key] = value
        for key in keys:
            cache[key]
            cache.get(key)
            cache.get("missing", default)
            cache.peek(key)
            cache.setdefault(key, default)
            assert key in cache
        ignore(lambda: cache["missing"], KeyError)
        ignore(lambda: cache.pop("missing"), KeyError)
        ignore(lambda: cache.__delitem__("missing"), KeyError)
        cache.pop("missing", default)
        cache.update(zip(keys, values, strict=True))
        list(cache), list(cache.items()), list(cache.values()), list(reversed(cache))
        next(iter(cache.items()))
        assert cache == dict(zip(keys, values, strict=True))
        repr(cache)
        cache.copy()
        cache | {keys[0]: default}
        {keys[0]: default} | cache
        cache.get_or_create(keys[0], lambda: default)
        cache.get_or_create("made", lambda: default)
        ignore(lambda: cache.get_or_create("failed", lambda: 1 // 0), ZeroDivisionError)
        cache.popitem()
        cache.pop(keys[1], None)
        ignore(lambda: cache.__delitem__(keys[2]), KeyError)
        cache.update(zip(keys, values, strict=True))
        cache.evict(1)
        cache.shrink(0.5)
        cache.resize(1)
        cache.resize(10)
        cache.update(zip(keys, values, strict=True))
        cache.stats()
        cache.clear()

    same_counts([*keys, *values, default, cache], work)


if __name__ == "__main__":
    for options in ({}, {"on_remove": lambda *_: None}, {"getsizeof": lambda _value: 1}):
        check(LRUCache(10, **options))
        check(TTLCache(10, 60, Clock(), **options))
        check(TTLCache(10, math.inf, **options))
        check(TLRUCache(10, lambda _key, _value, now: now + 60, Clock(), **options))
