"""The parts of the native core that call out: telling `on_remove`, and arithmetic over whatever a timer reads."""

from __future__ import annotations

import math
from _thread import get_ident
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from safemem.core._report import report_unraisable

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["NEVER", "after", "life", "measure_all", "tell"]

Gone = tuple[Any, Any, Any]


class _Never:
    """A deadline later than any time, for timers whose readings cannot be compared with `math.inf`."""

    __slots__ = ()

    def __gt__(self, other: object) -> bool:
        return True


NEVER: Final = _Never()


def tell(telling: dict[int, deque[Gone]], on_remove: Callable[[Any, Any, Any], object], gone: list[Gone]) -> None:
    """Tell `on_remove` of removals, in their order, those made by a callback's own calls included; `telling`: by thread, what is left to tell."""
    thread = get_ident()
    queue = telling.get(thread)
    if queue is not None:  # called from within a callback: what the outer call still has to tell comes first
        queue.extend(gone)
        gone.clear()
        _tell_all(queue, on_remove)
        return
    telling[thread] = queue = deque(gone)
    gone.clear()
    try:
        _tell_all(queue, on_remove)
    finally:
        telling.pop(thread, None)


def _tell_all(queue: deque[Gone], on_remove: Callable[[Any, Any, Any], object]) -> None:
    while queue:
        try:
            on_remove(*queue.popleft())
        except Exception as exc:  # noqa: BLE001 - it belongs to the callback, not to the innocent caller
            report_unraisable(exc)
        except BaseException:  # an interrupt does belong to the caller, but everybody is told first
            _tell_all(queue, on_remove)
            raise


def after(now: Any, ttl: Any) -> Any:
    """Return the deadline of what is stored `now` and lives for `ttl`."""
    if ttl == math.inf:
        return math.inf if isinstance(now, (int, float)) else NEVER
    try:
        return now + ttl
    except TypeError:
        if hasattr(ttl, "total_seconds") and isinstance(now, (int, float)):  # a timedelta, and a timer that counts seconds
            return now + ttl.total_seconds()
        msg = f"ttl must be something that can be added to the timer's readings, got {ttl!r} with a reading of {now!r}"
        raise TypeError(msg) from None


def life(deadline: Any, now: Any) -> Any:
    """Return what is left until a deadline."""
    return math.inf if deadline is NEVER else deadline - now


def measure_all(cache: Any) -> None:
    """Measure every entry that a budget is not charged for yet, with no lock held; what is stored meanwhile too."""
    while True:
        measure = cache._measure
        entries = cache._unmeasured()
        if measure is None or not entries:
            return
        for handle, key, value in entries:
            cache._record(handle, *measure(key, value))
