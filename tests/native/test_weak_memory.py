"""The native weak core when there is no memory, for each allocation in turn."""

from __future__ import annotations

import gc
import math
import sys
from collections.abc import Callable
from typing import Any

import pytest
from helpers.kinds import watched
from helpers.memory import fails_without_memory
from helpers.mortal import Thing

from safemem import WeakCache

testcapi = pytest.importorskip("_testcapi", reason="part of CPython's own tests")

MAKERS: dict[str, Callable[[], Any]] = {
    "nothing kept": lambda: WeakCache(0),
    "two kept": lambda: WeakCache(2),
    "told": lambda: WeakCache(2, on_remove=lambda *_: None),
    "weighed": lambda: WeakCache(2, lambda thing: thing.weight),
    "timed": lambda: WeakCache(2, ttl=60),
}


def live_and_die(cache: Any) -> None:
    """Store values that nobody else holds."""
    for number in range(30):
        cache[number] = Thing()


OPERATIONS: dict[str, Callable[[Any, Thing, Thing], object]] = {
    "store": lambda cache, fresh, _held: cache.__setitem__("new", fresh),
    "replace": lambda cache, fresh, _held: cache.__setitem__("held", fresh),
    "revive": lambda cache, _fresh, _held: cache.get("held"),
    "setdefault": lambda cache, fresh, _held: cache.setdefault("new", fresh),
    "set": lambda cache, fresh, _held: cache._set_for("new", fresh, 5),
    "pop": lambda cache, _fresh, _held: cache.pop("held"),
    "popitem": lambda cache, _fresh, _held: cache.popitem(),
    "evict": lambda cache, _fresh, _held: cache._evict(5, None),
    "resize": lambda cache, _fresh, _held: cache._resize(0),
    "clear": lambda cache, _fresh, _held: cache.clear(),
    "export": lambda cache, _fresh, _held: cache._export(),
    "import": lambda cache, fresh, held: cache._import([("new", fresh, 1, 5.0), ("other", held, 1, None)]),
    "iterate": lambda cache, _fresh, _held: list(cache._iterate_items()),
    "die": lambda cache, _fresh, _held: live_and_die(cache),
}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # whatever else runs in this process has no memory either
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("maker", MAKERS)
def test_every_allocation_fails_in_turn(maker: str, operation: str) -> None:
    """The error comes out or is got over; the cache is whole, bounded, and leaks nothing."""
    held, fresh = Thing("held"), Thing("fresh")
    gc.collect()
    gc.disable()
    try:
        for start in range(50):
            before = sys.getrefcount(held), sys.getrefcount(fresh)
            cache = watched(MAKERS[maker]())
            cache["held"] = held
            for number in range(5):
                cache[number] = Thing()
            failed = fails_without_memory(start, OPERATIONS[operation], cache, fresh, held, harmless=(KeyError,))
            cache._check()
            assert len(list(cache.items())) == len(cache)
            cache.resize(math.inf)
            cache["held"] = held
            assert cache["held"] is held
            del cache
            assert (sys.getrefcount(held), sys.getrefcount(fresh)) == before, start
            if not failed and start > 20:
                break
    finally:
        gc.enable()
