"""Upkeep in the background: expire what is due and catch up with bookkeeping while nobody calls the caches."""

from __future__ import annotations

import math
import weakref
from typing import TYPE_CHECKING, Any, Self

from safemem.caches.base import BoundedCache
from safemem.core import new_lock, report_unraisable

if TYPE_CHECKING:
    from datetime import timedelta
    from threading import Event, Thread
    from types import TracebackType
    from typing import Self

__all__ = ["maintain"]

# How long stop() waits for a thread that is in the middle of a callback of the user's.
_PATIENCE = 5.0


class maintain:  # noqa: N801 - reads as what it does: `with maintain(30, cache):`
    """Expire and tidy caches every `interval` seconds in a daemon thread.

    Without it an expired entry stays in memory until something is written to its cache. A context manager, or `start()` and `stop()`, which may
    be called any number of times. The caches are held weakly: the thread ends when none is left, and when this object is dropped.
    Removals are told to `on_remove` in that thread; an exception there, or in a cache's timer, is reported to `sys.unraisablehook` and the
    others go on. In a forked child it is not running, and may be started.

    Args:
        interval: seconds between two rounds, a finite number > 0 or a timedelta.
        caches: caches of this package.

    >>> from safemem import TTLCache
    >>> cache = TTLCache(maxsize=10, ttl=60)
    >>> with maintain(30, cache) as upkeep:
    ...     upkeep.running
    True
    >>> upkeep.running
    False
    """

    __module__ = "safemem"
    __slots__ = ("__weakref__", "_caches", "_interval", "_lock", "_stop", "_thread")

    def __init__(self, interval: float | timedelta, *caches: BoundedCache[Any, Any]) -> None:
        self._interval = _seconds(interval)
        self._lock = new_lock()
        self._caches: list[weakref.ref[BoundedCache[Any, Any]]] = []
        self._thread: Thread | None = None
        self._stop: Event | None = None
        for cache in caches:
            self.add(cache)

    @property
    def interval(self) -> float:
        """Seconds between two rounds."""
        return self._interval

    @property
    def running(self) -> bool:
        """Whether the thread runs, in this process."""
        thread = self._thread
        return thread is not None and thread.is_alive()

    def add(self, cache: BoundedCache[Any, Any]) -> None:
        """Maintain this cache too."""
        if not isinstance(cache, BoundedCache):  # pyright: ignore[reportUnnecessaryIsInstance]
            msg = f"cache must be a cache of safemem, got {cache!r}"
            raise TypeError(msg)
        with self._lock:
            self._caches = [ref for ref in self._caches if ref() is not None]
            self._caches.append(weakref.ref(cache))

    def start(self) -> None:
        """Start the thread, unless it runs already."""
        import threading

        with self._lock:
            if self.running:
                return
            self._stop = threading.Event()
            name = f"safemem maintain({self._interval:g})"
            self._thread = threading.Thread(target=_run, args=(weakref.ref(self), self._stop, self._interval), name=name, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop the thread and wait until it has ended, a few seconds at the most; from within a callback of its own do not wait."""
        import threading

        with self._lock:
            thread, stop = self._thread, self._stop
            self._thread = self._stop = None
        if stop is not None:
            stop.set()
        if thread is not None and thread.is_alive() and thread is not threading.current_thread():
            thread.join(_PATIENCE)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.stop()

    def __del__(self) -> None:
        stop = getattr(self, "_stop", None)
        if stop is not None:
            stop.set()

    def __repr__(self) -> str:
        number = sum(ref() is not None for ref in self._caches)
        return f"<maintain: {number} caches every {self._interval:g} s, {'running' if self.running else 'stopped'}>"

    def _round(self) -> bool:
        """Go once through the caches; return whether there are any."""
        found = False
        for ref in list(self._caches):
            found = _tend(ref) or found
        return found


def _seconds(interval: Any) -> float:
    seconds = interval.total_seconds() if hasattr(interval, "total_seconds") else interval
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        msg = f"interval must be a number of seconds or a timedelta, got {interval!r}"
        raise TypeError(msg)
    if not 0 < seconds < math.inf:
        msg = f"interval must be a finite number > 0, got {interval!r}"
        raise ValueError(msg)
    return float(seconds)


def _tend(ref: weakref.ref[BoundedCache[Any, Any]]) -> bool:
    """Tend one cache, if it is still there; nothing of it is held when this returns."""
    cache = ref()
    if cache is None:
        return False
    try:
        expire = getattr(cache, "expire", None)
        cache._drain()
        if expire is not None:
            expire()
    except Exception as error:  # noqa: BLE001 - one cache's trouble is not the others'
        report_unraisable(error)
    return True


def _run(owner: weakref.ref[maintain], stop: Event, interval: float) -> None:
    while not stop.wait(interval):
        upkeep = owner()
        if upkeep is None or not upkeep._round():
            return
        del upkeep  # nothing is held while it sleeps
