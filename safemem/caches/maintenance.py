"""Upkeep in the background: one thread that expires what is due, or catches up with bookkeeping, while nobody calls the caches.

The thread keeps nothing alive: neither the caches, nor the `maintain` object that started it, and while it sleeps it refers to none of them.
It sleeps on a queue whose `put` is safe to call from anywhere, from a weakref callback too: the end of a cache, the end of the object and
`stop()` each ring there, so the thread leaves at once when there is nothing more to do.
"""

from __future__ import annotations

from _queue import Empty
from time import monotonic
from typing import TYPE_CHECKING, Any
from weakref import ref

from cachetools import Cache

from safemem.core import report_unraisable
from safemem.core._background import LONGEST_SLEEP, PATIENCE, Post, Shift, seconds_of

if TYPE_CHECKING:
    from datetime import timedelta
    from typing import Protocol, Self, TypeAlias

    class _Expires(Protocol):
        def expire(self) -> object: ...

    Maintained: TypeAlias = Cache[Any, Any] | _Expires

__all__ = ["maintain"]


class maintain:  # noqa: N801 - reads as what it does: `with maintain(30, cache):`
    """Expire caches every `interval` seconds in a daemon thread.

    Without it an expired entry stays in memory until something is written to its cache. Every `interval` seconds the thread calls
    `cache.expire()`; a cache in which nothing expires is made to catch up with its bookkeeping. `on_remove` is called in that thread; an
    exception there, or in a cache's timer, goes to `sys.unraisablehook`, and the other caches are tended all the same.

    A context manager, or `start()` and `stop()`, which may be called any number of times and from any thread. The caches are held weakly: the
    thread ends when none is left, and also when this object is dropped. In a forked child it is not running, and may be started there.
    At the end of the program it need not be stopped.

    Args:
        interval: seconds between two rounds, finite and > 0, or a timedelta.
        caches: caches, or anything with an `expire()`, that may be used from several threads; weakly referable.

    Raises:
        ValueError: an interval that is not finite and > 0.
        TypeError: an interval that is no length of time, something that is not a cache, or one that cannot be weakly referenced.

    >>> from safemem import TTLCache
    >>> cache = TTLCache(maxsize=10, ttl=60)
    >>> with maintain(30, cache) as upkeep:
    ...     upkeep
    <maintain: 1 cache every 30 s, running>
    >>> upkeep
    <maintain: 1 cache every 30 s, stopped>
    """

    __module__ = "safemem"
    __slots__ = ("__weakref__", "_upkeep")

    def __init__(self, interval: float | timedelta, *caches: Maintained) -> None:
        self._upkeep = _Upkeep(seconds_of(interval))
        for cache in caches:
            self.add(cache)

    @property
    def interval(self) -> float:
        """Seconds between two rounds."""
        return self._upkeep.interval

    @property
    def running(self) -> bool:
        """Whether the thread runs, in this process: after `start()`, until `stop()` or the end of the last cache."""
        return self._upkeep.runs()

    def add(self, cache: Maintained) -> None:
        """Tend this cache too, from the next round on; once, however often it is added.

        >>> from safemem import TTLCache
        >>> cache = TTLCache(maxsize=10, ttl=60)
        >>> upkeep = maintain(30)
        >>> upkeep.add(cache)
        >>> upkeep
        <maintain: 1 cache every 30 s, stopped>
        """
        if not _is_cache(cache):
            msg = f"caches must be caches or have an expire() method, got {cache!r}"
            raise TypeError(msg)
        try:
            ref(cache)
        except TypeError:
            msg = f"caches must be weakly referable, got {cache!r}"
            raise TypeError(msg) from None
        self._upkeep.add(cache, self)

    def start(self) -> None:
        """Start the thread, unless it runs; with no cache to tend it starts when one is added.

        >>> upkeep = maintain(30)
        >>> upkeep.start()
        >>> upkeep.running
        False
        """
        self._upkeep.start(self)

    def stop(self, timeout: float = PATIENCE) -> bool:
        """Stop the thread and wait until it has ended, `timeout` seconds at most; return whether it has.

        It has not if a callback of a cache takes longer; the thread ends after that. Called from such a callback it does not wait.

        >>> maintain(30).stop()
        True
        """
        return self._upkeep.stop(timeout)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __reduce__(self) -> Any:
        msg = "cannot copy or pickle 'maintain' object: its thread cannot be copied"
        raise TypeError(msg)

    def __repr__(self) -> str:
        number = len(self._upkeep.caches())
        state = "running" if self.running else "stopped"
        return f"<{type(self).__name__}: {number} cache{'s' * (number != 1)} every {self.interval:g} s, {state}>"


