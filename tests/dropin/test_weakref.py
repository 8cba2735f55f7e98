"""CPython's own tests of weak containers and of weakref.finalize, those of the running interpreter, run against ours.

WeakRegistry stands in for WeakValueDictionary, WeakIdentityDict for WeakKeyDictionary, WeakIdentitySet for WeakSet. What is left out is left
out because it is about the equality of keys and members, about class names in reprs, or looks inside; each has its reason below.
"""

from __future__ import annotations

import os
import weakref
from types import SimpleNamespace

import pytest

from safemem import WeakIdentityDict, WeakIdentitySet, WeakRegistry, finalize

try:
    from test import test_weakref as theirs
    from test import test_weakset as their_sets
except ImportError:
    if os.environ.get("CI"):
        raise
    pytest.skip("this interpreter came without its own tests (the `test` package)", allow_module_level=True)


OURS = SimpleNamespace(
    **{**vars(weakref), "WeakValueDictionary": WeakRegistry, "WeakKeyDictionary": WeakIdentityDict, "finalize": finalize}
)

EXCLUDED = {
    "MappingTestCase": {
        # About class names.
        "test_make_weak_valued_dict_repr",
        "test_make_weak_keyed_dict_repr",
        # A __eq__ and a __hash__ of the keys that delete others: they are never called.
        "test_weak_keyed_cascading_deletes",
        # Looks at a closure inside of WeakValueDictionary.
        "test_remove_closure",
        # Looks at the references inside (from 3.13 on); tests/weak/test_registry.py has the same.
        "test_weak_valued_consistency",
    },
    "FinalizeTestCase": {
        # Runs a program that imports their module anew, where nothing is ours; tests/weak/test_finalize.py has the same program.
        "test_atexit",
    },
    "TestWeakSet": {
        # About class names.
        "test_repr",
        # These look equal members up, or compare sets of members that are equal and not the same.
        "test_contains",
        "test_intersection",
        "test_and",
        "test_isdisjoint",
        "test_difference",
        "test_sub",
        "test_difference_update",
        "test_isub",
        "test_intersection_update",
        "test_iand",
        "test_symmetric_difference",
        "test_xor",
        "test_symmetric_difference_update",
        "test_ixor",
        "test_union",
        "test_or",
        "test_sub_and_super",
        "test_lt",
        "test_gt",
        "test_remove",
        "test_discard",
        "test_eq",
        "test_ne",
    },
}


@pytest.fixture(autouse=True)
def _ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their tests find our classes where they look for those of weakref."""
    monkeypatch.setattr(theirs, "weakref", OURS)
    monkeypatch.setattr(their_sets, "WeakSet", WeakIdentitySet)
    for name, base in (("WeakSetSubclass", WeakIdentitySet), ("WeakSetWithSlots", WeakIdentitySet)):
        slots = {"__slots__": ("x", "y")} if "Slots" in name else {}
        monkeypatch.setattr(their_sets, name, type(name, (base,), slots))


def excluding(name: str) -> type:
    """A mixin that takes the excluded tests of a class out."""
    return type("Excluding", (), dict.fromkeys(EXCLUDED[name]))


class TestMappings(excluding("MappingTestCase"), theirs.MappingTestCase):  # type: ignore[misc]
    """The tests of both weak dictionaries."""


class TestFinalize(excluding("FinalizeTestCase"), theirs.FinalizeTestCase):  # type: ignore[misc]
    """The tests of weakref.finalize."""


class TestSet(excluding("TestWeakSet"), their_sets.TestWeakSet):  # type: ignore[misc]
    """The tests of WeakSet."""


class TestValueProtocol(theirs.WeakValueDictionaryTestCase):
    """The mapping protocol, on a registry."""

    type2test = WeakRegistry


class TestKeyProtocol(theirs.WeakKeyDictionaryTestCase):
    """The mapping protocol, on an identity mapping."""

    type2test = WeakIdentityDict


def test_excluded_tests_exist() -> None:
    """The list of differences names nothing that is not there."""
    homes = {"TestWeakSet": their_sets.TestWeakSet, "MappingTestCase": theirs.MappingTestCase, "FinalizeTestCase": theirs.FinalizeTestCase}
    newer = {"test_weak_valued_consistency"}
    assert all(hasattr(homes[home], name) for home, names in EXCLUDED.items() for name in names - newer)
