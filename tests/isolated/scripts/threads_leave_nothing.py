"""Memory stays flat while threads come and go that used a cache: nothing is kept for a thread that ended."""

from __future__ import annotations

import gc
import threading
from typing import Any

from helpers.leak import Unique

from safemem import LRUCache, cached

cache: LRUCache[Any, Any] = LRUCache(20, on_remove=lambda *_: None)


@cached(maxsize=20)
def function(x: int) -> Unique:
    """Something to share."""
    return Unique(x)


def work(number: int) -> None:
    """Use everything once."""
    cache[number] = Unique()
    cache.get(number - 1)
    cache.get_or_create(number + 0.5, Unique)
    cache.evict()
    function(number)


def threads(start: int, count: int) -> None:
    """One thread after the other, three at a time."""
    for number in range(start, start + count, 3):
        group = [threading.Thread(target=work, args=(number + part,)) for part in range(3)]
        for thread in group:
            thread.start()
        for thread in group:
            thread.join()


if __name__ == "__main__":
    threads(0, 300)
    gc.collect()
    objects, alive = len(gc.get_objects()), Unique.alive
    threads(300, 900)
    gc.collect()
    grown = len(gc.get_objects()) - objects
    assert grown < 100, grown
    assert Unique.alive <= alive + 3, (Unique.alive, alive)
