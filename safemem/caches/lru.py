"""The cache that lets go of the least recently used entry first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from safemem._compat import K, V
from safemem.caches.base import SLOTS, BoundedCache
from safemem.core import LRUCore, rebind

if TYPE_CHECKING:
    from collections.abc import Callable

    from safemem.core import RemovalCause
    from safemem.core._budget import Budget

__all__ = ["LRUCache"]


@rebind
class LRUCache(LRUCore[K, V], BoundedCache[K, V]):  # pyright: ignore[reportIncompatibleMethodOverride]
    """A mapping that holds at most `maxsize` and lets go of the least recently used entries first.

    A drop-in for `cachetools.LRUCache` and for the global dict that only ever grows. Every single operation is atomic under threads;
    a hit takes no lock. User code (keys' `__hash__` and `__eq__`, finalisers, `getsizeof`, `on_remove`, factories) may call back into
    the cache. Works on in a forked child. All operations take constant time but for those over many entries.

    Args:
        maxsize: the bound, a number >= 0: how many entries, or with `getsizeof` what they may weigh in all. `math.inf`: no bound.
        getsizeof: a function of a value that returns its weight, a finite number >= 0. Called once for each value that is stored.
            A value that weighs more than `maxsize` is refused with a ValueError, and what the key had before stays.
        on_remove: called as `on_remove(key, value, cause)` for each entry that leaves, when the cache is whole again and no lock is held, in
            the thread whose call removed it and before that call returns. Its exceptions go to `sys.unraisablehook`.
        budget: a `MemoryBudget` to take part in; see its `attach()`.

    >>> cache = LRUCache(maxsize=2, on_remove=lambda key, value, cause: print("gone:", key, cause.name))
    >>> cache["a"], cache["b"] = 1, 2
    >>> cache["a"]
    1
    >>> cache["c"] = 3
    gone: b SIZE
    >>> cache
    LRUCache({'a': 1, 'c': 3}, maxsize=2, currsize=2)
    """

    __module__ = "safemem"
    __slots__ = SLOTS

    def __init__(
        self,
        maxsize: float,
        getsizeof: Callable[[V], float] | None = None,
        *,
        on_remove: Callable[[K, V, RemovalCause], object] | None = None,
        budget: Budget | None = None,
    ) -> None:
        self._set_up(maxsize, getsizeof, on_remove, LRUCache)
        self._attach(budget)
