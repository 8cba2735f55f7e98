"""CPython's own tests of the mapping protocol, run against bounded caches; each difference is listed with its reason."""

from __future__ import annotations

import math
import os
from typing import Any

import pytest

from safemem import LRUCache, TTLCache

try:
    from test import mapping_tests
except ImportError:
    if os.environ.get("CI"):
        raise
    pytest.skip("this interpreter came without its own tests (the `test` package)", allow_module_level=True)


class DictLikeLRU(LRUCache[Any, Any]):
    """An LRUCache with the constructor of a dict."""

    def __init__(self, *args: Any, maxsize: float = math.inf, **kwargs: Any) -> None:
        super().__init__(maxsize)
        self.update(*args, **kwargs)


class DictLikeTTL(TTLCache):
    """A TTLCache with the constructor of a dict, in which nothing expires."""

    def __init__(self, *args: Any, maxsize: float = math.inf, **kwargs: Any) -> None:
        super().__init__(maxsize, math.inf)
        self.update(*args, **kwargs)


EXCLUDED = {
    # A cache shows its bounds beside its pairs: LRUCache({1: 2}, maxsize=inf, currsize=1). tests/caches/test_contract_operators.py says how.
    "test_repr",
    # fromkeys() passes maxsize= to the constructor, which one of the test's own subclasses does not take. tests/caches/test_contract_operators.py tests it.
    "test_fromkeys",
}


class Excluding:
    """Takes the listed tests out."""


for name in EXCLUDED:
    setattr(Excluding, name, None)


class TestLRU(Excluding, mapping_tests.TestHashMappingProtocol):
    """The LRUCache."""

    type2test = DictLikeLRU


class TestTTL(Excluding, mapping_tests.TestHashMappingProtocol):
    """The TTLCache without expiry."""

    type2test = DictLikeTTL


def test_excluded_tests_exist() -> None:
    """The list of differences names nothing that is not there."""
    assert all(hasattr(mapping_tests.TestHashMappingProtocol, name) for name in EXCLUDED)
    assert all(getattr(TestLRU, name) is None for name in EXCLUDED)
