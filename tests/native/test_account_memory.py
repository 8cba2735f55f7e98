"""Memory of what the native core does for budgets: nothing lost when there is none, exact counts, nothing left behind."""

from __future__ import annotations

import gc
import math
import sys
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from helpers.collect import Thing, collector_off
from helpers.memory import fails_without_memory

from safemem import LRUCache, MemoryBudget, RemovalCause, TTLCache, WeakCache
from safemem.memory.measuring import LARGEST

testcapi = pytest.importorskip("_testcapi", reason="part of CPython's own tests")

PRESSURE = RemovalCause.PRESSURE
MAKERS: dict[str, Callable[..., Any]] = {
    "lru": lambda **options: LRUCache(math.inf, **options),
    "told": lambda **options: LRUCache(math.inf, on_remove=lambda *_: None, **options),
    "ttl": lambda **options: TTLCache(math.inf, 60, **options),
    "weak": lambda **options: WeakCache(math.inf, **options),
}


def filled(make: Callable[..., Any], **options: Any) -> Any:
    """A cache with a few entries whose values nobody else has."""
    cache = make(**options)
    for number in range(12):
        cache[number] = bytes(1000 + number)
    return cache


def charges(cache: Any) -> int:
    """What is charged for the entries one by one: giving up each in turn says so."""
    total = 0
    while (offer := cache._offer(64, 1.0, 0, False)) is not None:
        assert cache._give_up(offer[2], PRESSURE, 0) >= 0
        total += offer[1]
    return total


def cold(cache: Any) -> list[int]:
    """All regions in which values lie."""
    return [*cache._cold_regions(100, 4)]


def first_unmeasured(cache: Any) -> tuple[int, Any, Any] | None:
    """One entry that nothing is charged for."""
    return next(iter(cache._unmeasured()), None)


OPERATIONS: dict[str, Callable[[MemoryBudget, Any], Any]] = {
    "store": lambda _budget, cache: cache.__setitem__("fresh", bytes(500)),
    "replace": lambda _budget, cache: cache.__setitem__(3, bytes(700)),
    "store what is measured by a function": lambda _budget, cache: cache.__setitem__((1, "key"), [1, 2, 3]),
    "store much": lambda _budget, cache: [cache.__setitem__(("key", number), bytes(100)) for number in range(40)],
    "setdefault": lambda _budget, cache: cache.setdefault("fresh", bytes(500)),
    "pop": lambda _budget, cache: cache.pop(3),
    "clear": lambda _budget, cache: cache.clear(),
    "import": lambda _budget, cache: cache._import([("fresh", bytes(500), 1, 5.0)]),
    "offer": lambda _budget, cache: cache._offer(16, 1.0, 0, True),
    "give up": lambda _budget, cache: cache._give_up(cache._offer(16, 1.0, 0, False)[2], PRESSURE, 0),
    "cold regions": lambda _budget, cache: cache._cold_regions(100, 4),
    "give up regions": lambda _budget, cache: cache._give_up_regions(cold(cache), 4, PRESSURE, 0, LARGEST),
    "reclaimable": lambda _budget, cache: cache._reclaimable(),
    "close": lambda _budget, cache: cache._close_account(),
    "open anew": lambda budget, cache: (cache._close_account(), cache._open_account(budget._ledger, lambda *_: (5, 1.0), 5, None)),
    "unmeasured": lambda budget, cache: (
        cache._close_account(),
        cache._open_account(budget._ledger, lambda *_: (5, 1.0), 5, None),
        cache._unmeasured(),
        cache._record(first_unmeasured(cache)[0], 50, 1.0),  # type: ignore[index]
    ),
    "attach again": lambda budget, cache: budget.attach(cache, size=len),
    "detach": lambda budget, cache: budget.detach(cache),
    "reclaim": lambda budget, _cache: budget.reclaim(2_000),
    "stats": lambda budget, _cache: budget.stats(),
}


# From 3.12 on the interpreter itself does not always survive Python code that has no memory.
WITH_GIL = getattr(sys, "_is_gil_enabled", lambda: True)()
ROBUST = WITH_GIL and sys.version_info < (3, 12)
IN_PYTHON = {
    "told",
    "store what is measured by a function",
    "store much",
    "open anew",
    "unmeasured",
    "attach again",
    "detach",
    "reclaim",
    "stats",
}


