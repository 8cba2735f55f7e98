"""Caches that stay bounded, for programs that must run for months.

Everything for everyday use is here; resources, `CacheStats` and `WeakCacheStats` are imported when first asked for, as their dependencies take
longer to import than all the rest.
"""

from __future__ import annotations

from importlib import import_module as _import_module
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
from safemem.cycles.attributes import WeakAttr
from safemem.cycles.disposable import Disposable
from safemem.cycles.fields import weak_fields
from safemem.cycles.garbage import no_cycles
from safemem.cycles.partials import weak_partial
from safemem.cycles.tracebacks import strip_traceback
from safemem.cycles.tree import TreeNode
from safemem.errors import CycleWarning, SafememError
from safemem.observers.connection import Connection
from safemem.observers.observable import Observable
from safemem.observers.signal import Signal
from safemem.weak.callbacks import DeadCallbackError, weak_callback
from safemem.weak.identity import WeakIdentityDict, WeakIdentitySet
from safemem.weak.registry import WeakRegistry

if TYPE_CHECKING:
    from safemem.caches.stats import CacheStats, WeakCacheStats
    from safemem.memory.pressure import Pressure
    from safemem.memory.readings import MemoryInfo, memory_info, trim
    from safemem.memory.sizeof import sizeof
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

__all__ = [
    "AsyncResourceScope",
    "CacheStats",
    "Connection",
    "CycleWarning",
    "DeadCallbackError",
    "Disposable",
    "IsolationError",
    "LRUCache",
    "MemoryInfo",
    "Observable",
    "Orphan",
    "Pressure",
    "RemovalCause",
    "ResourceScope",
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
    "no_cycles",
    "on_signals",
    "run_isolated",
    "sizeof",
    "strip_traceback",
    "sweep",
    "trim",
    "weak_callback",
    "weak_fields",
    "weak_partial",
]


# What imports more than all the rest together, and is imported when it is first asked for.
_LATER = {
    "AsyncResourceScope": "safemem.resources.scope",
    "CacheStats": "safemem.caches.stats",
    "IsolationError": "safemem.resources.isolate",
    "MemoryInfo": "safemem.memory.readings",
    "Orphan": "safemem.resources.sweep",
    "Pressure": "safemem.memory.pressure",
    "ResourceScope": "safemem.resources.scope",
    "WeakCacheStats": "safemem.caches.stats",
    "arun_isolated": "safemem.resources.isolate",
    "list_resources": "safemem.resources.sweep",
    "managed": "safemem.resources.managed",
    "managed_file": "safemem.resources.files",
    "managed_memfd": "safemem.resources.memfd",
    "managed_mmap": "safemem.resources.mmaps",
    "managed_shm": "safemem.resources.shm",
    "managed_tempdir": "safemem.resources.temp",
    "managed_tempfile": "safemem.resources.temp",
    "memory_info": "safemem.memory.readings",
    "on_signals": "safemem.resources.signals",
    "run_isolated": "safemem.resources.isolate",
    "sizeof": "safemem.memory.sizeof",
    "sweep": "safemem.resources.sweep",
    "trim": "safemem.memory.readings",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(_import_module(_LATER[name]), name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
