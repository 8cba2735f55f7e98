"""A cache's own time: the sum of its timer's non-negative steps.

A timer may be any callable whose readings can be compared, subtracted and added to (numbers, datetimes). A user's clock may be set
back or jump. The cache must neither revive what has expired nor stop expiring, so it does not use readings as they are:
a step forward counts, a step back counts as none. As long as a timer never steps back, own time and its readings are the same.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Generic

from safemem._compat import T
from safemem.core._locks import new_lock

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Clock"]

_NEVER_STEP_BACK = (time.monotonic, time.perf_counter, time.monotonic_ns, time.perf_counter_ns)


def _is_nan(raw: Any) -> bool:
    return bool(raw != raw)  # noqa: PLR0124 - the definition


class _Steps:
    """Turns readings of a timer into own time."""

    __slots__ = ("_lock", "_state", "_timer")

    def __init__(self, timer: Callable[[], Any]) -> None:
        self._timer = timer
        self._lock = new_lock()
        # The latest reading, and what has to be added to a reading to get own time (None: nothing yet, so that datetimes need no zero).
        self._state: tuple[Any, Any] = (None, None)

    def __call__(self) -> Any:
        latest = self._state[0]
        return self.advance(self._timer(), latest)

    def read(self) -> tuple[Any, Any]:
        """Return own time and the reading it comes from."""
        latest = self._state[0]
        raw = self._timer()
        return self.advance(raw, latest), raw

    def advance(self, raw: Any, known_before: Any) -> Any:
        """Take a reading into account and return own time; `known_before` was the latest reading before the timer was called.

        Another thread may have read the timer later and come here first: only a reading older than what was known *before* the timer
        was called is a step back. Readings are compared outside of the lock, which only guards the exchange of the state.
        """
        while True:
            state = self._state
            latest, shift = state
            new: tuple[Any, Any]
            if latest is None and _is_nan(raw):  # says nothing about time
                return raw
            if latest is None:
                new = (raw, None)
            elif raw > latest:
                new = (raw, shift)
            elif known_before is not None and raw < known_before:
                new = (raw, latest - raw if shift is None else shift + (latest - raw))
            else:
                new = state
            with self._lock:
                if self._state is state:  # no other thread was quicker
                    self._state = new
                    break
        return new[0] if new[1] is None else new[0] + new[1]

    def own(self, raw: Any) -> Any:
        """Return the own time of a reading, without taking it into account."""
        shift = self._state[1]
        return raw if shift is None else raw + shift


class _Frozen:
    """A clock that stands still."""

    __slots__ = ("own", "raw")

    def __init__(self, own: Any, raw: Any) -> None:
        self.own = own
        self.raw = raw

    def __call__(self) -> Any:
        return self.own


class Clock(Generic[T]):
    """What `cache.timer` returns: calls read the timer, `with cache.timer as now:` freezes the cache's time for the block.

    Freezing nests and is for all threads that use the cache. Attributes of the timer itself are reachable through it, as in cachetools.
    """

    __slots__ = ("__weakref__", "_depth", "_live", "_lock", "_now", "_timer")

    def __init__(self, timer: Callable[[], T]) -> None:
        self._timer = timer
        trusted = any(timer is known for known in _NEVER_STEP_BACK)
        self._live: Callable[[], Any] = timer if trusted else _Steps(timer)
        # What the core calls for the time: the timer itself, steps over it, or a frozen time. Never a bound method of this object,
        # which would be a reference cycle.
        self._now: Callable[[], Any] = self._live
        self._lock = new_lock()
        self._depth = 0

    def __call__(self) -> T:
        """Return the timer's reading (the frozen one inside of a `with` block)."""
        now = self._now
        return now.raw if isinstance(now, _Frozen) else self._timer()

    def __enter__(self) -> T:
        own, raw = self._read()
        with self._lock:
            now = self._now
            if not isinstance(now, _Frozen):
                self._now = now = _Frozen(own, raw)
            self._depth += 1
        return now.raw  # type: ignore[no-any-return]

    def __exit__(self, *exc: object) -> None:
        with self._lock:
            self._depth -= 1
            if not self._depth:
                self._now = self._live

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # the copy and pickle protocols must not reach through to the timer
            raise AttributeError(name)
        return getattr(self._timer, name)

    def __reduce__(self) -> tuple[Any, tuple[Callable[[], T]]]:
        return Clock, (self._timer,)

    def __repr__(self) -> str:
        return f"<timer of a cache: {self._timer!r}>"

    def _read(self) -> tuple[Any, Any]:
        """Return own time and the reading it comes from."""
        now = self._now
        if isinstance(now, _Frozen):
            return now.own, now.raw
        if isinstance(now, _Steps):
            return now.read()
        own = now()
        return own, own

    def _own(self, raw: Any) -> Any:
        """Return the own time of a reading."""
        live = self._live
        return live.own(raw) if isinstance(live, _Steps) else raw
