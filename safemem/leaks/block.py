"""One run of a block: what is open at its end and was not before, and which cycles it left."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

from safemem.leaks.circles import circles_left
from safemem.leaks.collector import QuietCollector
from safemem.leaks.openings import opened_since
from safemem.leaks.probes import snapshot
from safemem.leaks.report import LeakReport
from safemem.leaks.watch import overdue

if TYPE_CHECKING:
    from safemem.leaks.report import Leak

__all__ = ["Block"]


class Block:
    """What was there before a block; the collector waits until it ends."""

    __slots__ = ("_before", "_collector", "_cycles", "_resources")

    def __init__(self, *, resources: bool, cycles: str) -> None:
        self._resources = resources
        self._cycles = cycles
        self._collector = QuietCollector()
        self._before: Any = None

    def begin(self) -> None:
        """Look at what there is."""
        gc.collect()  # what was left before goes to another account
        self._collector.__enter__()
        if self._resources:
            self._before = snapshot(explain=False)

    def end(self, *, told: bool) -> LeakReport:
        """Return what the block has left, nothing if it is not to be told; the collector is as it was before."""
        leaks: list[Leak] = []
        try:
            if told and self._cycles != "never":
                every = self._cycles == "always" or self._collector.was_off
                leaks += circles_left(every=every, of_libraries=self._collector.was_off)
            if told and self._resources:
                leaks += opened_since(self._before)
        finally:
            self._before = None
            self._collector.__exit__()
        if told:
            leaks += overdue()
        return LeakReport(tuple(leaks))
