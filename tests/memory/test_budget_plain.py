"""Entries that consist of nothing but themselves, which caches measure and charge for on their own: nothing else changes, and it adds up."""

from __future__ import annotations

import gc
import random
import sys
import tracemalloc
from dataclasses import replace

import pytest
from helpers.clock import Clock
from helpers.kinds import KINDS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from safemem import LRUCache, MemoryBudget, RemovalCause, WeakCache
from safemem.memory.measuring import own_bytes

VALUES = [b"", b"a", bytes(100), "text", "t\xe4xt", 5, 10**30, 2.5, True, None, 1j]
STEPS = st.one_of(
    st.tuples(st.just("store"), st.integers(0, 9), st.sampled_from(range(len(VALUES)))),
    st.tuples(st.just("use"), st.integers(0, 9)),
    st.tuples(st.just("remove"), st.integers(0, 9)),
    st.tuples(st.just("tick"), st.integers(0, 4)),
    st.tuples(st.just("resize"), st.integers(1, 6)),
    st.tuples(st.just("clear"), st.just(0)),
    st.tuples(st.just("load"), st.integers(0, 9)),
)


def bytes_of(cache):
    """What the entries of a cache take, added up."""
    return sum(own_bytes(cache) + sys.getsizeof(key) + sys.getsizeof(value) for key, value in list(cache.items()))


def play(kind, steps, budget):
    """Do the steps on a cache, and return all that can be seen of it; with the bytes charged checked at each."""
    clock, told, seen = Clock(), [], []
    cache = kind.make(4, ttl=7, clock=clock, on_remove=lambda *removal: told.append(removal), budget=budget)
    for what, number, *more in steps:
        if what == "store":
            cache[number] = VALUES[more[0]]
        elif what == "use":
            seen.append(cache.get(number))
        elif what == "remove":
            seen.append(cache.pop(number, "none"))
        elif what == "tick":
            clock.tick(number)
        elif what == "resize":
            cache.resize(number)
        elif what == "load":
            seen.append(cache.get_or_create(number, lambda: b"loaded"))
        else:
            cache.clear()
        if hasattr(cache, "expire"):
            cache.expire()
        seen.append(list(cache.items()))
        cache._check()
        assert budget is None or budget.used == bytes_of(cache)
    return seen, told, replace(cache.stats(), load_seconds=0)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@given(steps=st.lists(STEPS, max_size=40))
@settings(deadline=None, derandomize=True, database=None, max_examples=60, suppress_health_check=list(HealthCheck))
def test_a_budget_with_room_changes_nothing(kind, steps):
    """A cache in a budget does what the same cache does without one, and what is used is the sum of its entries at any moment."""
    assert play(kind, steps, MemoryBudget(10**12)) == play(kind, steps, None)


class Biting:
    """A key that is equal to nothing, and does something to the cache when somebody compares it with another of its hash."""

    def __init__(self):
        self.bite = lambda: None

    def __hash__(self):
        return 5

    def __eq__(self, other):
        bite, self.bite = self.bite, lambda: None
        bite()
        return self is other


def bites(cache, budget, other):
    """What may happen to a cache while a key is being compared."""
    yield cache.clear
    yield lambda: cache.pop(1)
    yield lambda: cache.popitem()
    yield lambda: cache.__setitem__(5, bytes(50))
    yield lambda: [cache.__setitem__(number, bytes(number)) for number in range(10, 20)]
    yield lambda: cache.resize(1)
    yield lambda: budget.detach(cache)
    yield lambda: (budget.detach(cache), other.attach(cache))
    yield lambda: budget.reclaim(10**6)
    yield lambda: (cache.clear(), cache.__setitem__(1, b"a"))


@pytest.mark.parametrize("maxsize", [3, 100])
@pytest.mark.parametrize("number", range(10))
def test_comparisons_that_bite(maxsize, number):
    """Whatever the code of a key does to the cache while a plain entry is being stored, what is charged is what is there."""
    budget, other = MemoryBudget(10**9), MemoryBudget(10**9)
    cache = LRUCache(maxsize, budget=budget)
    key = Biting()
    cache[1] = bytes(10)
    cache[key] = bytes(20)
    cache[2] = bytes(30)
    key.bite = list(bites(cache, budget, other))[number]
    cache[5] = bytes(1_000)
    cache[6] = bytes(2_000)
    cache._check()
    for each in (budget, other):
        assert each.used == (cache._charged if cache._account is each._ledger else 0)
    expected = sum(
        own_bytes(cache) + (sys.getsizeof(key) if type(key) is int else Biting.__basicsize__) + sys.getsizeof(value)
        for key, value in cache.items()
    )
    assert cache._charged == (expected if cache._account is not None else 0)
    assert len(cache) <= maxsize


