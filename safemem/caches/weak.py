"""The cache that goes on finding what it has let go of, for as long as anybody else holds it."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from safemem._compat import K, T, V
from safemem.caches.base import SLOTS, check_callable
from safemem.caches.ttl import TimedCache, check_ttl
from safemem.core import Clock, RemovalCause, WeakCore, rebind
from safemem.core._pinned import warn_if_immortal

if TYPE_CHECKING:
    from collections.abc import Callable

    from safemem.caches.stats import WeakCacheStats
    from safemem.core._budget import Budget

__all__ = ["WeakCache"]


def check_unweakable(unweakable: object) -> None:
    """Raise unless `unweakable` is one of the two words."""
    if not isinstance(unweakable, str):
        msg = f"unweakable must be 'strong' or 'raise', got {unweakable!r}"
        raise TypeError(msg)
    if unweakable not in {"strong", "raise"}:
        msg = f"unweakable must be 'strong' or 'raise', got {unweakable!r}"
        raise ValueError(msg)


@rebind
class WeakCache(WeakCore[K, V, T], TimedCache[K, V, T]):  # pyright: ignore[reportIncompatibleMethodOverride]
    """A mapping that keeps at most `maxsize` values alive, and finds all others too for as long as anybody else holds them.

    The most recently used values, up to `maxsize`, are held strongly. Beyond that a value is held weakly: it is found, as the very same
    object, while anything else in the program refers to it, and its entry goes with it. With `maxsize=0` nothing is kept alive: a drop-in
    for `weakref.WeakValueDictionary` that is safe to share between threads. `get_or_create()` never hands out two different live objects
    for one key, until the entry is removed or expires, if the values can be weakly referenced.

    What is bounded is what the cache keeps alive: `currsize`, `evict()`, `shrink()` and `resize()` are about the values held strongly, and
    letting go of one only stops keeping it alive. `len()`, iteration and `popitem()` are about all entries. A hit on a value that is held
    weakly holds it strongly again. An entry whose value has died is removed by the next operation, and told to `on_remove` with cause
    `COLLECTED` and None for a value.

    A value that cannot be weakly referenced (int, str, tuple, list, dict, ...) can only be held strongly, and is evicted as in `LRUCache`.
    A key is always held strongly, so a key that refers to its own value keeps it alive for good (`python -X dev` warns with a
    `CycleWarning`). A copy, or an unpickled cache, keeps what fits into its bound; the rest lives only if somebody else holds it.
    Threads, forks, re-entrancy and costs are as for `LRUCache`.

    Args:
        maxsize: the bound of what is held strongly, a number >= 0: how many values, or with `getsizeof` what they may weigh in all.
        getsizeof: see `LRUCache`. A value that weighs more than `maxsize` is held weakly from the start (ValueError if it cannot be).
        ttl: how long an entry lives, held strongly or not: a number of the timer's units (seconds) or a timedelta; None: for ever.
        timer: returns the time, a number or a datetime.
        on_remove: see `LRUCache`.
        unweakable: what to do with a value that cannot be weakly referenced: "strong": hold it strongly; "raise": refuse it with a TypeError.
        budget: a `MemoryBudget` to take part in; see its `attach()`.

    >>> class Picture:
    ...     pass
    >>> cache = WeakCache(maxsize=1)
    >>> cache["a"] = a = Picture()
    >>> cache["b"] = Picture()
    >>> cache.currsize, cache["a"] is a
    (1, True)
    >>> del a
    >>> cache["c"] = Picture()
    >>> list(cache)
    ['c']
    """

    __module__ = "safemem"
    __slots__ = (*SLOTS, "_ttl", "_unweakable")

    def __init__(
        self,
        maxsize: float = 128,
        getsizeof: Callable[[V], float] | None = None,
        *,
        ttl: Any = None,
        timer: Callable[[], Any] = time.monotonic,
        on_remove: Callable[[K, V, RemovalCause], object] | None = None,
        unweakable: str = "strong",
        budget: Budget | None = None,
    ) -> None:
        if ttl is not None:
            check_ttl(ttl)
        check_callable("timer", timer)
        check_unweakable(unweakable)
        watched = self._overrides(WeakCache, "expire")
        strict = unweakable == "raise"
        self._set_up(maxsize, getsizeof, on_remove, WeakCache, clock=Clock(timer), step=ttl, watched=watched, strict=strict)
        self._ttl = ttl
        self._unweakable = unweakable
        self._attach(budget)

    @property
    def ttl(self) -> Any:
        """How long an entry lives, as it was given; None: for ever."""
        return self._ttl

    @property
    def unweakable(self) -> str:
        """What is done with a value that cannot be weakly referenced: "strong" or "raise"."""
        return self._unweakable

    def stats(self) -> WeakCacheStats:
        """Return what the cache has counted, a frozen `WeakCacheStats`."""
        from safemem.caches.stats import WeakCacheStats

        currsize = self.currsize
        return WeakCacheStats(**self._counters(), currsize=currsize, maxsize=self.maxsize)

    # -- the bound is for what is held strongly, and nothing has to be removed to keep it ---------------------------------------------

    def _held(self) -> int:
        return self._strong_count()

    def _let_go(self, number: int) -> int:
        return self._evict(number, RemovalCause.SIZE)

    def _evict_through_overrides(self, wanted: Callable[[], bool]) -> None:
        pass

    # -- copies -------------------------------------------------------------------------------------------------------------------

    def _settings(self) -> dict[str, Any]:
        return {"maxsize": self.maxsize} | ({} if self._ttl is None else {"ttl": self._ttl})

    def _config(self) -> dict[str, Any]:
        return {**super()._config(), "step": self._ttl, "unweakable": self._unweakable}

    def _restore(self, config: dict[str, Any]) -> None:
        self._ttl = config["step"]
        self._unweakable = config.pop("unweakable")
        super()._restore({**config, "strict": self._unweakable == "raise"})

    # -- stores are looked at under -X dev only, so that else they are the core's own ---------------------------------------------------

    if sys.flags.dev_mode and not TYPE_CHECKING:

        def __setitem__(self, key: K, value: V) -> None:
            super().__setitem__(key, value)
            _examine(self, key, value)

        def _set_for(self, key: K, value: V, ttl: Any) -> None:
            super()._set_for(key, value, ttl)
            _examine(self, key, value)

        def setdefault(self, key: K, default: Any = None) -> Any:
            """Return the value of `key`, or store `default` and return that; one atomic step."""
            value = super().setdefault(key, default)
            _examine(self, key, value)
            return value

        def _finish_load(self, key: K, value: V, token: Any) -> V:
            made = super()._finish_load(key, value, token)
            _examine(self, key, made)
            return made


def _examine(cache: WeakCache[Any, Any, Any], key: Any, value: Any) -> None:
    warn_if_immortal(key, value, type(cache).__name__)
