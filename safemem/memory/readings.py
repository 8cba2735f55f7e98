"""What this process uses of the memory there is, and giving back what it does not need."""

from __future__ import annotations

import sys
from functools import cache
from typing import Any, Final, NamedTuple

from safemem.memory.kernel import KernelFile, number_after, read_bytes
from safemem.memory.limits import PAGE, find_limit
from safemem.memory.systems import process_memory

__all__ = ["MemoryInfo", "anonymous", "can_trim", "memory_info", "trim"]

_statm: Final = KernelFile("/proc/self/statm")


class MemoryInfo(NamedTuple):
    """The memory of this process in bytes, as `memory_info()` finds it; None where this system does not tell.

    Attributes:
        rss: what is in memory now, pages shared with others included: each process that maps a page counts it in full.
        uss: what would be free if this process ended: pages that nobody else has.
        anon: what is in memory now and belongs to no file and no shared memory: heap and stacks. What to steer by. On Windows, private bytes.
        shared: the rest of rss: mapped files, libraries, shared memory.
        peak: the highest rss so far.
        heap_free: what the C library's heap keeps and would give out again before it asked the system; Python's own pools are not in it.
        blocks: how many blocks of memory Python has given out and not got back: a number, not bytes.
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


MemoryInfo.__module__ = "safemem"


def memory_info() -> MemoryInfo:
    """Return what this process uses of the memory there is, in bytes; None for what this system does not tell.

    Linux tells all of it (`heap_free` with the GNU C library from 2.33 on), Windows `rss`, `anon`, `peak`, `blocks` and `limit`, macOS `peak`, `blocks` and the
    memory of the machine as `limit`. It is for looking at, not for steering: `uss` walks all mappings, and `blocks` all of Python's pools, which takes 1 ms for 60 MB
    and 20 ms for 1 GB. In a forked child it tells of the child.

    >>> info = memory_info()
    >>> info.peak is None or info.rss is None or info.peak + 1_000_000 > info.rss
    True
    """
    limit = find_limit()
    pages = _statm.read().split()
    rss, shared = (int(pages[1]) * PAGE, int(pages[2]) * PAGE) if len(pages) > 2 else (None, None)
    anon = None if rss is None or shared is None else rss - shared
    windows = process_memory()
    if windows is not None:
        rss, anon = windows.rss, windows.private
    return MemoryInfo(
        rss=rss,
        uss=_uss(),
        anon=anon,
        shared=shared,
        peak=windows.peak if windows is not None else _peak(),
        heap_free=_heap_free(),
        blocks=sys.getallocatedblocks(),
        limit=None if limit is None else limit.bytes,
    )


memory_info.__module__ = "safemem"


def anonymous() -> int | None:
    """Return what is in memory and belongs to no file and no shared memory, in bytes: `memory_info().anon` alone, in microseconds."""
    pages = _statm.read().split(None, 3)
    return (int(pages[1]) - int(pages[2])) * PAGE if len(pages) > 3 else None


def trim() -> int:
    """Give free heap back to the system where that can be done, and return how many bytes of memory it was.

    With the GNU C library that is `malloc_trim`, which gives back all free pages of the heap, those in its middle as well; it takes about 0.1 ms for each
    MB of heap, during which other threads run but wait if they allocate. Elsewhere nothing is done, and the answer is 0. What small Python objects leave behind is mostly not free heap: their pools go back by themselves, and only when they are empty.
    What other threads allocate meanwhile is taken off.

    >>> trim() >= 0
    True
    """
    if not can_trim():
        return 0
    before = anonymous()
    _libc().malloc_trim(0)
    after = anonymous()
    return 0 if before is None or after is None else max(before - after, 0)


trim.__module__ = "safemem"


def can_trim() -> bool:
    """Whether `trim()` does anything here."""
    return hasattr(_libc(), "malloc_trim")


def _uss() -> int | None:
    text = read_bytes("/proc/self/smaps_rollup")
    parts = [number_after(name, text) for name in (b"Private_Clean:", b"Private_Dirty:", b"Private_Hugetlb:")]
    known = [part << 10 for part in parts if part is not None]
    return sum(known) if known else None


def _peak() -> int | None:
    """Return the peak of this program; the one that getrusage() gives may be that of the program which started it."""
    peak = number_after(b"VmHWM:", read_bytes("/proc/self/status"))
    if peak is not None:
        return peak << 10
    if sys.platform != "win32":
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        peak <<= 0 if sys.platform == "darwin" else 10
    return peak


@cache
def _libc() -> Any:
    """Return the C library of this process, None where there is none that can be asked."""
    if sys.platform == "linux":
        try:
            import ctypes

            return ctypes.CDLL(None)
        except (ImportError, OSError):
            pass
    return None


def _heap_free() -> int | None:
    library = _libc()
    if library is None or not hasattr(library, "mallinfo2"):
        return None
    import ctypes

    names = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")
    kind: Any = type("mallinfo2", (ctypes.Structure,), {"_fields_": [(name, ctypes.c_size_t) for name in names]})
    library.mallinfo2.restype = kind
    return int(library.mallinfo2().fordblks)
