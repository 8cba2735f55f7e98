"""Forks again and again while threads use the caches; the children use them too."""

from __future__ import annotations

import os
import threading
import warnings

from safemem import LRUCache, TTLCache

warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads is the point
caches = [LRUCache(100), TTLCache(100, 60)]
stop = threading.Event()


def work(seed: int) -> None:
    """Use them."""
    number = seed
    while not stop.is_set():
        number = number * 7919 % 1009
        for cache in caches:
            cache[f"key {number}"] = [number]
            cache.get(f"key {number % 50}")


threads = [threading.Thread(target=work, args=(seed,)) for seed in (1, 2, 3)]
for thread in threads:
    thread.start()
for _ in range(20):
    child = os.fork()
    if child == 0:
        for cache in caches:
            cache._check()
            cache["child"] = 1
            assert cache["child"] == 1
            cache.clear()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
stop.set()
for thread in threads:
    thread.join()
for cache in caches:
    cache._check()
