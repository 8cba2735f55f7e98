"""Memory outside of Python over rounds: whether it grows after each of them, by more than the objects explain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from safemem.leaks.probes import native_leak
from safemem.leaks.probes.contents import large_and_arrays
from safemem.leaks.probes.memory import measure

if TYPE_CHECKING:
    from safemem.leaks.report import Leak

__all__ = ["Native"]

_LEAST: Final = 10_000  # bytes a call: a database or a compiler warms its own caches by less
_TOGETHER: Final = 1_000_000  # bytes in all longer rounds, which is more than such caches hold as a rule
_PART: Final = 8  # of what grew must be unexplained; the rest may be the audit's own


class Native:
    """What the C library has handed out, over rounds. 30 us a round; if it grows, 500 ms more for 1,000,000 objects, to weigh the large ones."""

    __slots__ = ("_allocated", "_explained", "_wanted", "grows", "total")

    def __init__(self, wanted: bool) -> None:
        self._wanted = wanted
        self._allocated: int | None = None
        self._explained: int | None = None
        self.grows = True
        self.total = 0  # bytes that came in the longer rounds

    def begin(self) -> None:
        """Look for the first time."""
        self._allocated = measure().allocated
        self.grows = self._wanted and self._allocated is not None

    def after_round(self, calls: int) -> None:
        """Look again. What large objects take is left out of longer rounds: to find out takes long."""
        if not self.grows:
            return
        allocated, explained = measure().allocated or 0, large_and_arrays()[0] if calls > 1 else None
        grown = allocated - (self._allocated or 0)
        left = grown
        if explained is not None and self._explained is not None:
            left -= max(explained - self._explained, 0)
        self._allocated, self._explained = allocated, explained
        self.grows = left >= calls * _LEAST and left * _PART >= grown
        self.total += left if calls > 1 else 0

    def forget(self) -> None:
        """Look no more: what comes may belong to a cache with a bound."""
        self.grows = False

    def leaks(self) -> list[Leak]:
        """Return the leak, if it is one."""
        return [native_leak(self.total)] if self.grows and self.total >= _TOGETHER else []