class _Upkeep:
    """What a `maintain` object shares with its thread.

    Its lock is held for a moment, never while a cache is tended, and nobody lets go of a cache while holding it.
    """

    __slots__ = ("_post", "_refs", "_wanted", "interval")

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self._post = Post("safemem-maintain")
        self._refs: dict[int, ref[Any]] = {}  # by id(cache)
        self._wanted = False

    def caches(self) -> list[Any]:
        return [cache for held in [*self._refs.values()] if (cache := held()) is not None]

    def runs(self) -> bool:
        return self._post.runs()

    def add(self, cache: Any, owner: maintain) -> None:
        alive: list[Any] = []  # let go of after the lock
        with self._post.lock:
            shift = self._post.shift
            if shift is None or not shift.goes_on():  # nobody hears of those that are gone
                alive += self.caches()
                self._refs = {id(other): ref(other) for other in alive}
            held = self._refs.get(id(cache))
            if held is None or held() is not cache:
                self._refs[id(cache)] = ref(cache) if shift is None else ref(cache, shift.bell.put)
            if self._wanted:
                self.start(owner)

    def start(self, owner: maintain) -> None:
        alive: list[Any] = []  # let go of after the lock
        with self._post.lock:
            self._wanted = True
            alive += self.caches()
            if self.runs() or not alive:
                return
            shift = Shift(owner)
            self._refs = {id(cache): ref(cache, shift.bell.put) for cache in alive}  # from now on they ring this bell
            self._post.begin(shift, _work, self)

    def stop(self, timeout: float) -> bool:
        with self._post.lock:
            self._wanted = False
            shift = self._post.end()
        return shift is None or shift.wait(timeout)

    def forget(self, dead: ref[Any], shift: Shift) -> None:
        """Drop a reference to a cache that is gone; without any cache the shift ends, and add() begins a new one."""
        with self._post.lock:
            if self._post.shift is not shift:
                return
            self._refs = {number: held for number, held in self._refs.items() if held is not dead}
            if not self._refs:
                shift.over = True
                self._post.shift = None

    def tend(self) -> None:
        for held in [*self._refs.values()]:
            _tend(held)


def _work(upkeep: _Upkeep, shift: Shift) -> None:
    due = monotonic() + upkeep.interval
    while shift.goes_on():
        try:
            message = shift.bell.get(timeout=max(0.0, min(due - monotonic(), LONGEST_SLEEP)))
        except Empty:
            if monotonic() >= due:
                upkeep.tend()
                due = monotonic() + upkeep.interval
        else:
            if message is not None:
                upkeep.forget(message, shift)
            del message


def _tend(held: ref[Any]) -> None:
    """Tend one cache, if it is still there; nothing of it is held when this returns."""
    cache = held()
    try:
        tend = getattr(cache, "expire", None) or getattr(cache, "_drain", None)
        if tend is not None:
            tend()
    except BaseException as error:  # noqa: BLE001 - the trouble of one cache, a SystemExit too, is not that of the others
        report_unraisable(error)


def _is_cache(cache: object) -> bool:
    if isinstance(cache, type):
        return False
    return isinstance(cache, Cache) or callable(getattr(cache, "expire", None)) or callable(getattr(cache, "_drain", None))
