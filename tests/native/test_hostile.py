"""What nobody should do to a cache, and what must not bring the process down."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest

from safemem import LRUCache, TLRUCache, TTLCache
from safemem.core import _native

from .cores import NATIVE, NativeTTL, make


class Moment:
    """A reading that is neither a number nor a datetime."""

    def __init__(self, at: float) -> None:
        self.at = at

    def __lt__(self, other: Any) -> bool:
        return self.at < other.at

    def __add__(self, other: float) -> Moment:
        return Moment(self.at + other)


@pytest.mark.parametrize(("old", "new"), [(LRUCache, TTLCache), (LRUCache, TLRUCache), (NATIVE[0], NATIVE[1]), (NATIVE[0], NATIVE[2])])
def test_another_class(old: Any, new: Any) -> None:
    """A cache that is given a class with a sense of time refuses it or says that it has none; the other way round it keeps its own."""
    cache = old(3) if old is LRUCache else make(old, 3)
    cache["a"] = 1
    try:
        cache.__class__ = new
    except TypeError:
        pass
    for attempt in (
        lambda: cache.expire(),
        lambda: cache.expire(10**30),
        lambda: cache.ttl_of("a"),
        lambda: cache._set_for("b", 1, 5),
        lambda: cache._configure(maxsize=3, clock=None),
    ):
        with pytest.raises((TypeError, AttributeError)):
            attempt()
    assert cache["a"] == 1
    cache._check()
    other = TTLCache(3, 5) if old is LRUCache else make(NATIVE[1], 3, step=5)
    other["a"] = 1
    try:
        other.__class__ = old
    except TypeError:
        pass
    other["b"] = 2
    assert list(other) == ["a", "b"]
    other._check()


def test_made_by_object() -> None:
    """Only their own `__new__` makes core types, and nothing but a cache makes its iterators."""
    for cls in (_native.LRUCore, _native.TTLCore, TTLCache, type(iter(LRUCache(1)))):
        with pytest.raises(TypeError):
            object.__new__(cls)
    with pytest.raises(TypeError):
        _native.LRUCore.__new__(dict)
    for thing in (_native.LRUCore(), iter(LRUCache(1))):
        for copier in (copy.copy, copy.deepcopy):
            with pytest.raises(TypeError):
                copier(thing)


def test_layouts_do_not_mix() -> None:
    """A class cannot be a cache and something else that has a layout of its own."""
    for other in (dict, int, _native.TTLCore):
        with pytest.raises(TypeError):
            type("Both", (_native.LRUCore, other), {})


def test_comparisons_that_fail_lose_no_deadline() -> None:
    """When comparing deadlines fails while entries expire, those not yet removed still expire later."""
    now = [Moment(0)]
    cache = make(NativeTTL, math.inf, timer=lambda: now[0], step=5)
    for number in range(20):
        cache._set_for(number, number, 5 + number * 7 % 20)
    now[0] = Moment(1000)
    for allowed in range(1, 30):
        cache_of_calls = [allowed]

        def lower(self: Moment, other: Moment, left: list[int] = cache_of_calls) -> bool:
            left[0] -= 1
            if left[0] < 0:
                raise LookupError
            return self.at < other.at

        before = Moment.__lt__
        Moment.__lt__ = lower  # type: ignore[method-assign]
        try:
            cache.expire()
        except LookupError:
            pass
        finally:
            Moment.__lt__ = before  # type: ignore[method-assign]
        cache._check()
    cache.expire()
    assert len(cache) == 0
    cache._check()


def test_rows_that_make_no_sense() -> None:
    """A row that was made up neither hides a deadline nor breaks the order of the others."""
    for cache in (TTLCache(math.inf, 5, lambda: 0.0), TTLCache(math.inf, 5, lambda: 0)):
        cache._import([("b", 1, 1, 9.0), ("a", 1, 1, math.nan), ("c", 1, 1, -math.inf), ("d", 1, 1, 3.0), ("e", 1, 1, math.inf)])
        cache._set_for("f", 1, 1.5)
        cache._check()
        assert [key for key, _value in cache.expire(4)] == ["f", "d"]
        assert [key for key, _value in cache.expire(10)] == ["b"]
        assert list(cache) == ["e"]
