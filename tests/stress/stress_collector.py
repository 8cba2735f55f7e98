"""Cyclic values, finalisers and weak reference callbacks that use the cache, with the collector running at every other allocation."""

from __future__ import annotations

import gc
import random
import weakref
from typing import Any

from helpers.stress import stress

from safemem import LRUCache, cached

cache: LRUCache[int, Any] = LRUCache(20, on_remove=lambda key, _value, _cause: cache.get(key))


class Cyclic:
    """In a cycle with itself."""

    def __init__(self, number: int) -> None:
        self.me = self
        self.number = number
        self.reference = weakref.ref(self, lambda _: cache.pop(number, None))

    @cached
    def method(self, x: int) -> object:
        return [x]

    def __del__(self) -> None:
        cache[self.number % 7] = self.number
        self.method(self.number)


def work(dice: random.Random) -> None:
    """Store, look, throw away."""
    number = dice.randrange(40)
    value = Cyclic(number)
    value.method(number)
    cache[number] = value
    cache.setdefault(dice.randrange(40), value)
    cache.get(dice.randrange(40))
    if number == 0:
        cache.clear()
    assert len(cache) <= 20


if __name__ == "__main__":
    gc.set_threshold(5, 2, 2)
    stress(work, threads=4)
    cache._check()
