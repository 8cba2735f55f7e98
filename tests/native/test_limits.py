"""The edges: bounds near every limit, set-up done twice or not at all, keys made to collide."""

from __future__ import annotations

import gc
import math
import random
import sys
import time
from typing import Any

import pytest

from safemem import LRUCache, TLRUCache, TTLCache
from safemem.core import _native

from .cores import NATIVE, make


@pytest.mark.parametrize(
    "bound",
    [0, 1, 2, 7, 8, 9, 63, 64, 65, 1023, 1024, 1025, 2**31 - 1, 2**31, 2**31 + 1, 2**32, 2**62, 2**63, 2**64, 10**30, math.inf, 2.5, 1e300],
)
def test_bounds(bound: float) -> None:
    """Every bound is kept exactly, whatever its size and kind."""
    for cls in NATIVE:
        cache = make(cls, bound)
        for number in range(1100):
            if bound < 1:
                with pytest.raises(ValueError, match="too large"):
                    cache[number] = number
            else:
                cache[number] = number
        count = min(1100, math.floor(bound) if bound < 1e9 else 1100)
        assert len(cache) == count
        assert list(cache) == list(range(1100 - count, 1100))
        assert cache.maxsize == cache._maxsize == bound
        cache._check()


def test_resizing_while_iterating() -> None:
    """A loop goes on over what is left, however the bound goes up and down."""
    cache = LRUCache(math.inf)
    cache.update((number, number) for number in range(2000))
    seen = []
    for key in cache:
        seen.append(key)
        if key % 100 == 0:
            cache.resize(1000 - key // 4)
            cache.resize(math.inf)
            cache.update((number, number) for number in range(5000, 5000 + key))
            cache._check()
    assert seen == sorted(set(seen))
    assert set(seen) <= set(range(2000))


def test_setting_up_twice() -> None:
    """A second __init__ empties the cache, lets go of everything, and the new set-up holds."""
    for cls, arguments in ((LRUCache, ()), (TTLCache, (5,)), (TLRUCache, (lambda _key, _value, now: now + 5,))):
        cache: Any = cls(5, *arguments)
        cache.update(a=1, b=2)
        iterator = iter(cache)
        cache.__init__(2, *arguments, getsizeof=lambda value: value)
        assert (len(cache), cache.currsize, cache.maxsize, cache.stats().misses) == (0, 0, 2, 0)
        assert list(iterator) == []
        cache["c"] = 2
        cache["d"] = 1
        assert list(cache) == ["d"]
        cache.__init__(3, *arguments)
        cache.update(a=1, b=2, c=3, d=4)
        assert list(cache) == ["b", "c", "d"]
        cache._check()


def test_expiring_by_an_integer_keeps_deadlines_small() -> None:
    """Asked with a whole number what will have expired, a cache of floats stays one of floats."""
    cache = TTLCache(10, 5, timer=lambda: 0.0)
    cache["a"] = 1
    small = len(gc.get_referents(cache))
    assert (cache.expire(4), cache.expire(5)) == ([], [("a", 1)])
    cache["a"] = 1
    assert len(gc.get_referents(cache)) == small
    cache._check()


def test_never_set_up() -> None:
    """Without __init__ a cache is whole, empty and takes nothing."""
    for cls in (LRUCache, TTLCache, TLRUCache, _native.LRUCore, _native.TTLCore, _native.TLRUCore):
        cache: Any = cls.__new__(cls)
        assert len(cache) == cache.currsize == cache.maxsize == 0
        assert list(cache) == []
        assert cache.get(1) is None
        with pytest.raises(KeyError):
            cache.popitem()
        with pytest.raises(ValueError, match="too large"):
            cache["a"] = 1
        cache.clear()
        cache._check()


def test_keys_made_to_collide() -> None:
    """Integers whose last bits are all the same take no longer than others."""
    cache = make(NATIVE[0], math.inf)
    plain = make(NATIVE[0], math.inf)
    steps = []
    for target, keys in ((plain, list(range(20_000))), (cache, [number << 40 for number in range(20_000)])):
        start = time.perf_counter()
        for key in keys:
            target[key] = key
        assert all(target[key] == key for key in keys)
        steps.append(time.perf_counter() - start)
        target._check()
    assert steps[1] < 50 * steps[0] + 1


@pytest.mark.parametrize("alike", [70, 300])
def test_keys_of_one_hash(alike: int) -> None:
    """Entries that lie far from where their hash puts them, in one long row of slots, are found while others come and go in any order."""
    cache = make(NATIVE[0], math.inf)
    modulus = sys.hash_info.modulus
    keys = [group + number * modulus for group in (1, 2, 3) for number in range(alike)] + list(range(10, 10 + 3 * alike))
    random.Random(alike).shuffle(keys)
    there: set[int] = set()
    for turn in range(3):
        for key in keys[turn::2]:
            if key in there:
                del cache[key]
                there.remove(key)
            else:
                cache[key] = key
                there.add(key)
            if key % 5 == 0:
                cache._check()
        assert [key for key in keys if key in cache] == [key for key in keys if key in there]
        cache._check()
    for key in keys:
        cache.pop(key, None)
        cache._check()
    assert len(cache) == 0


def test_integers_and_strings_of_all_sizes() -> None:
    """Keys that look alike are told apart, and equal ones that are not the same object are found."""
    cache = make(NATIVE[0], math.inf)
    numbers = [
        sign * (1 << bits) + delta
        for bits in (0, 1, 15, 29, 30, 31, 45, 59, 60, 61, 62, 63, 64, 90, 200)
        for sign in (1, -1)
        for delta in (-2, -1, 0, 1, 2)
    ]
    texts = ["", "a", "ä", "\u20ac", "\U0001f600", "a" * 100, "a" * 99 + "b", "\x00", "a\x00", "\xff", "\u0100"]
    for key in {*numbers, *texts}:
        cache[key] = key
    for key in {*numbers, *texts}:
        again = int(str(key)) if isinstance(key, int) else "".join(list(key))
        assert cache[again] == key
        assert (float(key) in cache) is (int(float(key)) in cache) if isinstance(key, int) else True
    assert len(cache) == len({*numbers, *texts})


def test_subclasses_of_keys() -> None:
    """A subclass of str or int with an equality of its own is asked."""

    class Text(str):
        __slots__ = ()

        def __eq__(self, other: object) -> bool:
            return False

        __hash__ = str.__hash__

    cache = make(NATIVE[0], 10)
    cache["a"] = 1
    assert Text("a") not in cache
    assert cache["a"] == 1


@pytest.mark.parametrize("arguments", [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)])
@pytest.mark.parametrize("name", [name for name in dir(_native.TLRUCore) if name.startswith("_") and not name.startswith("__")])
def test_private_methods_survive_wrong_arguments(name: str, arguments: tuple[int, ...]) -> None:
    """Whatever the private side is called with, it answers or raises."""
    cache = make(NATIVE[2], 3)
    cache["a"] = 1
    attribute = getattr(cache, name)
    if callable(attribute):
        try:
            attribute(*arguments)
        except (TypeError, ValueError, KeyError, AttributeError):
            pass
    cache._check()
