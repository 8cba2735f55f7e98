"""Where a budget's limit comes from: a number of bytes, or a part of what this process may use."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from safemem.memory.amounts import bytes_of, fraction_of, in_words
from safemem.memory.limits import find_limits
from safemem.memory.pressure import Readings, Signals, carry_over

if TYPE_CHECKING:
    from safemem.memory.limits import Limit

__all__ = ["Fixed", "Share", "Source", "source_of"]

# What is taken for all memory where nothing tells how much there is.
_UNKNOWN: Final = 512 << 20


class Source(Protocol):
    """What a budget has to know of the world."""

    limit: int  # the most that may be accounted
    watches: bool  # whether the level counts

    def look_again(self) -> None:
        """Find out anew what the limits are."""

    def read(self) -> Readings:
        """Return what the signals say now."""
        ...

    def describe(self) -> str:
        """Return in words where the limit comes from."""
        ...


def source_of(limit: object, reserve: object) -> Source:
    """Return the source that two arguments of a budget ask for."""
    kept = bytes_of("reserve", reserve)
    if isinstance(limit, str):
        if limit.strip().lower() == "auto":
            return Share(1.0, kept)
        fraction = fraction_of("limit", limit)
        if fraction is not None:
            return Share(fraction, kept)
    try:
        size = bytes_of("limit", limit)
    except (TypeError, ValueError) as error:
        msg = f"limit must be a number of bytes, a string such as '512MB' or '50%', or 'auto', got {limit!r}"
        if isinstance(limit, (int, float)) and not isinstance(limit, bool):
            raise
        raise type(error)(msg) from None
    if kept > size:
        msg = f"reserve must be <= limit ({size}), got {reserve!r}"
        raise ValueError(msg)
    return Fixed(size - kept)


class Fixed:
    """So many bytes, whatever the system says."""

    __slots__ = ("limit", "watches")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.watches = False

    def look_again(self) -> None:
        """See `Source`."""

    def read(self) -> Readings:
        """See `Source`."""
        return Readings()

    def describe(self) -> str:
        """See `Source`."""
        return "the limit of this budget"


class Share:
    """A part of what this process may use.

    A resource limit counts address space, which letting go of entries hardly ever gives back: it is a bound from the beginning, and only if
    it is said what to keep for everything else.
    """

    __slots__ = ("_fraction", "_reserve", "_signals", "_words", "limit", "watches")

    def __init__(self, fraction: float, reserve: int) -> None:
        self._fraction = fraction
        self._reserve = reserve
        self.watches = True
        self._signals = Signals()
        self._set_limit()
        if self.limit <= 0 < reserve:
            msg = f"reserve must be less than what this process may use ({self._words}), got {reserve!r}"
            raise ValueError(msg)

    def look_again(self) -> None:
        """See `Source`."""
        before, self._signals = self._signals, Signals()
        carry_over(before, self._signals)
        self._set_limit()

    def _set_limit(self) -> None:
        limits = list(self._signals.limits)  # which have no resource limits among them
        if self._reserve:
            limits += [limit for limit in find_limits() if limit.kind == "rlimit"]
        lowest: Limit | None = min(limits, key=_size, default=None)
        size, self._words = _guess() if lowest is None else (lowest.bytes, lowest.source)
        self.limit = max(int(size * self._fraction) - self._reserve, 0)

    def read(self) -> Readings:
        """See `Source`."""
        return self._signals.read()

    def describe(self) -> str:
        """See `Source`."""
        return self._words


def _size(limit: Limit) -> int:
    return limit.bytes


def _guess() -> tuple[int, str]:
    half = 0
    if sys.platform != "win32":
        with suppress(AttributeError, ValueError, OSError):
            half = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    if half > 0:
        return half, f"half of the {in_words(2 * half)} of this machine, as nothing tells what this process may use"
    return _UNKNOWN, f"{in_words(_UNKNOWN)}, as nothing tells what there is"
