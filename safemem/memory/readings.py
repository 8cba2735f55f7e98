"""What this process uses of the memory there is, and giving back what it does not need."""

from __future__ import annotations

import sys
from functools import cache
from typing import Any, Final, NamedTuple

from safemem.memory.kernel import KernelFile, number_after, read_text
from safemem.memory.limits import PAGE, find_limit

__all__ = ["MemoryInfo", "anonymous", "memory_info", "trim"]

_statm: Final = KernelFile("/proc/self/statm")


class MemoryInfo(NamedTuple):
    """The memory of this process, in bytes, as `memory_info()` finds it; None where this system does not tell.

    Attributes:
        rss: what is in memory now, pages shared with others included: each process that maps a page counts it in full.
        uss: what would be free if this process ended: pages that nobody else has.
        anon: what is in memory now and belongs to no file and no shared memory: heap, stacks. What to steer by.
        shared: the rest of rss: mapped files, libraries, shared memory.
        peak: the highest rss so far.
        heap_free: what the C library's heap holds on to and would give out again before it asked the system; Python's own pools are not in it.
        blocks: how many blocks of memory Python has given out and not got back; a number, not bytes.
        limit: the lowest of the bounds on the memory of this process: control groups, the machine, resource limits.

    >>> memory_info()._fields
    ('rss', 'uss', 'anon', 'shared', 'peak', 'heap_free', 'blocks', 'limit')
    """

    rss: int | None
    uss: int | None
    anon: int | None
    shared: int | None
    peak: int | None
    heap_free: int | None
    blocks: int | None
    limit: int | None


def memory_info() -> MemoryInfo:
    """Return what this process uses of the memory there is.

    >>> info = memory_info()
    >>> info.peak is None or info.peak > 1_000_000
    True
    """
    limit = find_limit()
    pages = _statm.read().split()
    rss, shared = (int(pages[1]) * PAGE, int(pages[2]) * PAGE) if len(pages) > 2 else (None, None)
    return MemoryInfo(
        rss=rss,
        uss=_uss(),
        anon=None if rss is None or shared is None else rss - shared,
        shared=shared,
        peak=_peak(),
        heap_free=_heap_free(),
        blocks=sys.getallocatedblocks(),
        limit=None if limit is None else limit.bytes,
    )


def anonymous() -> int | None:
    """Return what is in memory and belongs to no file and no shared memory, in bytes: `memory_info().anon` alone, in microseconds."""
    pages = _statm.read().split(None, 3)
    return (int(pages[1]) - int(pages[2])) * PAGE if len(pages) > 2 else None


def trim() -> int:
    """Give free heap back to the system where that can be done, and return how many bytes it was.

    >>> trim() >= 0
    True
    """
    library = _libc()
    if library is None or not hasattr(library, "malloc_trim"):
        return 0
    before = anonymous()
    library.malloc_trim(0)
    after = anonymous()
    return 0 if before is None or after is None else max(before - after, 0)


def _uss() -> int | None:
    text = read_text("/proc/self/smaps_rollup").encode()
    parts = [number_after(name, text) for name in (b"Private_Clean:", b"Private_Dirty:")]
    return sum(part << 10 for part in parts if part is not None) if None not in parts else None


def _peak() -> int | None:
    peak = number_after(b"VmHWM:", read_text("/proc/self/status").encode(errors="surrogateescape"))
    if peak is not None:
        return peak << 10
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10


@cache
def _libc() -> Any:
    if sys.platform != "linux":
        return None
    import ctypes

    return ctypes.CDLL(None)


def _heap_free() -> int | None:
    return None
