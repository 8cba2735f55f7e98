"""The caches whose entries expire: all after the same time, or each when a function says."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, Generic, Self, overload

from safemem._compat import MISSING, K, T, V
from safemem.caches.base import SLOTS, BoundedCache, check_callable
from safemem.core import Clock, TLRUCore, TTLCore, rebind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Self

    from safemem.core import RemovalCause
    from safemem.core._budget import Budget

__all__ = ["TLRUCache", "TTLCache", "TimedCache", "check_ttl"]


def check_ttl(ttl: Any) -> None:
    """Raise unless `ttl` is a length of time >= 0."""
    if ttl is None or isinstance(ttl, bool):
        hint = "; use math.inf for entries that never expire" if ttl is None else ""
        msg = f"ttl must be a number of seconds or a timedelta, got {ttl!r}{hint}"
        raise TypeError(msg)
    try:
        valid = (ttl.total_seconds() if hasattr(ttl, "total_seconds") else ttl) >= 0
    except TypeError:
        msg = f"ttl must be a number of seconds or a timedelta, got {ttl!r}"
        raise TypeError(msg) from None
    if not valid:
        msg = f"ttl must be >= 0, got {ttl!r}"
        raise ValueError(msg)


class TimedCache(BoundedCache[K, V], Generic[K, V, T]):
    """What `TTLCache`, `TLRUCache` and `WeakCache` share."""

    __slots__ = ()

    if TYPE_CHECKING:
        _clock: Clock[Any]
        _watched: bool

        def _set_for(self, key: K, value: V, ttl: Any) -> None: ...

    @property
    def timer(self) -> Clock[T]:
        """The timer: calling it gives its reading; `with cache.timer as now:` freezes the cache's time for the block."""
        return self._clock

    def set(self, key: K, value: V, ttl: Any = MISSING) -> None:
        """Store a value with an expiry of its own.

        `ttl`: seconds (more exactly: the timer's units) or a timedelta; `math.inf`: it never expires; left out: as `cache[key] = value`.

        >>> from safemem import TTLCache
        >>> cache = TTLCache(maxsize=10, ttl=60)
        >>> cache.set("session", "...", ttl=math.inf)
        >>> cache.ttl_of("session")
        inf
        """
        if ttl is MISSING:
            self[key] = value
            return
        check_ttl(ttl)
        self._set_for(key, value, ttl)

    def _config(self) -> dict[str, Any]:
        return {**super()._config(), "timer": self._clock._timer, "watched": self._watched}

    def _restore(self, config: dict[str, Any]) -> None:
        timer = config.pop("timer")
        self._configure(clock=Clock(timer), **config)


@rebind
class TTLCache(TTLCore[K, V, T], TimedCache[K, V, T]):
    """An LRU mapping whose entries expire `ttl` after they were stored.

    A drop-in for `cachetools.TTLCache`. What has expired is never found; it is removed by the next write, `len()`, `expire()` or by
    `maintain()` in the background, and told to `on_remove` with cause `EXPIRED`. A clock that is set back or jumps never revives an
    expired entry and never stops expiry: the cache's own time is the sum of the timer's non-negative steps.
    Threads, forks, re-entrancy and costs are as for `LRUCache`.

    Args:
        maxsize: the bound, see `LRUCache`.
        ttl: how long an entry lives: a number >= 0 in the timer's units (seconds) or a timedelta. With 0 nothing is kept.
        timer: returns the time, a number or a datetime; called once for each operation.
        getsizeof: see `LRUCache`.
        on_remove: see `LRUCache`.
        budget: a `MemoryBudget` to take part in; see its `attach()`.

    >>> now = 0
    >>> cache = TTLCache(maxsize=10, ttl=60, timer=lambda: now)
    >>> cache["a"] = 1
    >>> now = 59
    >>> cache["a"], cache.ttl_of("a")
    (1, 1)
    >>> now = 60
    >>> "a" in cache
    False
    """

    __module__ = "safemem"
    __slots__ = (*SLOTS, "_ttl")

    if TYPE_CHECKING:

        @overload
        def __init__(
            self,
            maxsize: float,
            ttl: Any,
            *,
            getsizeof: Callable[[V], float] | None = None,
            on_remove: Callable[[K, V, RemovalCause], object] | None = None,
            budget: Budget | None = None,
        ) -> None: ...
        @overload
        def __init__(
            self,
            maxsize: float,
            ttl: Any,
            timer: Callable[[], T],
            getsizeof: Callable[[V], float] | None = None,
            *,
            on_remove: Callable[[K, V, RemovalCause], object] | None = None,
            budget: Budget | None = None,
        ) -> None: ...

    def __init__(
        self,
        maxsize: float,
        ttl: Any,
        timer: Callable[[], Any] = time.monotonic,
        getsizeof: Callable[[V], float] | None = None,
        *,
        on_remove: Callable[[K, V, RemovalCause], object] | None = None,
        budget: Budget | None = None,
    ) -> None:
        check_ttl(ttl)
        check_callable("timer", timer)
        watched = self._overrides(TTLCache, "expire")
        self._set_up(maxsize, getsizeof, on_remove, TTLCache, clock=Clock(timer), step=ttl, watched=watched)
        self._ttl = ttl
        self._attach(budget)

    @property
    def ttl(self) -> Any:
        """How long an entry lives, as it was given."""
        return self._ttl

    @classmethod
    def fromkeys(  # pyright: ignore[reportIncompatibleMethodOverride]
        cls, keys: Iterable[K], value: Any = None, *, maxsize: float = math.inf, ttl: Any = math.inf, **options: Any
    ) -> Self:
        """Return a new cache with these keys, all with one value, which by default never expire."""
        return super().fromkeys(keys, value, maxsize=maxsize, ttl=ttl, **options)

    def _settings(self) -> dict[str, Any]:
        return {"maxsize": self.maxsize, "ttl": self._ttl}

    def _config(self) -> dict[str, Any]:
        return {**super()._config(), "step": self._ttl}

    def _restore(self, config: dict[str, Any]) -> None:
        self._ttl = config["step"]
        super()._restore(config)


