"""Caches that stay bounded, for programs that must run for months.

The caches are imported at once, and each other name when it is first asked for: a program pays for what it uses.
"""

from __future__ import annotations

from importlib import import_module as _import_module
from sys import modules as _modules
from typing import TYPE_CHECKING, Any

from safemem._finalize import finalize
from safemem.caches.cached import cached
from safemem.caches.flight import SingleFlight
from safemem.caches.functions import lru_cache
from safemem.caches.lru import LRUCache
from safemem.caches.maintenance import maintain
from safemem.caches.properties import cached_property
from safemem.caches.ttl import TLRUCache, TTLCache
from safemem.caches.weak import WeakCache
from safemem.core import RemovalCause
from safemem.errors import CycleWarning, SafememError

if TYPE_CHECKING:
    from safemem.caches.stats import CacheStats, WeakCacheStats
    from safemem.cycles.attributes import WeakAttr
    from safemem.cycles.disposable import Disposable
    from safemem.cycles.fields import weak_fields
    from safemem.cycles.garbage import no_cycles
    from safemem.cycles.partials import weak_partial
    from safemem.cycles.tracebacks import strip_traceback
    from safemem.cycles.tree import TreeNode
    from safemem.leaks.check import check_leaks, no_leaks
    from safemem.leaks.inspect import why_alive
    from safemem.leaks.monitor import monitor
    from safemem.leaks.report import Leak, LeakError, LeakReport, RetentionPath
    from safemem.leaks.session import Audit
    from safemem.leaks.watch import watch, watch_class
    from safemem.memory.budget import MemoryBudget, default_budget
    from safemem.memory.budgetstats import BudgetStats
    from safemem.memory.pressure import Pressure
    from safemem.memory.readings import MemoryInfo, memory_info, trim
    from safemem.memory.sizeof import sizeof
    from safemem.observers.connection import Connection
    from safemem.observers.observable import Observable
    from safemem.observers.signal import Signal
    from safemem.resources.files import managed_file
    from safemem.resources.isolate import IsolationError, arun_isolated, run_isolated
    from safemem.resources.managed import managed
    from safemem.resources.memfd import managed_memfd
    from safemem.resources.mmaps import managed_mmap
    from safemem.resources.scope import AsyncResourceScope, ResourceScope
    from safemem.resources.shm import managed_shm
    from safemem.resources.signals import on_signals
    from safemem.resources.sweep import Orphan, list_resources, sweep
    from safemem.resources.temp import managed_tempdir, managed_tempfile
    from safemem.weak.callbacks import DeadCallbackError, weak_callback
    from safemem.weak.identity import WeakIdentityDict, WeakIdentitySet
    from safemem.weak.registry import WeakRegistry

__all__ = [
    "AsyncResourceScope",
    "Audit",
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
    "TreeNode",
    "WeakAttr",
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
    "memory_info",
    "monitor",
    "no_cycles",
    "no_leaks",
    "on_signals",
    "run_isolated",
    "sizeof",
    "strip_traceback",
    "sweep",
    "trim",
    "watch",
    "watch_class",
    "weak_callback",
    "weak_fields",
    "weak_partial",
    "why_alive",
]


# Where each of those is that are imported when they are first asked for.
_LATER = {
    "AsyncResourceScope": "safemem.resources.scope",
    "Audit": "safemem.leaks.session",
    "BudgetStats": "safemem.memory.budgetstats",
    "CacheStats": "safemem.caches.stats",
    "Connection": "safemem.observers.connection",
    "DeadCallbackError": "safemem.weak.callbacks",
    "Disposable": "safemem.cycles.disposable",
    "IsolationError": "safemem.resources.isolate",
    "Leak": "safemem.leaks.report",
    "LeakError": "safemem.leaks.report",
    "LeakReport": "safemem.leaks.report",
    "MemoryBudget": "safemem.memory.budget",
    "MemoryInfo": "safemem.memory.readings",
    "Observable": "safemem.observers.observable",
    "Orphan": "safemem.resources.sweep",
    "Pressure": "safemem.memory.pressure",
    "ResourceScope": "safemem.resources.scope",
    "RetentionPath": "safemem.leaks.report",
    "Signal": "safemem.observers.signal",
    "TreeNode": "safemem.cycles.tree",
    "WeakAttr": "safemem.cycles.attributes",
    "WeakCacheStats": "safemem.caches.stats",
    "WeakIdentityDict": "safemem.weak.identity",
    "WeakIdentitySet": "safemem.weak.identity",
    "WeakRegistry": "safemem.weak.registry",
    "arun_isolated": "safemem.resources.isolate",
    "check_leaks": "safemem.leaks.check",
    "default_budget": "safemem.memory.budget",
    "list_resources": "safemem.resources.sweep",
    "managed": "safemem.resources.managed",
    "managed_file": "safemem.resources.files",
    "managed_memfd": "safemem.resources.memfd",
    "managed_mmap": "safemem.resources.mmaps",
    "managed_shm": "safemem.resources.shm",
    "managed_tempdir": "safemem.resources.temp",
    "managed_tempfile": "safemem.resources.temp",
    "memory_info": "safemem.memory.readings",
    "monitor": "safemem.leaks.monitor",
    "no_cycles": "safemem.cycles.garbage",
    "no_leaks": "safemem.leaks.check",
    "on_signals": "safemem.resources.signals",
    "run_isolated": "safemem.resources.isolate",
    "sizeof": "safemem.memory.sizeof",
    "strip_traceback": "safemem.cycles.tracebacks",
    "sweep": "safemem.resources.sweep",
    "trim": "safemem.memory.readings",
    "watch": "safemem.leaks.watch",
    "watch_class": "safemem.leaks.watch",
    "weak_callback": "safemem.weak.callbacks",
    "weak_fields": "safemem.cycles.fields",
    "weak_partial": "safemem.cycles.partials",
    "why_alive": "safemem.leaks.inspect",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    path = _LATER[name]
    return getattr(_modules.get(path) or _import_module(path), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
