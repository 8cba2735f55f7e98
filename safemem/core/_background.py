"""Daemon threads that somebody starts and stops: they end with their owner, do not exist in forked children, and are in nobody's way.

A thread sleeps on the queue of its shift, whose `put` is safe to call from anywhere, from a weakref callback too: `stop()`, the end of the
owner, and whatever else it should hear of, ring there.
"""

from __future__ import annotations

import math
import os
from _queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final
from weakref import ref

from safemem.core._locks import new_lock

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Thread

__all__ = ["LONGEST_SLEEP", "PATIENCE", "Post", "Shift", "seconds_of"]

# How long stop() waits for a thread that is in the middle of a user's callback.
PATIENCE: Final = 10.0

# How long a thread sleeps at most: the limit of what the system can wait for is lower than what an interval may be.
LONGEST_SLEEP: Final = 86_400.0


class Shift:
    """One thread's time at work, from a start to a stop."""

    __slots__ = ("__weakref__", "bell", "over", "owner", "pid", "thread")

    def __init__(self, owner: object) -> None:
        self.bell: SimpleQueue[Any] = SimpleQueue()
        self.over = False
        self.owner = ref(owner, self.bell.put)
        self.pid = os.getpid()
        self.thread: Thread | None = None

    def goes_on(self) -> bool:
        """Whether the thread is to go on: nobody has stopped it, its owner is alive, and this is not a forked child."""
        return not self.over and self.owner() is not None and self.pid == os.getpid()

    def end(self) -> None:
        """Let the thread end as soon as it looks."""
        self.over = True
        self.bell.put(None)

    def wait(self, timeout: float) -> bool:
        """Wait until the thread has ended; return whether it has. The thread itself does not wait."""
        from threading import current_thread

        if self.thread is None or self.thread is current_thread():
            return False
        self.thread.join(timeout)
        return not self.thread.is_alive()


class Post:
    """Where one thread at a time is at work. The lock is held for a moment, and never while the thread does what it is for."""

    __slots__ = ("lock", "name", "shift")

    def __init__(self, name: str) -> None:
        self.lock = new_lock()
        self.name = name
        self.shift: Shift | None = None

    def runs(self) -> bool:
        """Whether there is a thread, in this process."""
        shift = self.shift
        return shift is not None and shift.goes_on()

    def begin(self, shift: Shift, work: Callable[..., object], *args: object) -> None:
        """Start the thread of a shift, which calls `work(*args, shift)`. The lock is held."""
        from threading import Thread

        self.shift = shift
        thread = Thread(target=work, args=(*args, shift), name=self.name, daemon=True)
        try:
            thread.start()
        except BaseException:
            shift.end()  # it may have started
            self.shift = None
            raise
        shift.thread = thread

    def end(self) -> Shift | None:
        """End the shift; return it, so that its end can be waited for, or None if there is none in this process."""
        with self.lock:
            shift = self.shift
            here = shift is not None and shift.pid == os.getpid()
            if shift is not None and here:
                shift.end()  # while an interrupt would still leave it where the next stop() finds it
            self.shift = None
        return shift if here else None


def seconds_of(interval: Any) -> float:
    """Return an interval in seconds; raise unless it is a finite length of time above 0."""
    try:
        value = interval.total_seconds() if hasattr(interval, "total_seconds") else interval
        seconds = None if isinstance(value, (bool, str, bytes, bytearray)) else float(value)
    except TypeError:
        seconds = None
    except OverflowError:
        seconds = math.inf
    if seconds is None:
        msg = f"interval must be a number of seconds or a timedelta, got {interval!r}"
        raise TypeError(msg)
    if not 0 < seconds < math.inf:
        msg = f"interval must be finite and > 0, got {interval!r}"
        raise ValueError(msg)
    return seconds
