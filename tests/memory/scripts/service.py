"""A service with a cache, and an application beside it that takes 40 % of the limit and returns it, again and again. Prints JSON as it goes."""

from __future__ import annotations

import functools
import json
import random
import sys
import time
from array import array
from typing import Any

import cachetools

import safemem

MB = 1 << 20
KEYS = 100_000


def make(key: int) -> bytes:
    """What is to be cached: 0.5 to 2.5 KB."""
    return b"x" * (500 + key * 7919 % 2000)


def cache_of(kind: str, limit: int) -> tuple[Any, Any]:
    """A function that gets a value by its key, and the budget if there is one; peers have a bound that fits as long as nobody takes anything."""
    entries = int(0.6 * limit * MB / 1_650)
    budget = safemem.MemoryBudget() if kind == "budget" else None
    cache: Any = {}
    if kind == "lru_cache":
        return functools.lru_cache(entries)(make), None
    if kind == "cachetools":
        cache = cachetools.LRUCache(int(0.5 * limit * MB), getsizeof=len)
    if kind == "budget":
        cache = safemem.LRUCache(10**9, budget=budget)

    def get(key: int) -> bytes:
        value: bytes | None = cache.get(key)
        if value is None:
            cache[key] = value = make(key)
        return value

    return get, budget


def main(kind: str, limit: int, bursts: int) -> None:
    """Serve, and take what the application takes."""
    dice = random.Random(1)
    keys = array("L", (int(KEYS * dice.random() ** 1.5) for _ in range(100_000)))  # the lower, the more popular
    get, budget = cache_of(kind, limit)
    if budget is not None:
        budget.start()
    served = 0

    def serve(number: int) -> None:
        nonlocal served
        for _ in range(number):
            get(keys[served % len(keys)])
            served += 1

    def report(what: str) -> None:
        numbers = {} if budget is None else {"used": budget.used, "level": budget.level, "let_go": budget.stats().let_go}
        print(json.dumps({"what": what, **numbers}), flush=True)

    serve(300_000)
    report("warm")
    warm = 0 if budget is None else budget.used
    for _ in range(bursts):
        taken = []
        for _ in range(int(0.4 * limit)):
            taken.append(bytearray(b"y" * MB))
            serve(100)
            time.sleep(0.004)
        report("burst")
        del taken
        end = time.monotonic() + 20
        while True:
            serve(2_000)
            time.sleep(0.05)
            if budget is None or budget.used > 0.9 * warm or time.monotonic() > end:
                break
        report("after")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
