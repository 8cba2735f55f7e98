"""cachetools' own tests for its LRU, TTL and TLRU caches, byte for byte as released, run against ours.

They are loaded while `cachetools.LRUCache` and its like name our classes, so that not even their imports needed a change.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from unittest import mock

import cachetools
import pytest

import safemem

VENDOR = Path(__file__).parent / "vendor" / "cachetools"
PACKAGE = "cachetools_8_tests"

# As in the source distribution of cachetools 8.0.0.
DIGESTS = {
    "LICENSE": "28c000b52b0ee27138a68ef778227e4057046e86b65f62f1cacb99b0cc49e0d2",
    "__init__.py": "01504c124b96d9d677db220bd1346437051fdf547731191c5f8905e35b5cf5c1",
    "test_lru.py": "dbfd53eb372f24571f70d739faeb6c4963f79c80ef18228f44b38b1112bf1a6c",
    "test_tlru.py": "9013925418f7e8c21061ad6e576695cc752f926aa1b1e19a7b0dc1feb472723d",
    "test_ttl.py": "8afc4404c5089ebb519bfcde0661da8c79da23f394b5ae88503dd3c40fa4dc76",
}


def load(name: str) -> ModuleType:
    """Load one vendored module, or the package for the name ""."""
    full = f"{PACKAGE}.{name}" if name else PACKAGE
    path = VENDOR / f"{name or '__init__'}.py"
    spec = importlib.util.spec_from_file_location(full, path, submodule_search_locations=None if name else [str(VENDOR)])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[full] = module  # pickles of the test's own subclasses are loaded by this name
    spec.loader.exec_module(module)
    return module


with mock.patch.multiple(cachetools, LRUCache=safemem.LRUCache, TTLCache=safemem.TTLCache, TLRUCache=safemem.TLRUCache):
    load("")
    LRUCacheTest = load("test_lru").LRUCacheTest
    TTLCacheTest = load("test_ttl").TTLCacheTest
    TLRUCacheTest = load("test_tlru").TLRUCacheTest


def test_our_classes_are_under_test() -> None:
    """The tests above are about our classes."""
    assert LRUCacheTest.Cache is safemem.LRUCache
    assert issubclass(TTLCacheTest.Cache, safemem.TTLCache)
    assert issubclass(TLRUCacheTest.Cache, safemem.TLRUCache)
    assert cachetools.LRUCache is not safemem.LRUCache


@pytest.mark.parametrize("name", DIGESTS)
def test_vendored_unmodified(name: str) -> None:
    """The vendored files are those that cachetools released."""
    assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == DIGESTS[name]
