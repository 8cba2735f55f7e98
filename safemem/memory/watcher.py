"""The thread of a budget: it looks at the level when nobody calls the caches, lets go of entries and gives free memory back.

It keeps the budget alive no longer than anybody else does, and sleeps on a queue that `stop()` and the end of the budget ring.
"""

from __future__ import annotations

import os
from _queue import Empty, SimpleQueue
from _thread import get_ident
from typing import TYPE_CHECKING, Any, Final
from weakref import ref

from safemem.core import new_lock, report_unraisable

if TYPE_CHECKING:
    from threading import Thread

    from safemem.memory.ledger import Ledger

__all__ = ["Watcher"]

# Seconds between two looks while there is much room, while there is little, and while there is none; and how far below `low` there is little.
CALM: Final = 0.25
WARY: Final = 0.05
BUSY: Final = 0.01
DISTANCE: Final = 0.2

# How long stop() waits for a thread that is in the middle of a user's callback.
PATIENCE: Final = 10.0


class _Shift:
    """One thread's time at work."""

    __slots__ = ("bell", "over", "owner", "pid", "thread")

    def __init__(self, owner: object) -> None:
        self.bell: SimpleQueue[Any] = SimpleQueue()
        self.over = False
        self.owner = ref(owner, self.bell.put)
        self.pid = os.getpid()
        self.thread: Thread | None = None

    def goes_on(self) -> bool:
        return not self.over and self.owner() is not None and self.pid == os.getpid()

    def end(self) -> None:
        self.over = True
        self.bell.put(None)


class Watcher:
    """Starts and stops the thread of one budget."""

    __slots__ = ("_lock", "_shift", "ledger")

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._lock = new_lock()
        self._shift: _Shift | None = None

    @property
    def runs(self) -> bool:
        """Whether the thread runs, in this process."""
        shift = self._shift
        return shift is not None and shift.goes_on()

    def start(self, owner: object) -> None:
        """Start the thread unless it runs; it ends with `owner`."""
        from threading import Thread

        with self._lock:
            if self.runs:
                return
            self._shift = shift = _Shift(owner)
            thread = Thread(target=_watch, args=(self, shift), name="safemem-budget", daemon=True)
            try:
                thread.start()
            except BaseException:
                shift.end()  # it may have started
                self._shift = None
                raise
            shift.thread = thread

    def stop(self, timeout: float = PATIENCE) -> bool:
        """Stop the thread and wait until it has ended; return whether it has."""
        from threading import current_thread

        with self._lock:
            shift = self._shift
            if shift is not None and shift.pid == os.getpid():
                shift.end()
            self._shift = None
        if shift is None or shift.pid != os.getpid():
            return True
        thread = shift.thread
        if thread is None or thread is current_thread():
            return False
        thread.join(timeout)
        return not thread.is_alive()


def _watch(watcher: Watcher, shift: _Shift) -> None:
    ledger = watcher.ledger
    ledger.watcher = me = os.getpid(), get_ident()
    pause = 0.0
    while shift.goes_on():
        try:
            shift.bell.get(timeout=pause)
        except Empty:
            pause = _look(ledger)
    if ledger.watcher == me:
        ledger.watcher = None


def _look(ledger: Ledger) -> float:
    """Do what is to be done now, and return the seconds until the next time."""
    try:
        ledger.watch()
    except BaseException as error:  # noqa: BLE001 - there is nobody else to tell, and the watch goes on
        report_unraisable(error)
    control = ledger.control
    if control.short and not control.frozen:
        return BUSY
    return WARY if control.level > control.low - DISTANCE else CALM
