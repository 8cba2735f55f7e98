"""The bound holds: by count, by weight, whole, fractional, zero or infinite."""

from __future__ import annotations

import math
from typing import Any

import pytest
from helpers.kinds import Kind


def weigh(value: Any) -> Any:
    """A value that is its own weight."""
    return value


class Weighs:
    """A `getsizeof` that remembers what it weighed."""

    def __init__(self) -> None:
        self.weighed: list[Any] = []

    def __call__(self, value: Any) -> Any:
        self.weighed.append(value)
        return value


def test_never_more_than_maxsize_entries(kind: Kind) -> None:
    """Without getsizeof every entry weighs 1 and the bound is a count."""
    cache = kind.make(3)
    for number in range(10):
        cache[number] = number
        assert len(cache) == cache.currsize == min(number + 1, 3)
    assert list(cache) == [7, 8, 9]
    assert cache.maxsize == 3


def test_maxsize_zero_keeps_nothing(kind: Kind) -> None:
    """With maxsize 0 a value of weight 1 is too large."""
    cache = kind.make(0)
    with pytest.raises(ValueError, match="too large"):
        cache["a"] = 1
    assert len(cache) == 0


def test_infinite_maxsize(kind: Kind) -> None:
    """math.inf means no bound."""
    cache = kind.make(math.inf)
    cache.update((number, number) for number in range(1000))
    assert len(cache) == 1000
    assert cache.maxsize == math.inf


@pytest.mark.parametrize(("maxsize", "kept"), [(2.5, 2), (2.0, 2), (0.5, 0)])
def test_fractional_maxsize(kind: Kind, maxsize: float, kept: int) -> None:
    """A fractional bound holds as many whole entries as fit."""
    cache = kind.make(maxsize)
    for number in range(5):
        try:
            cache[number] = number
        except ValueError:
            assert kept == 0
    assert len(cache) == kept
    assert cache.maxsize == maxsize


def test_weights_bound_the_sum(kind: Kind) -> None:
    """With getsizeof the sum of the weights stays within maxsize."""
    cache = kind.make(10, getsizeof=weigh)
    for number in (1, 2, 3, 4, 5, 6, 2, 9, 1):
        cache[object()] = number
        assert cache.currsize == sum(cache.values()) <= 10
    assert list(cache.values()) == [9, 1]


def test_float_weights(kind: Kind) -> None:
    """Weights may be fractions; nothing is left of them when the cache is empty."""
    cache = kind.make(1.0, getsizeof=weigh)
    cache.update(a=0.1, b=0.2, c=0.3)
    assert cache.currsize == pytest.approx(0.6)
    del cache["a"], cache["b"], cache["c"]
    assert cache.currsize == 0
    for number in range(1000):
        cache[number] = 0.1
        assert cache.currsize <= 1.0
        assert 9 <= len(cache) <= 10 or number < 9
    cache.clear()
    assert cache.currsize == 0


def test_weight_zero_is_free(kind: Kind) -> None:
    """Values of weight 0 take no room, even in a full cache or one of size 0."""
    cache = kind.make(2, getsizeof=weigh)
    cache.update(a=2)
    cache.update({number: 0 for number in range(50)})
    assert len(cache) == 51
    assert cache.currsize == 2
    empty = kind.make(0, getsizeof=weigh)
    empty["a"] = 0
    assert (len(empty), empty.currsize) == (1, 0)


def test_large_whole_weights_are_exact(kind: Kind) -> None:
    """Whole weights beyond what a float holds are added without rounding."""
    cache = kind.make(2**60, getsizeof=weigh)
    cache.update(a=2**59 + 1, b=3)
    assert cache.currsize == 2**59 + 4
    del cache["a"]
    assert cache.currsize == 3


def test_a_weight_beyond_all_floats_is_too_large(kind: Kind) -> None:
    """A weight that no float can hold is refused by a finite bound as too large, not with an overflow."""
    cache = kind.make(10, getsizeof=weigh)
    with pytest.raises(ValueError, match="too large"):
        cache["a"] = 10**400
    assert len(cache) == 0


@pytest.mark.parametrize(
    ("weight", "error"),
    [
        (-1, ValueError),
        (-0.5, ValueError),
        (math.nan, ValueError),
        (math.inf, ValueError),
        (-math.inf, ValueError),
        ("1", TypeError),
        (None, TypeError),
        (1j, TypeError),
    ],
)
def test_bad_weights_are_refused(kind: Kind, weight: Any, error: type[Exception]) -> None:
    """A weight must be a finite real number >= 0; the cache is as it was, the old value too."""
    cache = kind.make(10, getsizeof=lambda value: 1 if value == "old" else value)
    cache.update(a="old", b="old")
    for key in ("a", "new"):
        with pytest.raises(error) as caught:
            cache[key] = weight
        assert repr(weight) in str(caught.value) or type(weight).__name__ in str(caught.value)
        assert "getsizeof" in str(caught.value) or "weight" in str(caught.value) or "size" in str(caught.value)
    assert list(cache.items()) == [("a", "old"), ("b", "old")]
    assert cache.currsize == 2


def test_infinite_weight_is_refused_by_an_unbounded_cache(kind: Kind) -> None:
    """An infinite weight fits nowhere: it could never be taken out of the sum again."""
    cache = kind.make(math.inf, getsizeof=weigh)
    with pytest.raises(ValueError, match="inf"):
        cache["a"] = math.inf
    assert cache.currsize == 0


