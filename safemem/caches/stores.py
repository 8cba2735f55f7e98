"""Where a decorated function keeps its results: a cache of this package, or any mapping that the user brings.

Both kinds answer the same few calls. A cache of this package does its own locking and counting; around anybody else's mapping the
store does both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, MutableMapping
from typing import TYPE_CHECKING, Any, Protocol

from cachetools import CacheInfo

from safemem._compat import MISSING
from safemem.caches.base import BoundedCache
from safemem.caches.flight import SingleFlight
from safemem.core import WeakCore, direct, new_lock

if TYPE_CHECKING:
    from collections.abc import Awaitable

__all__ = ["ForeignStore", "OwnStore", "Store", "store_for"]

KeepIf = Callable[[Any], object] | None

_NOTHING = object()


class Store(Protocol):
    """What a decorated function needs of the place where its results are kept."""

    @property
    def mapping(self) -> MutableMapping[Any, Any]:
        """The mapping itself."""
        ...

    @property
    def direct(self) -> Any:
        """The mapping if the core may look for results in it by itself, else None."""
        ...

    @property
    def get(self) -> Callable[[Any, Any], Any]:
        """Called with a key and a default: returns a result, counting a hit or a miss."""
        ...

    def load(self, key: Any, make: Callable[[], Any]) -> Any:
        """Make and keep a result that was missing, once for all threads that ask."""
        ...

    async def aload(self, key: Any, make: Callable[[], Awaitable[Any]]) -> Any:
        """Make and keep a result that was missing, once for all tasks that ask."""
        ...

    def info(self) -> CacheInfo:
        """Return hits, misses, bound and size."""
        ...

    def clear(self) -> None:
        """Forget all results, and the counts."""
        ...

    def remove(self, key: Any) -> bool:
        """Forget one result; return whether there was one."""
        ...


def store_for(mapping: Any, keep_if: KeepIf) -> Store:
    """Return the store for a mapping."""
    cache = mapping
    if isinstance(mapping, BoundedCache):
        return OwnStore(cache, keep_if)
    return ForeignStore(mapping, keep_if)


class OwnStore:
    """Results in a cache of this package."""

    __slots__ = ("_finds", "_keep_if", "direct", "get", "mapping")

    def __init__(self, cache: BoundedCache[Any, Any], keep_if: KeepIf) -> None:
        self.mapping: BoundedCache[Any, Any] = cache
        self.direct = direct(cache)
        self.get = cache.get
        self._keep_if = keep_if
        self._finds = isinstance(cache, WeakCore)  # what it does not keep too

    def load(self, key: Any, make: Callable[[], Any]) -> Any:
        """See `Store`."""
        cache = self.mapping
        if not cache._maxsize and not self._finds:  # nothing is to be kept, so nothing is shared either
            return make()
        keep_if = self._keep_if
        return cache._flights.do(key, lambda: cache._load(key, make, keep_if))

    async def aload(self, key: Any, make: Callable[[], Awaitable[Any]]) -> Any:
        """See `Store`."""
        cache = self.mapping
        if not cache._maxsize and not self._finds:
            return await make()
        keep_if = self._keep_if
        return await cache._flights.ado(key, lambda: cache._aload(key, make, keep_if))

    def info(self) -> CacheInfo:
        """See `Store`."""
        cache = self.mapping
        counters = cache._counters()
        maxsize = cache._maxsize
        return CacheInfo(counters["hits"], counters["misses"], None if maxsize == math.inf else maxsize, cache.currsize)

    def clear(self) -> None:
        """See `Store`."""
        self.mapping.clear()
        self.mapping.reset_stats()

    def remove(self, key: Any) -> bool:
        """See `Store`."""
        return self.mapping.pop(key, _NOTHING) is not _NOTHING


class ForeignStore:
    """Results in any mapping, such as a dict or a cachetools cache, used under a lock.

    The mapping's own code, keys' `__hash__` and `__eq__` included, runs under the lock, which is re-entrant; results are made without it.
    """

    __slots__ = ("_flights", "_hits", "_keep_if", "_loading", "_lock", "_misses", "mapping")

    direct = None

    def __init__(self, mapping: MutableMapping[Any, Any], keep_if: KeepIf) -> None:
        self.mapping = mapping
        self._keep_if = keep_if
        self._lock = new_lock()
        self._flights: SingleFlight[Any] = SingleFlight()
        self._loading: dict[Any, object] = {}  # a mark for each key that is being loaded; forgetting the key takes it out
        self._hits = 0
        self._misses = 0

    def get(self, key: Any, default: Any) -> Any:
        """See `Store`."""
        with self._lock:
            value = self._look_up(key)
            if value is MISSING:
                self._misses += 1
                return default
            self._hits += 1
            return value

    def load(self, key: Any, make: Callable[[], Any]) -> Any:
        """See `Store`."""
        return self._flights.do(key, lambda: self._make(key, make))

    async def aload(self, key: Any, make: Callable[[], Awaitable[Any]]) -> Any:
        """See `Store`."""
        return await self._flights.ado(key, lambda: self._amake(key, make))

    def info(self) -> CacheInfo:
        """See `Store`."""
        with self._lock:
            mapping = self.mapping
            currsize = getattr(mapping, "currsize", None)
            return CacheInfo(self._hits, self._misses, getattr(mapping, "maxsize", None), len(mapping) if currsize is None else currsize)

    def clear(self) -> None:
        """See `Store`."""
        with self._lock:
            self._loading = {}
            self._hits = 0
            self._misses = 0
            self.mapping.clear()

    def remove(self, key: Any) -> bool:
        """See `Store`."""
        with self._lock:
            self._loading.pop(key, None)
            there = key in self.mapping
            if there:
                del self.mapping[key]
            return there

    def _look_up(self, key: Any) -> Any:
        # `in` first: the mapping may make things up for missing keys, and a KeyError may come out of a key's own __eq__.
        if key not in self.mapping:
            return MISSING
        try:
            return self.mapping[key]
        except KeyError:  # expired meanwhile
            return MISSING

    def _make(self, key: Any, make: Callable[[], Any]) -> Any:
        value, mark = self._begin(key)
        try:
            return self._keep(key, make(), mark) if value is MISSING else value
        finally:
            self._end(key, mark)

    async def _amake(self, key: Any, make: Callable[[], Awaitable[Any]]) -> Any:
        value, mark = self._begin(key)
        try:
            return self._keep(key, await make(), mark) if value is MISSING else value
        finally:
            self._end(key, mark)

    def _begin(self, key: Any) -> tuple[Any, object]:
        mark = object()
        with self._lock:
            value = self._look_up(key)
            return value, self._loading.setdefault(key, mark)

    def _end(self, key: Any, mark: object) -> None:
        with self._lock:
            if self._loading.get(key) is mark:
                self._loading.pop(key, None)

    def _keep(self, key: Any, value: Any, mark: object) -> Any:
        if self._keep_if is not None and not self._keep_if(value):
            return value
        with self._lock:
            if self._loading.get(key) is not mark:
                return value
            try:
                return self.mapping.setdefault(key, value)
            except ValueError:  # too large for it, as cachetools says it
                return value
