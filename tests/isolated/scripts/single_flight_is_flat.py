"""Memory stays flat over thousands of single flights: values, failures, recursion, waiters."""

from __future__ import annotations

import threading

from helpers.leak import Unique, flat, ignore

from safemem import LRUCache, SingleFlight

cache: LRUCache[str, Unique] = LRUCache(20)
flights: SingleFlight[str] = SingleFlight()


def fail() -> Unique:
    """Raise with something in the frame."""
    local = Unique()
    raise LookupError(local.number)


def work(number: int) -> None:
    """One of each."""
    key = f"key {number}"
    cache.get_or_create(key, Unique)
    ignore(lambda: cache.get_or_create(f"bad {number}", fail), LookupError)
    ignore(lambda: cache.get_or_create(key + "r", lambda: cache.get_or_create(key + "r", Unique)), RecursionError)
    flights.do(key, Unique)
    ignore(lambda: flights.do(key, fail), LookupError)
    if number % 200 == 0:
        threads = [threading.Thread(target=lambda: ignore(lambda: cache.get_or_create(f"t {number}", Unique))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    flat(work, 5000)