def test_too_large_is_refused_and_the_old_value_kept(kind: Kind) -> None:
    """A value larger than maxsize raises ValueError; nothing is evicted, the key keeps its old value and its place."""
    cache = kind.make(10, getsizeof=weigh)
    cache.update(a=3, b=4)
    for key in ("a", "c"):
        with pytest.raises(ValueError, match="too large"):
            cache[key] = 11
    with pytest.raises(ValueError, match="too large"):
        cache.setdefault("d", 11)
    assert list(cache.items()) == [("a", 3), ("b", 4)]
    assert cache.currsize == 7


def test_too_large_says_how_large(kind: Kind) -> None:
    """The message names the weight and the bound."""
    cache = kind.make(10, getsizeof=weigh)
    with pytest.raises(ValueError, match=r"11.*10|10.*11"):
        cache["a"] = 11


def test_getsizeof_raising_changes_nothing(kind: Kind) -> None:
    """What getsizeof raises reaches the caller, and the cache is as it was."""

    def fails(value: int) -> int:
        if value < 0:
            msg = "cannot weigh"
            raise LookupError(msg)
        return value

    cache = kind.make(10, getsizeof=fails)
    cache.update(a=3)
    for key in ("a", "b"):
        with pytest.raises(LookupError, match="cannot weigh"):
            cache[key] = -1
    assert list(cache.items()) == [("a", 3)]
    assert cache.currsize == 3


def test_each_stored_value_is_weighed_once(kind: Kind) -> None:
    """getsizeof runs once for a stored value: not again when it is read, replaced, evicted or removed."""
    weighs = Weighs()
    cache = kind.make(10, getsizeof=weighs)
    cache["a"] = 1
    cache["a"]
    cache.get("a")
    cache["a"] = 2
    cache.setdefault("a", 9)
    cache.update(b=3, c=4)
    cache.pop("b")
    cache["d"] = 8
    cache.resize(3)
    cache.clear()
    assert weighs.weighed == [1, 2, 3, 4, 8]


def test_setdefault_weighs_only_what_it_stores(kind: Kind) -> None:
    """setdefault() of a present key weighs nothing."""
    weighs = Weighs()
    cache = kind.make(10, getsizeof=weighs)
    cache.setdefault("a", 1)
    cache.setdefault("a", 2)
    assert weighs.weighed == [1]


def test_replacing_grows(kind: Kind) -> None:
    """A value that replaces a smaller one makes room by evicting others, coldest first, never the key itself."""
    cache = kind.make(10, getsizeof=weigh)
    cache.update(a=3, b=4, c=3)
    cache["a"] = 5
    assert list(cache.items()) == [("c", 3), ("a", 5)]
    assert cache.currsize == 8
    cache["a"] = 10
    assert list(cache.items()) == [("a", 10)]


def test_replacing_evicts_only_the_difference(kind: Kind) -> None:
    """Only the growth needs room."""
    cache = kind.make(10, getsizeof=weigh)
    cache.update(a=3, b=4)
    cache["b"] = 7
    assert list(cache.items()) == [("a", 3), ("b", 7)]
    assert cache.currsize == 10


def test_replacing_shrinks(kind: Kind) -> None:
    """A value that replaces a larger one gives the room back."""
    cache = kind.make(10, getsizeof=weigh)
    cache.update(a=6, b=4)
    cache["a"] = 1
    assert cache.currsize == 5
    cache["c"] = 5
    assert list(cache.items()) == [("b", 4), ("a", 1), ("c", 5)]


def test_one_large_value_evicts_as_many_as_needed(kind: Kind) -> None:
    """Room is made from the cold end until the new value fits, and no further."""
    cache = kind.make(10, getsizeof=weigh)
    cache.update(a=3, b=3, c=3)
    cache["d"] = 5
    assert list(cache.items()) == [("c", 3), ("d", 5)]


def test_weight_of_a_value_that_changed_later(kind: Kind) -> None:
    """The weight is that of the moment of storing: a value that grows afterwards cannot put the sum out of step."""
    cache = kind.make(10, getsizeof=len)
    value = [1]
    cache["a"] = value
    value.extend(range(8))
    assert cache.currsize == 1
    del cache["a"]
    assert cache.currsize == 0


def test_getsizeof_attribute(kind: Kind) -> None:
    """getsizeof() of a cache is what was given, or 1 for everything."""
    assert kind.make().getsizeof("anything") == 1
    assert kind.make(getsizeof=len).getsizeof("abc") == 3


def test_getsizeof_method_of_a_subclass(kind: Kind) -> None:
    """A subclass may define getsizeof, as a method or a static method."""
    by_method = kind.subclass({"getsizeof": lambda _self, value: value}).make(5)
    by_static = kind.subclass({"getsizeof": staticmethod(weigh)}).make(5)
    for cache in (by_method, by_static):
        cache.update(a=2, b=3, c=2)
        assert cache.currsize == 5
        assert list(cache) == ["b", "c"]


def test_getsizeof_may_be_given_by_position(kind: Kind) -> None:
    """The positional parameters are those of cachetools."""
    required = [5, *kind.required()]
    cache = kind.cls(*required, weigh)
    cache["a"] = 4
    assert (cache.maxsize, cache.currsize) == (5, 4)


def test_maxsize_and_currsize_are_read_only(kind: Kind) -> None:
    """The bound is changed with resize() and the sum by nobody."""
    cache = kind.make(3)
    for name in ("maxsize", "currsize"):
        with pytest.raises(AttributeError):
            setattr(cache, name, 5)
    assert cache.maxsize == 3
