"""Amounts, levels and settings of a budget: what is taken, and what is refused in which words."""

from __future__ import annotations

import math
import pickle

import pytest

from safemem import LRUCache, MemoryBudget
from safemem.memory.amounts import bytes_of


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        (0, 0),
        (10, 10),
        (1.5e6, 1_500_000),
        ("11", 11),
        ("512MB", 512_000_000),
        ("512 mb", 512_000_000),
        ("1.5GiB", 3 << 29),
        ("2k", 2000),
        ("2Ki", 2048),
        ("7B", 7),
    ],
)
def test_amounts(amount, expected):
    """Numbers, and strings with units of 1000 or 1024."""
    assert bytes_of("limit", amount) == expected
    assert MemoryBudget(amount).limit == expected


@pytest.mark.parametrize("amount", [-1, math.nan, math.inf, "", "MB", "1 parsec", "-5MB", "0%", "101%", "50 %%", "\u0661MB"])
def test_amounts_that_make_no_sense(amount):
    """A limit that is none is refused, and named."""
    with pytest.raises(ValueError, match=r"limit must .*got"):
        MemoryBudget(amount)


@pytest.mark.parametrize("amount", [None, True, [], b"1MB", object()])
def test_amounts_of_another_kind(amount):
    """So is anything that is no amount."""
    with pytest.raises(TypeError, match="limit must be a number of bytes, a string such as '512MB' or '50%', or 'auto', got"):
        MemoryBudget(amount)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"low": 0}, ValueError, "low must be finite and > 0, got 0"),
        ({"low": 0.9, "high": 0.8}, ValueError, r"low must be <= high \(0.8\), got 0.9"),
        ({"high": 1.1}, ValueError, "high must be <= 1, got 1.1"),
        ({"high": "x"}, TypeError, "high must be a number, got 'x'"),
        ({"high": math.nan}, ValueError, "high must be finite"),
        ({"timer": 5}, TypeError, "timer must be callable, got 5"),
        ({"reserve": -1}, ValueError, "reserve must be finite and >= 0, got -1"),
        ({"reserve": 2000}, ValueError, r"reserve must be <= limit \(1000\), got 2000"),
        ({"reserve": None}, TypeError, "reserve must be a number of bytes"),
    ],
)
def test_bad_arguments(arguments, error, message):
    """Bad arguments are refused at once, with a message that names argument, rule and offender."""
    with pytest.raises(error, match=message):
        MemoryBudget(1000, **arguments)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"size": 5}, TypeError, "size must be callable, got 5"),
        ({"cost": "x"}, TypeError, "cost must be a number, got 'x'"),
        ({"cost": -1}, ValueError, "cost must be finite and >= 0, got -1"),
        ({"cost": math.inf}, ValueError, "cost must be finite and >= 0, got inf"),
        ({"weight": 0}, ValueError, "weight must be finite and > 0, got 0"),
        ({"weight": None}, TypeError, "weight must be a number, got None"),
        ({"min_bytes": -5}, ValueError, "min_bytes must be finite and >= 0, got -5"),
    ],
)
def test_bad_settings(arguments, error, message):
    """A cache is not attached with settings that make no sense."""
    budget = MemoryBudget(1000)
    cache = LRUCache(10)
    with pytest.raises(error, match=message):
        budget.attach(cache, **arguments)
    assert budget.stats().caches == 0


@pytest.mark.parametrize("thing", [{}, None, LRUCache, object()])
def test_what_is_no_cache_is_refused(thing):
    """Only caches of this package know how to take part."""
    budget = MemoryBudget(1000)
    for call in (budget.attach, budget.detach):
        with pytest.raises(TypeError, match="cache must be a cache of safemem, got"):
            call(thing)


def test_cannot_be_copied():
    """A budget is about this process."""
    with pytest.raises(TypeError, match="cannot copy or pickle 'MemoryBudget' object"):
        pickle.dumps(MemoryBudget(1000))


@pytest.mark.parametrize("size", [1 << 40, 1 << 62, 10**30])
def test_an_object_that_is_larger_than_anything(size):
    """What an object says of its size may be a lie: it is stored, does not fit, and goes at once; the sum stays right."""

    class Liar:
        def __safemem_size__(self):
            return size

    budget = MemoryBudget("1GB")
    cache = LRUCache(10, budget=budget)
    cache["true"] = b"small"
    used = budget.used
    cache["lie"] = Liar()
    assert "lie" not in cache
    assert budget.used in {0, used}
    cache._check()


@pytest.mark.parametrize("size", [-1, "x", None, 1.5, math.nan])
def test_an_object_whose_size_makes_no_sense(size):
    """A size that is none is refused, and nothing is stored."""

    class Liar:
        def __safemem_size__(self):
            return size

    budget = MemoryBudget("1GB")
    cache = LRUCache(10, budget=budget)
    with pytest.raises((TypeError, ValueError), match=r"the size of .*Liar must be an int"):
        cache["lie"] = Liar()
    assert (len(cache), budget.used) == (0, 0)
    cache._check()