def test_a_key_that_bites_when_it_is_evicted():
    """The code of the coldest key may clear the cache: nothing is charged twice nor taken off twice."""
    budget = MemoryBudget(10**9)
    cache = LRUCache(2, budget=budget)
    first, second = Biting(), Biting()
    cache[first] = bytes(10)
    cache[second] = bytes(10)
    second.bite = first.bite = cache.clear
    cache[1] = bytes(1_000)
    cache[2] = bytes(1_000)
    cache._check()
    assert budget.used == cache._charged == bytes_of(cache)


def test_what_is_kept_to_pick_from_does_not_grow():
    """A cache that is never asked for its least valuable entry keeps nothing of those that came and went."""
    budget = MemoryBudget(10**12)
    cache = LRUCache(100, budget=budget)
    value = bytes(100)

    def churn():
        for number in range(20_000):
            cache[number] = value
            cache.get(number - 50)

    churn()
    gc.collect()
    tracemalloc.start()
    try:
        churn()
        before = tracemalloc.get_traced_memory()[0]
        churn()
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 100_000


@pytest.mark.parametrize("cls", [LRUCache, WeakCache])
def test_what_lies_together_goes_and_the_rest_is_as_it_was(cls):
    """Giving up most of a cache by where it lies in memory leaves a cache that is whole, smaller, and works."""
    told = []
    budget = MemoryBudget(10**12)
    cache = cls(10**6, on_remove=lambda *removal: told.append(removal), budget=budget)
    dice = random.Random(1)
    for number in range(20_000):
        cache[number] = bytes(dice.randrange(100, 1000))
    regions = sorted({*cache._cold_regions(20_000, 16)})
    wanted = regions[: len(regions) * 9 // 10]
    before = budget.used
    count, nbytes = cache._give_up_regions(wanted, 16, RemovalCause.PRESSURE, 0, 10**12)
    cache._check()
    assert count == len(told) == 20_000 - len(cache) > 10_000
    assert {removal[2] for removal in told} == {RemovalCause.PRESSURE}
    assert before - budget.used == nbytes
    assert budget.used == cache._charged == bytes_of(cache)
    left = dict(cache.items())
    assert {number: cache.get(number) for number in left} == left
    cache["new"] = bytes(123)
    assert cache["new"] == bytes(123)
    cache._check()
    left.clear()  # what others use would be passed over
    used = budget.used
    assert budget.reclaim(10**9) == used
    assert len(cache) == 0


def test_regions_are_emptied_as_a_whole_until_enough_has_gone():
    """The first regions lose everything, as many as it takes, and the others nothing: a page goes back only when nothing is left in it."""
    budget = MemoryBudget(10**12)
    cache = budget.attach(LRUCache(10**6))
    dice = random.Random(2)
    for number in dice.sample(range(5_000), 5_000):  # entries that lie side by side are not stored one after the other
        cache[number] = bytes(dice.randrange(600, 1000))
    for number in range(0, 5_000, 3):
        cache[number] = bytes(dice.randrange(600, 1000))
    regions = [*dict.fromkeys(cache._cold_regions(5_000, 16))]
    before = {region: 0 for region in regions}
    for key, value in cache.items():
        before[id(value) >> 16] += own_bytes(cache) + sys.getsizeof(key) + sys.getsizeof(value)
    del value
    count, nbytes = cache._give_up_regions([regions[0], *regions], 16, RemovalCause.PRESSURE, 0, 300_000)
    emptied = regions[: next(number for number in range(5_000) if sum(before[region] for region in regions[:number]) >= 300_000)]
    assert nbytes == sum(before[region] for region in emptied)
    assert count == 5_000 - len(cache)
    assert {*regions} - {id(value) >> 16 for value in cache.values()} == {*emptied}
    assert sum(before.values()) - nbytes == budget.used == bytes_of(cache)


def test_floor_holds_for_what_lies_together():
    """What may stay stays, whatever lies beside it; and nothing is to go if nothing is asked for."""
    budget = MemoryBudget(10**12)
    cache = budget.attach(LRUCache(10**6), min_bytes=1_000_000)
    for number in range(5_000):
        cache[number] = bytes(500)
    regions = cache._cold_regions(5_000, 16)
    assert cache._give_up_regions(regions, 16, RemovalCause.PRESSURE, 1_000_000, 0) == (0, 0)
    cache._give_up_regions(regions, 16, RemovalCause.PRESSURE, 1_000_000, 10**9)
    assert 1_000_000 <= budget.used < 1_002_000
