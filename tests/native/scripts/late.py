"""Ends with caches alive in globals, in a thread, in cycles and in the hands of finalisers that use them."""

from __future__ import annotations

import builtins
import sys
import threading

from safemem import LRUCache, TLRUCache, TTLCache

caches = [
    LRUCache(5, on_remove=lambda *_: None),
    TTLCache(5, 60),
    TLRUCache(5, lambda _key, _value, now: now + 1),
    LRUCache(9, getsizeof=lambda _value: 1),
]


class Late:
    """Uses caches when it goes."""

    __slots__ = ()

    def __del__(self, caches: list[object] = caches) -> None:
        for cache in caches:
            cache["late"] = 1
            cache.get("late")
            list(cache.items())
            cache.pop("late", None)


class Cyclic:
    """Uses caches when the collector finds it."""

    def __init__(self) -> None:
        self.me = self

    def __del__(self, caches: list[object] = caches) -> None:
        for cache in caches:
            cache["late"] = 1
            cache.clear()


for index, cache in enumerate(caches):
    cache["self"] = cache
    cache["late"] = Late()
    cache["cyclic"] = Cyclic()
    setattr(builtins, f"cache_{index}", cache)
sys.cache = caches[0]
iterator = iter(caches[1].items())
next(iterator)

stop = threading.Event()


def work() -> None:
    """Use a cache until the process ends."""
    number = 0
    while True:
        number += 1
        caches[0][number] = number
        caches[1].get(number)


threading.Thread(target=work, daemon=True).start()
stop.wait(0.2)


# A cycle through a class made of a core type, which the collector takes apart together with the module.
class Sub(LRUCache):
    """Keeps itself."""


sub = Sub(3)
sub["self"], sub["class"], sub["late"] = sub, Sub, Late()
Sub.instance = sub
