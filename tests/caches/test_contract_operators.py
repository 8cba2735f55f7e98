"""What people expect when a cache replaces a dict: `|`, `|=`, fromkeys, `==`, repr."""

from __future__ import annotations

import math
from collections import OrderedDict, UserDict
from types import MappingProxyType

import cachetools
import pytest
from helpers.kinds import Kind


def test_or_makes_a_new_cache(kind: Kind) -> None:
    """`cache | mapping` is a cache like the left one, with the right one's entries stored after; neither changes."""
    left = kind.make(5)
    left.update(a=1, b=2)
    right = {"b": 3, "c": 4}
    both = left | right
    assert type(both) is kind.cls
    assert both.maxsize == 5
    assert list(both.items()) == [("a", 1), ("b", 3), ("c", 4)]
    assert list(left.items()) == [("a", 1), ("b", 2)]
    assert right == {"b": 3, "c": 4}


def test_or_stays_bounded(kind: Kind) -> None:
    """The result of `|` keeps the bound of the left cache."""
    left = kind.make(2)
    left.update(a=1, b=2)
    assert list((left | {"c": 3}).items()) == [("b", 2), ("c", 3)]


def test_or_of_two_caches(kind: Kind) -> None:
    """Two caches can be joined."""
    left, right = kind.make(5), kind.make(3)
    left.update(a=1)
    right.update(b=2)
    assert (left | right) == {"a": 1, "b": 2}
    assert (left | right).maxsize == 5


def test_or_from_the_right(kind: Kind) -> None:
    """`mapping | cache` is a cache like the right one, whose entries win."""
    cache = kind.make(5)
    cache.update(b=2, c=3)
    both = {"a": 1, "b": 9} | cache
    assert type(both) is kind.cls
    assert list(both.items()) == [("a", 1), ("b", 2), ("c", 3)]
    assert list(cache) == ["b", "c"]


def test_ior_updates(kind: Kind) -> None:
    """`|=` is update(), of a mapping or of pairs, and keeps the very same cache."""
    cache = same = kind.make(3)
    cache |= {"a": 1}
    cache |= [("b", 2), ("c", 3)]
    cache |= {"d": 4}
    assert cache is same
    assert list(cache.items()) == [("b", 2), ("c", 3), ("d", 4)]


@pytest.mark.parametrize("other", [[("a", 1)], 5, None, "ab"], ids=repr)
def test_or_refuses_what_is_no_mapping(kind: Kind, other: object) -> None:
    """`|` takes mappings only, as dict's does."""
    with pytest.raises(TypeError):
        kind.make() | other
    with pytest.raises(TypeError):
        other | kind.make()


def test_fromkeys(kind: Kind) -> None:
    """fromkeys() makes a cache of this class, unbounded if not told otherwise."""
    cache = kind.cls.fromkeys("abc")
    assert type(cache) is kind.cls
    assert list(cache.items()) == [("a", None), ("b", None), ("c", None)]
    assert cache.maxsize == math.inf
    assert dict(kind.cls.fromkeys([1, 2], "x")) == {1: "x", 2: "x"}


def test_fromkeys_bounded(kind: Kind) -> None:
    """fromkeys(maxsize=) keeps the last that fit."""
    cache = kind.cls.fromkeys(iter("abcd"), 0, maxsize=2)
    assert list(cache) == ["c", "d"]
    assert cache.maxsize == 2


@pytest.mark.parametrize(
    "other",
    [dict, OrderedDict, UserDict, lambda pairs: MappingProxyType(dict(pairs)), lambda pairs: cachetools_with(pairs)],
    ids=["dict", "OrderedDict", "UserDict", "MappingProxyType", "LFUCache"],
)
def test_equals_any_mapping(kind: Kind, other: object) -> None:
    """A cache equals any mapping with the same pairs, in either position and any order."""
    cache = kind.make()
    cache.update(a=1, b=2)
    same = other([("b", 2), ("a", 1)])
    assert cache == same
    assert same == cache
    assert not cache != same
    cache["a"] = 3
    assert cache != same
    assert same != cache


def cachetools_with(pairs: list[tuple[str, int]]) -> cachetools.LFUCache[str, int]:
    """A cache of cachetools' own."""
    cache: cachetools.LFUCache[str, int] = cachetools.LFUCache(10)
    cache.update(pairs)
    return cache


def test_equality_ignores_bounds_and_order(kind: Kind) -> None:
    """Two caches are equal if they hold the same pairs."""
    left, right = kind.make(2), kind.make(9)
    left.update(a=1, b=2)
    right.update(b=2, a=1)
    assert left == right


@pytest.mark.parametrize("other", [None, 1, "ab", [("a", 1)], {("a", 1)}], ids=repr)
def test_equals_nothing_else(kind: Kind, other: object) -> None:
    """What is no mapping is never equal, and comparing raises nothing."""
    cache = kind.make()
    cache["a"] = 1
    assert cache != other
    assert not cache == other


def test_comparison_of_values_may_raise(kind: Kind) -> None:
    """What a value's `__eq__` raises reaches who compares."""

    class Sour:
        __hash__ = None

        def __eq__(self, other: object) -> bool:
            msg = "sour"
            raise LookupError(msg)

    cache = kind.make()
    cache["a"] = Sour()
    with pytest.raises(LookupError, match="sour"):
        assert cache == {"a": 1}
    assert len(cache) == 1


def test_repr(kind: Kind) -> None:
    """repr() shows the class, the pairs coldest first, the bound and how full it is, like that of cachetools."""
    cache = kind.make(5)
    cache.update(a=1, b="x")
    assert repr(cache).startswith(f"{kind.name}({{'a': 1, 'b': 'x'}}, maxsize=5, ")
    assert repr(cache).endswith("currsize=2)")


def test_repr_of_a_subclass(kind: Kind) -> None:
    """A subclass is shown under its own name."""
    assert repr(kind.subclass({}).make()).startswith(f"My{kind.name}({{}}, maxsize=100, ")


def test_repr_of_a_cache_in_itself(kind: Kind) -> None:
    """A cache that holds itself has a finite repr."""
    cache = kind.make()
    cache["self"] = cache
    assert "..." in repr(cache)
    del cache["self"]


def test_repr_may_raise(kind: Kind) -> None:
    """What a value's `__repr__` raises reaches the caller; the next repr() is whole again."""

    class Sour:
        def __repr__(self) -> str:
            msg = "sour"
            raise LookupError(msg)

    cache = kind.make()
    cache["a"] = Sour()
    with pytest.raises(LookupError, match="sour"):
        repr(cache)
    cache["a"] = 1
    assert "'a': 1" in repr(cache)
