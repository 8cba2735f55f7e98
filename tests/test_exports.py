"""The public names: complete, sorted, documented, and at home in `safemem`."""

from __future__ import annotations

import importlib
import inspect
import pickle
import pkgutil
from types import MemberDescriptorType, ModuleType

import pytest

import safemem

PUBLIC = {
    "Audit",
    "AsyncResourceScope",
    "BudgetStats",
    "CacheStats",
    "Connection",
    "CycleWarning",
    "DeadCallbackError",
    "Disposable",
    "IsolationError",
    "LRUCache",
    "Leak",
    "LeakError",
    "LeakReport",
    "MemoryBudget",
    "MemoryInfo",
    "Observable",
    "Orphan",
    "Pressure",
    "RemovalCause",
    "ResourceScope",
    "RetentionPath",
    "SafememError",
    "Signal",
    "SingleFlight",
    "TLRUCache",
    "TTLCache",
    "WeakAttr",
    "TreeNode",
    "WeakCache",
    "WeakCacheStats",
    "WeakIdentityDict",
    "WeakIdentitySet",
    "WeakRegistry",
    "arun_isolated",
    "cached",
    "cached_property",
    "check_leaks",
    "default_budget",
    "finalize",
    "list_resources",
    "lru_cache",
    "maintain",
    "managed",
    "managed_file",
    "managed_memfd",
    "managed_mmap",
    "managed_shm",
    "managed_tempdir",
    "managed_tempfile",
    "monitor",
    "memory_info",
    "on_signals",
    "run_isolated",
    "sizeof",
    "strip_traceback",
    "no_cycles",
    "no_leaks",
    "sweep",
    "watch",
    "watch_class",
    "trim",
    "weak_callback",
    "weak_fields",
    "weak_partial",
    "why_alive",
}

# Parameters that may be given by position, and those that are keywords.
SIGNATURES = {
    "Audit": "trace",
    "check_leaks": "func *, rounds warmup ignore resources cycles",
    "no_leaks": "func *, rounds warmup ignore resources cycles",
    "watch": "obj reason *, grace",
    "watch_class": "cls reason",
    "why_alive": "obj",
    "Disposable": "args kwargs",
    "LRUCache": "maxsize getsizeof *, on_remove budget",
    "Observable": "",
    "Signal": " *, name doc replay",
    "SingleFlight": "",
    "TLRUCache": "maxsize ttu timer getsizeof *, on_remove budget",
    "TreeNode": "",
    "TTLCache": "maxsize ttl timer getsizeof *, on_remove budget",
    "WeakCache": "maxsize getsizeof *, ttl timer on_remove unweakable budget",
    "cached": "maxsize *, ttl typed key cache cache_if weak timer on_remove budget",
    "WeakAttr": "on_dead",
    "WeakIdentityDict": "data",
    "WeakIdentitySet": "data",
    "WeakRegistry": "data names *, on_remove",
    "cached_property": "func",
    "finalize": "obj func args kwargs",
    "lru_cache": "maxsize typed",
    "maintain": "interval caches",
    "MemoryBudget": "limit *, reserve low high timer",
    "default_budget": "",
    "list_resources": "",
    "memory_info": "",
    "sizeof": "obj *, exact",
    "trim": "",
    "managed_memfd": "size *, sealed",
    "managed_shm": "size *, name attach policy init readonly mode prealloc on_views guardian",
    "managed": "obj *, close",
    "managed_file": "path mode *, atomic durable encoding errors newline buffering",
    "managed_mmap": "path_or_fd *, size access offset flush on_views",
    "managed_tempdir": " *, suffix prefix dir guardian",
    "managed_tempfile": "mode *, suffix prefix dir guardian encoding errors newline buffering",
    "monitor": "interval *, rss_slope fds threads on_alert exporters timer",
    "on_signals": "signals",
    "run_isolated": "func args kwargs *, memory_limit timeout",
    "arun_isolated": "func args kwargs *, memory_limit timeout",
    "ResourceScope": "",
    "AsyncResourceScope": "",
    "strip_traceback": "exc",
    "no_cycles": "func *, ignore limit",
    "sweep": " *, dry_run",
    "weak_callback": "func *, owner on_dead",
    "weak_fields": "names *, on_dead",
    "weak_partial": "method args kwargs",
}

# Classes whose instances the package makes.
WITHOUT_CALLERS = {
    "BudgetStats",
    "CacheStats",
    "Connection",
    "Leak",
    "LeakReport",
    "MemoryInfo",
    "Orphan",
    "Pressure",
    "RemovalCause",
    "RetentionPath",
    "WeakCacheStats",
}

