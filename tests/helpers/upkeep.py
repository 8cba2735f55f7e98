"""What is tended in tests of maintain(), and the threads that do it."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable

from safemem.caches import maintenance

from .threads import until

SOON = 0.001
LATE = 3600


class Tended:
    """Something with an `expire()` that counts its rounds, and can be told to do something in them."""

    def __init__(self, then: Callable[[], object] = int) -> None:
        self.then = then
        self.rounds = 0
        self.threads: set[int] = set()

    def expire(self) -> None:
        self.rounds += 1
        self.threads.add(threading.get_ident())
        self.then()


def threads() -> list[threading.Thread]:
    """The threads that tend caches."""
    return [thread for thread in threading.enumerate() if thread.name == "safemem-maintain"]


def sleeping() -> bool:
    """Whether the thread stands in its loop, and not in a cache."""
    (thread,) = threads()
    return sys._current_frames()[thread.ident or 0].f_code is maintenance._work.__code__


def all_end() -> None:
    """Wait until no thread tends anything any more."""
    gc.collect()
    until(lambda: not threads())
