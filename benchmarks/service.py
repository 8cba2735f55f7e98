"""A service with a cache, beside an application that takes a part of the memory and returns it; prints JSON as it goes. Started by `benchmarks.burst`.

After a while in which the cache is filled comes a quiet phase; then, again and again, the application takes 40 % of the limit, a megabyte at a time,
while requests go on, and returns it. Whoever holds too much is killed by the kernel, or gets a MemoryError and ends.
"""

from __future__ import annotations

import json
import random
import resource
import sys
import time
from array import array
from collections.abc import Callable
from typing import Any

__all__ = ["KEYS", "MB", "SHARE", "STEP"]

MB = 1 << 20
KEYS = 100_000
SHARE = 0.4  # of the limit: what the application takes
STEP = 0.004  # seconds between two megabytes
FILL = 150_000  # requests
QUIET = 30_000
REQUESTS = 500_000  # until they come again
_LATER = 30_000  # after each burst

Get = Callable[[int], Any]
Put = Callable[[int, bytes], None]


def make(key: int) -> bytes:
    """What is cached: 0.5 to 2.5 KB."""
    return b"x" * (500 + key * 7919 % 2000)


def open_cache(kind: str, bound: int, reserve: int) -> tuple[Get, Put, Any]:
    """Return what gets, what puts, and the budget if there is one."""
    cache: Any
    if kind == "dict":  # one that is full takes no more
        cache = {}

        def put(key: int, value: bytes) -> None:
            if len(cache) < bound:
                cache[key] = value

        return cache.get, put, None
    if kind == "cachetools":
        import cachetools

        cache = cachetools.LRUCache(bound)
    elif kind == "cachebox":
        import cachebox

        cache = cachebox.LRUCache(bound)
    elif kind == "fixed":
        import safemem

        cache = safemem.LRUCache(bound)
    else:
        import safemem

        budget = safemem.MemoryBudget(reserve=reserve)
        cache = safemem.LRUCache(10**9, budget=budget)
        if not reserve:
            budget.start()
        return cache.get, cache.__setitem__, budget
    return cache.get, cache.__setitem__, None


class Service:
    """Serves requests and keeps count."""

    def __init__(self, kind: str, bound: int, seed: int, reserve: int) -> None:
        dice = random.Random(seed)
        self.keys = array("I", (int(KEYS * dice.random() ** 1.5) for _ in range(REQUESTS)))  # the lower, the more popular
        self.served = 0
        self.hits = 0
        self.took = array("d")
        self._serve = self.serve_function if kind == "lru_cache" else self.serve_mapping
        if kind == "lru_cache":
            import functools

            self.function = functools.lru_cache(bound)(make)
            self.budget: Any = None
        else:
            self.get, self.put, self.budget = open_cache(kind, bound, reserve)

    def serve(self, number: int) -> None:
        self._serve(number)
        self.served += number

    def serve_function(self, number: int) -> None:
        keys, count = self.keys, len(self.keys)
        before = self.function.cache_info().hits
        for place in range(self.served, self.served + number):
            self.function(keys[place % count])
        self.hits += self.function.cache_info().hits - before

    def serve_mapping(self, number: int) -> None:
        keys, get, put, clock = self.keys, self.get, self.put, time.perf_counter
        count, hits = len(keys), 0
        for place in range(self.served, self.served + number):
            key = keys[place % count]
            if get(key) is not None:
                hits += 1
                continue
            value = make(key)
            begin = clock()
            put(key, value)
            self.took.append(clock() - begin)
        self.hits += hits

    def report(self, phase: str) -> None:
        """Say what happened since the last report."""
        took = sorted(self.took)
        told: dict[str, Any] = {"phase": phase, "hits": self.hits}
        if took:
            told |= {"p99": took[len(took) * 99 // 100], "worst": took[-1]}
        if self.budget is not None:
            told |= {"used": self.budget.used, "level": self.budget.level}
        print(json.dumps(told), flush=True)
        self.hits = 0
        self.took = array("d")


def confine(kind: str, size: int) -> int:
    """Limit the process to so much more than it has; return what it has."""
    name, field = {"RLIMIT_AS": (resource.RLIMIT_AS, 0), "RLIMIT_DATA": (resource.RLIMIT_DATA, 5)}[kind]
    with open("/proc/self/statm", encoding="ascii") as file:
        now = int(file.read().split()[field]) * resource.getpagesize()
    resource.setrlimit(name, (now + size, resource.RLIM_INFINITY))
    return now


def main(kind: str, bound: int, limit: str, size: int, *, bursts: int, seed: int) -> None:
    """Serve, and take what the application takes."""
    reserve = 0
    if (
        limit != "cgroup"
    ):  # what the application needs, and more for what lies between: holes in the heap, tables that grow; small objects have more
        import cachetools  # noqa: F401 - whatever is needed is there before the limit is, for all of them

        import safemem

        safemem.MemoryBudget()
        reserve = confine(limit, size) + int(SHARE * size * (1.3 if safemem.core.NATIVE else 1.35))
    service = Service(kind, bound, seed, reserve)
    service.serve(FILL)
    service.report("fill")
    for _ in range(QUIET // 100):
        service.serve(100)
        time.sleep(STEP)
    service.report("quiet")
    for _ in range(bursts):
        taken = []
        for _ in range(int(SHARE * size) // MB):
            taken.append(bytearray(b"y" * MB))
            service.serve(100)
            time.sleep(STEP)
        service.report("burst")
        del taken
        for _ in range(_LATER // 1000):
            service.serve(1000)
            time.sleep(0.03 if limit == "cgroup" else 0)  # time in which a bound may grow again
        service.report("after")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), bursts=int(sys.argv[5]), seed=int(sys.argv[6]))
