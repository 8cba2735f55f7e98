"""NumPy arrays that are replaced by larger ones are found; those that come and go, and those in bounded caches, are not told."""

from __future__ import annotations

import functools
import itertools
import sys
from types import ModuleType

import numpy as np
import pytest

from safemem import check_leaks


class Model:
    """Something that has an array."""

    def __init__(self):
        self.history = np.zeros((1, 3))


@pytest.fixture
def shop():
    """A module that a program has."""
    module = ModuleType("shop")
    module.model = Model()
    module.values = np.zeros(0)
    sys.modules["shop"] = module
    yield module
    del sys.modules["shop"]


def test_array_in_a_module_that_is_replaced_by_a_larger_one(shop):
    """The holder, the line and the memory are told."""

    def visit():
        shop.values = np.append(shop.values, 1.5)

    (leak,) = check_leaks(visit).leaks
    assert (leak.kind, leak.holder) == ("growth", "module shop.values -> ndarray")
    assert "larger" in leak.what
    assert leak.bytes >= leak.count * 8
    assert leak.where is not None
    assert leak.where.startswith(__file__)


def test_array_in_an_object(shop):
    """The way to it has the attribute."""

    def visit():
        shop.model.history = np.vstack([shop.model.history, [1, 2, 3]])

    (leak,) = check_leaks(visit).leaks
    assert leak.holder == "module shop.model.history -> ndarray"


def test_arrays_that_come_and_go(shop):
    """Nothing is told of work that replaces an array by one of the same size, or keeps none."""

    def visit():
        shop.values = np.ones(100)
        shop.values = np.linalg.inv(np.eye(100) * 2)[0].copy()

    assert check_leaks(visit).ok


def test_arrays_in_a_bounded_cache():
    """A cache that fills up is none."""
    numbers = itertools.count()

    @functools.lru_cache(64)
    def made(number):
        return np.zeros(number % 7 + 1)

    assert check_leaks(lambda: made(next(numbers))).ok


def test_arrays_in_a_batch(shop):
    """What is sent off now and then is none."""
    shop.batch = []

    def visit():
        shop.batch.append(np.zeros(10))
        if len(shop.batch) >= 64:
            shop.batch.clear()

    assert check_leaks(visit).ok
