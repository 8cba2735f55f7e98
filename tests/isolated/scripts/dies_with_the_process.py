"""Caches that are still in use when the interpreter shuts down disturb nothing, whatever their finalisers do."""

from __future__ import annotations

from typing import Any

from safemem import LRUCache, TTLCache, cached, cached_property


class Late:
    """A value whose finaliser uses the cache, at any time."""

    def __init__(self, cache: Any) -> None:
        self.cache = cache
        self.me = self

    def __del__(self) -> None:
        self.cache.get("x")
        self.cache["late"] = 1
        self.cache.clear()


class Owner:
    """An instance that lives to the end."""

    @cached
    def method(self) -> object:
        return object()

    @cached_property
    def value(self) -> object:
        return object()

    def __del__(self) -> None:
        self.method()
        _ = self.value


@cached
def function(x: object) -> object:
    """A cached function that lives to the end."""
    return x


if __name__ == "__main__":
    caches = [LRUCache(5, on_remove=lambda *_: None), TTLCache(5, 60, on_remove=lambda *_: None)]
    for kept in caches:
        kept["value"] = Late(kept)
        kept["self"] = kept
    owner = Owner()
    owner.method()
    function(owner)
    owner.cycle = owner
