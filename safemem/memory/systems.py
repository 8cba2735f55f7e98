"""What macOS and Windows tell of memory, by their C interfaces; nothing is called that is not there."""

from __future__ import annotations

import os
import sys
from typing import Any, NamedTuple

__all__ = ["ProcessMemory", "machine_memory", "pressure_level", "process_memory"]


class ProcessMemory(NamedTuple):
    """What Windows tells of a process, in bytes."""

    rss: int
    peak: int
    private: int


def machine_memory() -> tuple[int, int | None] | None:
    """Return how much memory the machine has, and how much of it is available, if that is told."""
    if sys.platform == "win32":
        return _windows_machine()
    else:  # noqa: RET505 - for type checkers, which look at one of the two
        try:
            return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), None
        except (AttributeError, OSError, ValueError):
            return None


def process_memory() -> ProcessMemory | None:
    """Return what Windows tells of this process; None elsewhere."""
    return _windows_process() if sys.platform == "win32" else None


def pressure_level() -> int | None:
    """Return what macOS says of memory: 1 for normal, 2 for a warning, 4 for critical; None elsewhere."""
    if sys.platform == "darwin":
        import ctypes

        level = ctypes.c_int(0)
        size = ctypes.c_size_t(ctypes.sizeof(level))
        library: Any = ctypes.CDLL(None)
        failed = library.sysctlbyname(b"kern.memorystatus_vm_pressure_level", ctypes.byref(level), ctypes.byref(size), None, 0)
        return None if failed else level.value
    else:  # noqa: RET505 - for type checkers, which look at one of the two
        return None


def _windows_machine() -> tuple[int, int | None] | None:
    import ctypes

    class Status(ctypes.Structure):
        _fields_ = (
            ("length", ctypes.c_uint32),
            ("load", ctypes.c_uint32),
            *((name, ctypes.c_uint64) for name in ("total", "available", "total_page", "page", "total_virtual", "virtual", "extended")),
        )

    status: Any = Status()
    status.length = ctypes.sizeof(status)
    kernel: Any = vars(ctypes)["windll"].kernel32
    return (status.total, status.available) if kernel.GlobalMemoryStatusEx(ctypes.byref(status)) else None


def _windows_process() -> ProcessMemory | None:
    import ctypes

    class Counters(ctypes.Structure):
        _fields_ = (
            ("length", ctypes.c_uint32),
            ("faults", ctypes.c_uint32),
            *((name, ctypes.c_size_t) for name in ("peak", "working", "a", "b", "c", "d", "pagefile", "peak_pagefile", "private")),
        )

    counters: Any = Counters()
    counters.length = ctypes.sizeof(counters)
    kernel: Any = vars(ctypes)["windll"].kernel32
    kernel.GetCurrentProcess.restype = ctypes.c_void_p
    process = ctypes.c_void_p(kernel.GetCurrentProcess())
    if not kernel.K32GetProcessMemoryInfo(process, ctypes.byref(counters), counters.length):
        return None
    return ProcessMemory(counters.working, counters.peak, counters.private)
