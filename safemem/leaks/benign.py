"""What may grow without leaking: containers with a declared bound, tables that mirror what is reported elsewhere, and tools that look on."""

from __future__ import annotations

import sys
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from safemem._graph import attributes_of, class_of, mro_of, type_name
from safemem.leaks.names import attributes_of_module, lru_bound
from safemem.leaks.patterns import class_names, module_of
from safemem.leaks.probes.recording import own_tables
from safemem.leaks.roots import is_module, is_tool

if TYPE_CHECKING:
    from collections.abc import Callable

    from safemem.leaks.walk import Way

__all__ = ["is_bounded", "is_mirror", "is_of_tool", "is_weak_table"]

_BOUNDS: Final = ("maxsize", "_maxsize", "max_size", "_max_size", "maxlen", "_maxlen", "capacity", "_capacity", "max_entries", "_max_entries",
                  "max_items", "_max_items", "_Cache__maxsize", "_MAXCACHE")  # fmt: skip
_CACHES: Final = {"safemem.LRUCache", "safemem.TTLCache", "safemem.TLRUCache", "safemem.WeakCache"}
_COUNTED: Final[tuple[Any, ...]] = (dict, list, set, deque, tuple)
_LENGTHS: Final[dict[int, Callable[[Any], int]]] = {id(cls): cls.__len__ for cls in _COUNTED}
_FEW: Final = 100_000  # a bound above that is as good as none

# Tables of the standard library that have as many entries as there is of something else, or that are bounded.
_TABLES: Final = {
    "asyncio.tasks": ("_all_tasks", "_scheduled_tasks", "_eager_tasks"),
    "concurrent.futures.thread": ("_threads_queues",),
    "encodings": ("_cache",),
    "importlib._bootstrap": ("_module_locks", "_blocking_on"),
    "logging": ("_handlers", "_handlerList"),
    "multiprocessing.process": ("_children", "_dangling"),
    "multiprocessing.util": ("_afterfork_registry", "_finalizer_registry"),
    "re": ("_cache", "_cache2"),
    "re._compiler": ("_cache",),
    "subprocess": ("_active",),
    "sys": ("modules", "path_importer_cache"),
    "threading": ("_active", "_dangling", "_limbo", "_shutdown_locks", "_shutdown_locks_lock"),
    "warnings": ("onceregistry",),
    "_strptime": ("_regex_cache",),
}


_get: Final[Any] = vars(dict)["get"]


def is_of_tool(way: Way) -> bool:
    """Whether it is a tool that holds it, one that looks at the program: a test runner, a debugger, the audit."""
    modules = {way.root.source.removeprefix("module "), *map(module_of, way.nodes)}
    if any(map(is_tool, modules)) or ("unittest.mock" in modules and _is_in_test()):
        return True
    return any(node is table for node in way.nodes for table in own_tables())


def _is_in_test() -> bool:
    """Whether it is a test that is called in rounds: its mocks are made once, and note every round."""
    frame = sys._getframe()
    while frame.f_globals.get("__name__") != "safemem.pytest_plugin":
        if frame.f_back is None:
            return False
        frame = frame.f_back
    return True


def is_bounded(way: Way, grows: Any, *, soon: int = 0) -> bool:
    """Whether what grows belongs to something with a declared bound that is not reached, and will not be with `soon` entries more.

    A bound that somebody only declares counts up to half as much again: some drop what is too much now and then.
    """
    bound = lru_bound_on(way)
    if bound:
        return True
    if any(base is deque for base in mro_of(class_of(grows))):
        return vars(deque)["maxlen"].__get__(grows) is not None
    length = _LENGTHS.get(id(class_of(grows)))
    held = 0 if length is None else length(grows)
    for owner in way.nodes[-4:]:
        if not _CACHES.isdisjoint(class_names(owner)):
            return True
        space = attributes_of_module(owner) if is_module(owner) else attributes_of(owner)
        if space is not None and owner is not grows and _declares(space, held * 2 // 3 if not soon else held + soon):
            return True
    return False


def lru_bound_on(way: Way) -> int:
    """Return the bound of the `functools.lru_cache` that a path leads through; 0 if there is none."""
    return max((lru_bound(node) or 0 for node in way.nodes), default=0)


def _declares(space: dict[Any, Any], held: int) -> bool:
    for name in _BOUNDS:
        bound: Any = space.get(name)
        if class_of(bound) is int and held <= bound <= _FEW:
            return True
    return False


_INTERNED: Final = sys.intern("safemem.leaks.benign: this string is in the table of all interned strings")


def is_mirror(way: Way) -> bool:
    """Whether what grows is a table of the standard library that only shows how much there is of something else.

    Or the interpreter's table of interned strings, which the collector knows of from 3.14 on, and which holds none of them; or the list of weak
    references to its cursors that a connection of sqlite3 has, which it clears of dead ones at every two hundredth.
    """
    if len(way.nodes) > 1 and "sqlite3.Connection" in class_names(way.nodes[-2]):
        return True
    if class_of(way.nodes[0]) is dict and _get(way.nodes[0], _INTERNED) is _INTERNED:
        return True
    module = way.root.source.removeprefix("module ")
    names = _TABLES.get(module)
    if names is None or not is_module(way.nodes[0]):
        return False
    space = attributes_of_module(way.nodes[0])
    tables = [space.get(name) for name in names]
    return any(node is table for node in way.nodes for table in tables if table is not None)


def is_weak_table(grows: Any, elements: list[Any]) -> bool:
    """Whether all that came are weak references to what is alive, or keys of that kind: they hold nothing themselves."""
    weak = [element for element in elements if type_name(element) in _WEAK]
    return bool(weak) and (len(weak) == len(elements) or class_of(grows) is dict) and any(_target(element) is not None for element in weak)


_WEAK: Final = {"ReferenceType", "weakref", "WeakMethod", "KeyedRef"}


_call: Final[Any] = vars(weakref.ref)["__call__"]


def _target(reference: Any) -> Any:
    return _call(reference) if any(base is weakref.ref for base in mro_of(class_of(reference))) else None
