"""What a monitor reads at every tick: numbers that cost the same however large the heap is."""

from __future__ import annotations

import os
import sys
import threading
from time import perf_counter
from typing import TYPE_CHECKING, Final, NamedTuple

from safemem.leaks.probes.memory import resident

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Reader", "Reading"]

_PAGE: Final = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
_DEAR: Final = 100e-6  # seconds; what takes longer is read at every tenth tick
_RARELY: Final = 10


class Reading(NamedTuple):
    """The readings of one tick; None for what this system does not tell.

    >>> Reading(0.0, 50_000_000, 40_000_000, 12, 3, 100_000).fds
    12
    """

    time: float  # of the monitor's timer, in seconds
    rss: int | None  # bytes of this process that are in the machine's memory
    uss: int | None  # those of them that are not shared with files or other processes
    fds: int | None  # open descriptors
    threads: int  # Python threads that are alive
    blocks: int  # that Python's allocator has handed out


class Reader:
    """Takes readings; remembers what is dear here, and reads that rarely."""

    __slots__ = ("_blocks", "_descriptors", "_tick", "_timer")

    def __init__(self, timer: Callable[[], float]) -> None:
        self._timer = timer
        self._tick = 0
        self._blocks = _Rare(sys.getallocatedblocks)
        self._descriptors = _Rare(_open_descriptors)

    def read(self) -> Reading:
        """Take one reading. 50 us."""
        rss, uss = _sizes()
        self._tick += 1
        fds = self._descriptors.at(self._tick)
        return Reading(self._timer(), rss, uss, None if fds < 0 else fds, threading.active_count(), self._blocks.at(self._tick))


class _Rare:
    """A number that may take long to find out: if it did, the last one has to do for some ticks."""

    __slots__ = ("_ask", "_dear", "_last")

    def __init__(self, ask: Callable[[], int]) -> None:
        self._ask = ask
        self._dear = False
        self._last = 0

    def at(self, tick: int) -> int:
        if not self._dear or tick % _RARELY == 0:
            began = perf_counter()
            self._last = self._ask()
            self._dear = perf_counter() - began > _DEAR
        return self._last


def _sizes() -> tuple[int | None, int | None]:
    try:
        with open("/proc/self/statm", "rb") as file:
            _, pages, shared, *_ = map(int, file.read().split())
    except (OSError, ValueError):
        return resident(), None
    return pages * _PAGE, (pages - shared) * _PAGE


def _open_descriptors() -> int:
    """Return how many descriptors are open; -1 where the system does not tell."""
    if sys.platform == "linux":
        try:
            number = os.stat("/proc/self/fd").st_size  # the kernel tells the number here since Linux 6.2, and 0 before
        except OSError:
            return -1
        if number:
            return number
    try:
        return len(os.listdir("/proc/self/fd" if sys.platform == "linux" else "/dev/fd")) - 1  # but for that of the listing
    except OSError:
        return -1
