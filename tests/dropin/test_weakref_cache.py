"""CPython's own tests of WeakValueDictionary, those of the running interpreter, run against WeakCache(maxsize=0)."""

from __future__ import annotations

import os
import sys
import weakref
from types import SimpleNamespace
from typing import Any
from unittest import TestCase

import pytest

from safemem import WeakCache

try:
    from test import test_weakref as theirs
except ImportError:
    if os.environ.get("CI"):
        raise
    pytest.skip("this interpreter came without its own tests (the `test` package)", allow_module_level=True)


class WeakValues(WeakCache[Any, Any]):
    """A WeakCache that keeps nothing alive, with the constructor of a dict."""

    def __init__(self, /, *args: Any, **kwargs: Any) -> None:
        super().__init__(0, unweakable="raise")
        self.update(*args, **kwargs)

    # Theirs reads all that it is given before it stores any of it.

    def update(self, other: Any = (), /, **kwargs: Any) -> None:
        super().update(dict(other), **kwargs)

    # Theirs are generators and the tests call next() on them; ours are views.

    def keys(self) -> Any:
        return iter(super().keys())

    def items(self) -> Any:
        return iter(super().items())

    # Lists of references, which WeakCache does not offer: whoever needs one makes it.

    def itervaluerefs(self) -> Any:
        return map(weakref.ref, self.values())

    def valuerefs(self) -> Any:
        return list(self.itervaluerefs())


EXCLUDED = {
    # A cache shows its pairs and its bounds.
    "test_make_weak_valued_dict_repr",
    # Looks at a function that the standard library's implementation has.
    "test_remove_closure",
}
if sys.version_info >= (3, 13):
    EXCLUDED.add("test_weak_valued_consistency")  # takes a reference out of the dict inside; tests/weak/test_death.py has its own


def about_weak_values(name: str) -> bool:
    """Whether one of their tests is about WeakValueDictionary, and promised."""
    return name not in EXCLUDED and "weak_key" not in name and "weak_keyed" not in name


@pytest.fixture(autouse=True)
def ours_for_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their module finds our class under the name of theirs."""
    ours = SimpleNamespace(**{name: value for name, value in vars(weakref).items() if not name.startswith("__")})
    ours.WeakValueDictionary = WeakValues
    monkeypatch.setattr(theirs, "weakref", ours)


class TestMappingProtocol(theirs.WeakValueDictionaryTestCase, TestCase):
    """The mapping protocol, as every mapping of the standard library is tested for it."""

    type2test = WeakValues


class TestMapping(theirs.MappingTestCase, TestCase):
    """Values that die under iteration, in cycles, in other threads and while a copy is made."""


for _name in dir(theirs.MappingTestCase):
    if _name.startswith("test") and not about_weak_values(_name):
        setattr(TestMapping, _name, None)


def test_the_excluded_exist() -> None:
    """A name that is excluded is that of a test, so that the list does not outlive its reasons."""
    assert {name for name in EXCLUDED if not hasattr(theirs.MappingTestCase, name)} == set()
