"""Copies and pickles: the strong tier comes along, the weak one as far as somebody else holds it."""

from __future__ import annotations

import copy
import pickle

import pytest
from helpers.kinds import watched
from helpers.mortal import Thing

from safemem import WeakCache, WeakCacheStats


@pytest.mark.parametrize("duplicate", [copy.copy, lambda cache: cache.copy(), lambda cache: cache | {}], ids=["copy", "method", "or"])
def test_a_copy_has_the_same_objects(duplicate):
    """It is independent, of the same order and set-up, and its counters start at zero."""
    things = [Thing(number) for number in range(4)]
    cache = watched(WeakCache(2, unweakable="raise"))
    cache.update(enumerate(things))
    cache[0]
    twin = watched(duplicate(cache))
    assert list(twin.items()) == list(cache.items())
    assert (twin.maxsize, twin.currsize, twin.unweakable) == (2, 2, "raise")
    assert twin.stats().hits == 0
    del twin[0]
    assert 0 in cache


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda cache: pickle.loads(pickle.dumps(cache))], ids=["deepcopy", "pickle"])
def test_what_nobody_else_holds_is_gone_from_a_deep_copy(duplicate):
    """What fits into the bound is held; the others of the new objects die."""
    things = [Thing(number) for number in range(4)]
    cache = watched(WeakCache(2))
    cache.update(enumerate(things))
    twin = watched(duplicate(cache))
    assert [thing.name for thing in twin.values()] == [2, 3]
    assert list(twin) == [2, 3]
    assert twin[3] is not things[3]


def test_repr_shows_the_living():
    """As every cache does, with its time-to-live if it has one."""
    cache = watched(WeakCache(1))
    cache["a"] = Thing("a")
    cache["b"] = Thing("b")
    assert repr(cache) == "WeakCache({'b': Thing('b')}, maxsize=1, currsize=1)"
    assert repr(WeakCache(1, ttl=5)) == "WeakCache({}, maxsize=1, ttl=5, currsize=0)"


def test_stats_are_of_their_own_class():
    """They pickle, and tell the tiers apart."""
    cache = watched(WeakCache(1))
    things = [Thing(), Thing()]
    cache.update(enumerate(things))
    cache[0]
    stats = cache.stats()
    assert type(stats) is WeakCacheStats
    assert pickle.loads(pickle.dumps(stats)) == stats
    assert (stats.strong, stats.revived, stats.hits, stats.currsize, stats.maxsize) == (1, 1, 1, 1, 1)


def test_equality_and_merging():
    """As any mapping."""
    thing = Thing()
    cache = watched(WeakCache(0))
    cache["a"] = thing
    assert cache == {"a": thing}
    assert ({"b": thing} | cache) == {"a": thing, "b": thing}
    cache |= {"c": thing}
    assert list(cache) == ["a", "c"]
    assert list(WeakCache.fromkeys("ab", thing)) == ["a", "b"]
