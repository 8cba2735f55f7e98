"""CPython's own tests for functools.lru_cache, those of the running interpreter, run against safemem.lru_cache."""

from __future__ import annotations

import functools
import os
from types import SimpleNamespace
from typing import Any
from unittest import TestCase

import pytest

from safemem import core, lru_cache

try:
    from test import test_functools as theirs
except ImportError:
    if os.environ.get("CI"):
        raise
    pytest.skip("this interpreter came without its own tests (the `test` package)", allow_module_level=True)


class OurFunctools(SimpleNamespace):
    """functools with our lru_cache in it."""

    def __eq__(self, other: object) -> bool:
        # The tests ask this before they expect the depth of recursion that only compiled code can promise.
        return self is other or (core.NATIVE and other is theirs.c_functools)

    __hash__ = None


module = OurFunctools(
    lru_cache=lru_cache,
    cache=lru_cache(maxsize=None),
    _CacheInfo=functools._CacheInfo,
    WRAPPER_ASSIGNMENTS=functools.WRAPPER_ASSIGNMENTS,
    partial=functools.partial,
)


@lru_cache()
def cached_function(x: int, y: int) -> int:
    """Compute what the tests expect."""
    return 3 * x + y


class TestLRU(theirs.TestLRU, TestCase):
    """The tests for lru_cache; where they tell compiled from plain functools, ours promises what compiled functools does."""

    module: Any = module
    cached_func = (cached_function,)

    @lru_cache()
    def cached_meth(self, x: int, y: int) -> int:
        return 3 * x + y

    @staticmethod
    @lru_cache()
    def cached_staticmeth(x: int, y: int) -> int:
        return 3 * x + y


class TestCache(theirs.TestCache, TestCase):
    """The tests for functools.cache, which is an lru_cache without bound."""

    module: Any = SimpleNamespace(**{**vars(module), "cache": lru_cache(maxsize=None)})


def test_the_tests_are_there() -> None:
    """The interpreter's tests were found, and are more than a handful."""
    assert len([name for name in dir(TestLRU) if name.startswith("test_")]) >= 20
    assert TestLRU.module.lru_cache is lru_cache
