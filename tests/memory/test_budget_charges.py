"""What a budget counts: bytes that add up, however entries come and go."""

from __future__ import annotations

import math
import sys
import tracemalloc
import weakref

import pytest
from helpers.collect import freed_by_count
from helpers.kinds import KINDS

from safemem import LRUCache, MemoryBudget
from safemem.memory.measuring import key_bytes, own_bytes
from safemem.memory.sizeof import sizeof


class Thing:
    """Something that can be weakly referenced."""


def total(cache):
    """What the entries of a cache cost, added up."""
    return sum(sizeof(value) + own_bytes(cache) + key_bytes(key) for key, value in cache.items())


@pytest.fixture(params=KINDS, ids=str)
def kind(request):
    """Each cache class in turn."""
    return request.param


def test_both_ways_to_take_part(kind):
    """`budget=` and `attach()` do the same, also for a cache that has entries."""
    one, other = MemoryBudget(10**9), MemoryBudget(10**9)
    first = kind.make(budget=one)
    second = kind.make()
    assert second._account is None
    for number in range(5):
        first[number] = second[number] = [number] * 100
    assert other.attach(second) is second
    assert one.used == other.used == total(first)
    first[7] = second[7] = "more"
    assert one.used == other.used == total(first)


VALUES = ["text", "ä" * 5, "€", b"", b"bytes" * 100, 0, 1, -1, 12345, 1 << 70, True, 1.5, None, (1, 2), [1], {"a": 1}, 2j]
KEYS = ["key", "ä", 1, 0, -5, 1 << 70, 1.5, b"key", None, ("a", 1), ("a", (1,)), (), frozenset("ab")]


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
@pytest.mark.parametrize("key", KEYS, ids=range(len(KEYS)))
def test_every_value_costs_what_sizeof_says(key, value):
    """Whichever core it is, and however it measures: the size of the value, that of the key, and the entry's own."""
    budget = MemoryBudget(10**9)
    cache = LRUCache(10, budget=budget)
    cache[key] = value
    assert budget.used == sizeof(value) + key_bytes(key) + own_bytes(cache)


def test_size_of_the_users(kind):
    """A size function takes the place of sizeof; what it says may be a fraction."""
    budget = MemoryBudget(10**9)
    cache = budget.attach(kind.make(), size=lambda value: len(value) / 2)
    cache["a"] = "xxxxx"
    assert budget.used == 3 + own_bytes(cache) + key_bytes("a")


def test_attaching_again_measures_again(kind):
    """The last settings count, for all entries."""
    budget = MemoryBudget(10**9)
    cache = kind.make(budget=budget)
    cache["a"] = "text"
    budget.attach(cache, size=lambda _value: 1000)
    assert budget.used == 1000 + own_bytes(cache) + key_bytes("a")
    assert budget.stats().caches == 1
    budget.detach(cache)
    budget.detach(cache)
    assert (budget.used, budget.stats().caches, len(cache)) == (0, 0, 1)


def test_in_one_budget_at_a_time(kind):
    """A cache has one account, until it is detached."""
    one, other = MemoryBudget(10**9), MemoryBudget(10**9)
    cache = kind.make(budget=one)
    cache["a"] = "text"
    with pytest.raises(ValueError, match="cache is in another budget, from which it has to be detached first, got"):
        other.attach(cache)
    other.detach(cache)
    assert one.used > 0 == other.used
    one.detach(cache)
    other.attach(cache)
    assert other.used > 0 == one.used


@pytest.mark.parametrize("answer", [-1, math.inf, math.nan, 10**30, "5", None])
@pytest.mark.parametrize("which", ["size", "cost"])
def test_functions_that_answer_nonsense(kind, which, answer):
    """The caller of the store is told, and nothing is stored."""
    budget = MemoryBudget(10**9)
    cache = budget.attach(kind.make(), **{which: lambda *_: answer})
    with pytest.raises((TypeError, ValueError), match=f"{which} must return a"):
        cache["a"] = 1
    with pytest.raises((TypeError, ValueError), match=f"{which} must return a"):
        cache.setdefault("a", 1)
    with pytest.raises((TypeError, ValueError), match=f"{which} must return a"):
        cache.get_or_create("a", lambda: 1)
    assert len(cache) == budget.used == 0


def test_a_function_that_raises_while_attaching(kind):
    """Then the cache is not in the budget, and keeps its entries."""
    budget = MemoryBudget(10**9)
    cache = kind.make()
    cache["a"] = 1
    with pytest.raises(ZeroDivisionError):
        budget.attach(cache, size=lambda value: value / 0)
    assert (budget.used, budget.stats().caches, len(cache), cache._account) == (0, 0, 1, None)


def test_what_dies_is_not_charged(kind):
    """Neither the cache's death nor anything it went through leaves anything behind."""
    budget = MemoryBudget(10**9)
    with freed_by_count() as watched:
        cache = kind.make(budget=budget)
        for number in range(10):
            cache[number] = Thing()
        watched.append(weakref.ref(cache))
        assert budget.used > 0
        del cache
    assert (budget.used, budget.stats().caches) == (0, 0)


def test_a_cache_set_up_anew_leaves(kind):
    """`__init__` once more makes a new cache of it, which is in no budget unless it says so."""
    budget = MemoryBudget(10**9)
    cache = kind.make(budget=budget)
    cache["a"] = 1
    cache.__init__(5, **kind.arguments())
    assert (budget.used, budget.stats().caches) == (0, 0)
    cache.__init__(5, **kind.arguments(), budget=budget)
    cache["a"] = 1
    assert budget.used == cache._charged > 0


def test_the_places_in_a_table_are_what_they_are_said_to_be(kind):
    """What an entry's own bytes are said to be is within a third of what tracemalloc sees."""
    budget = MemoryBudget(10**9)
    cache = kind.make(10**9, ttl=60, budget=budget)
    keys, value = [object() for _ in range(20_000)], Thing()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for key in keys:
            cache[key] = value
        taken = (tracemalloc.get_traced_memory()[0] - before) / len(keys)
    finally:
        tracemalloc.stop()
    assert own_bytes(cache) == pytest.approx(taken, rel=1 / 3)


def test_size_of_the_interpreters_own_words():
    """The native core measures plain objects itself, and says what Python says."""
    for value in ("", "a", "é", "€", "😀", b"", b"x", 1, 2**29, 1.0):
        assert key_bytes(value) == sys.getsizeof(value) == sizeof(value)
