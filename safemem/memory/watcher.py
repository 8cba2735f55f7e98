"""The thread of a budget: it looks at the level when nobody calls the caches, lets go of entries and gives free memory back.

It keeps the budget alive no longer than anybody else does, and sleeps on a queue that `stop()` and the end of the budget ring.
"""

from __future__ import annotations

import os
from _queue import Empty
from _thread import get_ident
from typing import TYPE_CHECKING

from safemem.core import report_unraisable
from safemem.core._background import PATIENCE, Post, Shift
from safemem.memory.ledger import LONGEST_PAUSE

if TYPE_CHECKING:
    from safemem.memory.ledger import Ledger

__all__ = ["Watcher"]


class Watcher:
    """Starts and stops the thread of one budget."""

    __slots__ = ("_post", "ledger")

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._post = Post("safemem-budget")

    @property
    def runs(self) -> bool:
        """Whether the thread runs, in this process."""
        return self._post.runs()

    def start(self, owner: object) -> None:
        """Start the thread unless it runs; it ends with `owner`."""
        with self._post.lock:
            if not self._post.runs():
                self._post.begin(Shift(owner), _watch, self.ledger)

    def stop(self, timeout: float = PATIENCE) -> bool:
        """Stop the thread and wait until it has ended; return whether it has."""
        shift = self._post.end()
        return shift is None or shift.wait(timeout)


def _watch(ledger: Ledger, shift: Shift) -> None:
    ledger.watcher = me = os.getpid(), get_ident()
    pause = 0.0
    while shift.goes_on():
        try:
            shift.bell.get(timeout=pause)
        except Empty:
            pause = _look(ledger)
    if ledger.watcher == me:
        ledger.unwatch()


def _look(ledger: Ledger) -> float:
    """Do what is to be done now, and return the seconds until the next time."""
    try:
        return ledger.watch()
    except BaseException as error:  # noqa: BLE001 - there is nobody else to tell, and the watch goes on
        report_unraisable(error)
        return LONGEST_PAUSE
