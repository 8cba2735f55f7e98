"""Forks again and again while threads call decorated functions; the children call them too."""

from __future__ import annotations

import os
import threading
import warnings

from safemem import cached, lru_cache

warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads is the point


class Owner:
    """One with a method."""

    @cached(50)
    def method(self, x: int, **names: int) -> list[object]:
        """Return something new."""
        return [x, names]


function = cached(50, typed=True)(lambda *args, **names: [args, names])
old = lru_cache(50)(lambda *args, **names: [args, names])
owners = [Owner() for _ in range(3)]
stop = threading.Event()


def use(number: int) -> None:
    """Hits and misses of every kind."""
    for owner in owners:
        owner.method(number % 70, y=number % 3)
    function(number % 70, "x", y=1.0)
    old(number % 70)
    old(number % 7, y=1)


def work(number: int) -> None:
    """Use them."""
    while not stop.is_set():
        number = number * 7919 % 1009
        use(number)


threads = [threading.Thread(target=work, args=(seed,)) for seed in (1, 2, 3)]
for thread in threads:
    thread.start()
for _ in range(20):
    child = os.fork()
    if child == 0:
        for number in range(200):
            use(number)
        for cache in (function.cache, *(owner.method.cache for owner in owners)):
            cache._check()
        old.cache_clear(), function.cache_clear()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
stop.set()
for thread in threads:
    thread.join()
for cache in (function.cache, *(owner.method.cache for owner in owners)):
    cache._check()