def possible(names: Iterable[str]) -> list[str]:
    """Those that can be tried with this interpreter."""
    return [name for name in names if ROBUST or name not in IN_PYTHON]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # whatever else runs in this process has no memory either
@pytest.mark.parametrize("operation", possible(OPERATIONS))
@pytest.mark.parametrize("maker", possible(MAKERS))
def test_every_allocation_fails_in_turn(maker: str, operation: str) -> None:
    """Whichever allocation fails, the cache is whole, and what is used is what its entries are charged."""
    with collector_off():  # or it may find what other tests left, and fail for them
        for start in range(80):
            budget = MemoryBudget(10**9)
            cache = filled(MAKERS[maker], budget=budget)
            failed = fails_without_memory(start, OPERATIONS[operation], budget, cache)
            cache._check()
            assert len(list(cache.items())) == len(cache)
            cache["after"] = bytes(100)
            assert cache["after"] == bytes(100)
            if cache._account is None:
                assert budget.used == 0
            else:
                charged = cache._charged
                assert budget.used == charged
                assert charges(cache) == charged
                assert budget.used == cache._charged == 0
                cache._check()
            del cache
            assert budget.used == 0
            if not failed and start > 20:
                break


@pytest.mark.skipif(not WITH_GIL, reason="without a GIL counts of references are put off")
@pytest.mark.parametrize("maker", MAKERS)
def test_nothing_is_left_behind(maker: str) -> None:
    """A round more of everything that a budget asks leaves no block of memory more, and no reference to budget, measure or cache."""

    def measure(_key: object, _value: object) -> tuple[int, float]:
        return 50, 1.0

    def use() -> None:
        budget = MemoryBudget(10**9)
        ledger = budget._ledger
        cache = filled(MAKERS[maker], budget=budget)
        for operation in OPERATIONS.values():
            operation(budget, cache)
            if cache._account is None:
                assert cache._open_account(ledger, measure, 5, None)
            for number in range(12):
                cache.setdefault(number, bytes(1000))
        for wrong in (
            lambda: cache._open_account(),
            lambda: cache._open_account(object(), measure, 5, None),
            lambda: cache._open_account(ledger, measure, "5", None),
            lambda: cache._record(1, 2),
            lambda: cache._record("a", 2, 3.0),
            lambda: cache._offer(),
            lambda: cache._offer("a", 1.0, 0, True),
            lambda: cache._give_up(1),
            lambda: cache._give_up("a", PRESSURE, 0),
            lambda: cache._cold_regions(1),
            lambda: cache._cold_regions("a", 4),
            lambda: cache._give_up_regions((), 4, PRESSURE, 0, 1),
            lambda: cache._give_up_regions(["a"], 4, PRESSURE, 0, 1),
            lambda: cache._give_up_regions([-1], 4, PRESSURE, 0, 1),
        ):
            with pytest.raises((TypeError, OverflowError)):
                wrong()

    with collector_off():
        for _ in range(3):
            use()
        gc.collect()
        before = sys.getallocatedblocks(), sys.getrefcount(measure)
        for _ in range(20):
            use()
        gc.collect()
        grown = sys.getallocatedblocks() - before[0]
    assert grown < 40, grown
    assert sys.getrefcount(measure) == before[1]


@pytest.mark.skipif(not WITH_GIL, reason="without a GIL counts of references are put off")
def test_counts_of_values_are_exact() -> None:
    """Offering and giving up hold on to nothing."""
    budget = MemoryBudget(10**9)
    cache = budget.attach(LRUCache(100), size=lambda _value: 1000)
    key, value = Thing(), Thing()
    before = sys.getrefcount(key), sys.getrefcount(value)
    cache[key] = value
    for _ in range(3):
        handle = cache._offer(16, 1.0, 0, False)[2]
        cache._cold_regions(10, 4), cache._unmeasured(), cache._reclaimable()
    assert (sys.getrefcount(key), sys.getrefcount(value)) == (before[0] + 1, before[1] + 1)
    assert cache._give_up(handle, PRESSURE, 0) > 1000
    assert cache._give_up(handle, PRESSURE, 0) == -1
    assert (sys.getrefcount(key), sys.getrefcount(value)) == before
    cache[key] = value
    cache._give_up_regions([id(value) >> 4], 4, PRESSURE, 0, LARGEST)
    assert (sys.getrefcount(key), sys.getrefcount(value)) == before