# Names that __init__.py binds for its own annotations.
FOR_TYPING = {"Any", "TYPE_CHECKING", "annotations"}

CALLABLES = sorted(name for name in safemem.__all__ if callable(getattr(safemem, name)))
CLASSES = [name for name in CALLABLES if isinstance(getattr(safemem, name), type)]

EXCEPTIONS = [name for name in CLASSES if issubclass(getattr(safemem, name), BaseException)]


def public_methods() -> list[tuple[str, str]]:
    """Every public method and property that a class of the package defines or inherits from a class of the package; fields are in its docstring."""
    found = []
    for name in CLASSES:
        for cls in getattr(safemem, name).__mro__:
            if cls.__module__.split(".")[0] == "safemem":
                public = [attribute for attribute in vars(cls).items() if not attribute[0].startswith("_")]
                found += [(name, attribute) for attribute, value in public if type(value) is not MemberDescriptorType]
    return sorted(set(found))


def test_all_is_sorted_and_free_of_duplicates():
    """`__all__` reads like an index."""
    assert list(safemem.__all__) == sorted(set(safemem.__all__))


def test_all_is_the_contract():
    """The names that users may rely on; a new room adds its own here."""
    assert set(safemem.__all__) == PUBLIC


def test_what_claims_to_be_public_is():
    """A class or function that says it lives in `safemem` is found there: its repr and its pickles tell the truth."""
    claims = set()
    for info in pkgutil.walk_packages(safemem.__path__, "safemem."):
        if not info.name.endswith("__main__"):
            found = vars(importlib.import_module(info.name)).values()
            claims |= {
                obj.__qualname__
                for obj in found
                if callable(obj) and getattr(obj, "__module__", None) == "safemem" and hasattr(obj, "__qualname__")
            }
    assert {name for name in claims if not hasattr(safemem, name)} == set()


def test_nothing_else_leaks():
    """Every other name of the package is private, a submodule, or what the source itself needs to be typed; `@` begins pytest's own."""
    rest = {name: value for name, value in vars(safemem).items() if not name.startswith(("_", "@")) and name not in safemem.__all__}
    leaked = {
        name
        for name, value in rest.items()
        if name not in FOR_TYPING and not (isinstance(value, ModuleType) and value.__name__ == f"safemem.{name}")
    }
    assert leaked == set()


@pytest.mark.parametrize("name", CALLABLES)
def test_module_is_the_public_path(name):
    """Tracebacks, reprs, pickles and the documentation name the path that users import."""
    obj = getattr(safemem, name)
    assert obj.__module__ == "safemem"
    assert obj.__qualname__ == name


@pytest.mark.parametrize("name", CALLABLES)
def test_pickles_by_its_public_name(name):
    """A class or function is found again under its public name."""
    assert pickle.loads(pickle.dumps(getattr(safemem, name))) is getattr(safemem, name)


@pytest.mark.parametrize("name", CALLABLES)
def test_has_a_docstring_with_an_example(name):
    """`help()` says what it is for and shows it in use; the examples run with the other doctests."""
    text = inspect.getdoc(getattr(safemem, name))
    assert text
    assert len(text.splitlines()[0]) <= 120
    assert ">>> " in text


@pytest.mark.parametrize("name", CALLABLES)
def test_docstring_is_its_own(name):
    """No class shows the docstring of its base class."""
    obj = getattr(safemem, name)
    assert obj.__doc__ is not None
    assert not isinstance(obj, type) or all(obj.__doc__ != base.__doc__ for base in obj.__mro__[1:])


@pytest.mark.parametrize(("name", "attribute"), public_methods())
def test_method_has_a_docstring(name, attribute):
    """Every public method and property is documented."""
    assert inspect.getdoc(getattr(getattr(safemem, name), attribute))


@pytest.mark.parametrize(("name", "contract"), SIGNATURES.items(), ids=SIGNATURES)
def test_parameters_are_those_of_the_contract(name, contract):
    """Names and order are fixed; more keywords may follow."""
    parameters = inspect.signature(getattr(safemem, name)).parameters.values()
    positional = [parameter.name for parameter in parameters if parameter.kind is not inspect.Parameter.KEYWORD_ONLY]
    keywords = {parameter.name for parameter in parameters if parameter.kind is inspect.Parameter.KEYWORD_ONLY}
    expected, _, expected_keywords = contract.partition(" *, ")
    assert positional == expected.split()
    assert set(expected_keywords.split()) <= keywords


def test_every_function_and_class_has_a_contract():
    """A name that is added gets its line among the signatures."""
    assert set(SIGNATURES) == set(CALLABLES) - set(EXCEPTIONS) - WITHOUT_CALLERS