@rebind
class TLRUCache(TLRUCore[K, V, T], TimedCache[K, V, T]):
    """An LRU mapping whose entries expire each at a time of its own, given by a function when they are stored.

    A drop-in for `cachetools.TLRUCache`. Expiry is as for `TTLCache`, everything else as for `LRUCache`.

    Args:
        maxsize: the bound, see `LRUCache`.
        ttu: called as `ttu(key, value, now)` with the timer's reading; returns the reading at which the entry expires, `math.inf` for never.
            A value that has expired already is not stored, and takes the place of what the key had before.
        timer: returns the time, a number or a datetime.
        getsizeof: see `LRUCache`.
        on_remove: see `LRUCache`.
        budget: a `MemoryBudget` to take part in; see its `attach()`.

    >>> now = 0
    >>> cache = TLRUCache(maxsize=10, ttu=lambda key, value, now: now + value, timer=lambda: now)
    >>> cache["short"], cache["long"] = 1, 100
    >>> now = 50
    >>> list(cache)
    ['long']
    """

    __module__ = "safemem"
    __slots__ = SLOTS

    if TYPE_CHECKING:

        @overload
        def __init__(
            self,
            maxsize: float,
            ttu: Callable[[K, V, float], float],
            *,
            getsizeof: Callable[[V], float] | None = None,
            on_remove: Callable[[K, V, RemovalCause], object] | None = None,
            budget: Budget | None = None,
        ) -> None: ...
        @overload
        def __init__(
            self,
            maxsize: float,
            ttu: Callable[[K, V, T], T],
            timer: Callable[[], T],
            getsizeof: Callable[[V], float] | None = None,
            *,
            on_remove: Callable[[K, V, RemovalCause], object] | None = None,
            budget: Budget | None = None,
        ) -> None: ...

    def __init__(
        self,
        maxsize: float,
        ttu: Callable[[K, V, Any], Any],
        timer: Callable[[], Any] = time.monotonic,
        getsizeof: Callable[[V], float] | None = None,
        *,
        on_remove: Callable[[K, V, RemovalCause], object] | None = None,
        budget: Budget | None = None,
    ) -> None:
        check_callable("ttu", ttu)
        check_callable("timer", timer)
        watched = self._overrides(TLRUCache, "expire")
        self._set_up(maxsize, getsizeof, on_remove, TLRUCache, clock=Clock(timer), ttu=ttu, watched=watched)
        self._attach(budget)

    @property
    def ttu(self) -> Callable[[K, V, T], T]:
        """The function that says when an entry expires."""
        return self._ttu

    @classmethod
    def fromkeys(  # pyright: ignore[reportIncompatibleMethodOverride]
        cls,
        keys: Iterable[K],
        value: Any = None,
        *,
        maxsize: float = math.inf,
        ttu: Callable[[K, V, Any], Any] | None = None,
        **options: Any,
    ) -> Self:
        """Return a new cache with these keys, all with one value, which by default never expire."""
        return super().fromkeys(keys, value, maxsize=maxsize, ttu=_never if ttu is None else ttu, **options)

    def _config(self) -> dict[str, Any]:
        return {**super()._config(), "ttu": self._ttu}


def _never(_key: object, _value: object, _now: object) -> float:
    return math.inf
