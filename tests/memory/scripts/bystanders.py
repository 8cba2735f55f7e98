"""What makes memory look short, and is not: files that are read or mapped, shared memory, huge pages, a heap full of holes; prints JSON."""

from __future__ import annotations

import json
import mmap
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import safemem

MB = 1 << 20


@contextmanager
def file_of(size: int, folder: str | None) -> Iterator[str]:
    """A file of so many megabytes, on disk or wherever it is said."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        path = os.path.join(place, "large")
        with open(path, "wb") as file:
            part = os.urandom(MB)
            for number in range(size):
                file.write(part)
                if number % 16 == 0:
                    file.flush()
                    os.fsync(file.fileno())
        yield path


def touched(path: str, *, write: bool) -> mmap.mmap:
    """Map a file and touch all of its pages."""
    with open(path, "r+b") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_WRITE if write else mmap.ACCESS_READ)
    for place in range(0, len(mapped), 4096):
        if write:
            mapped[place] = 1
        else:
            mapped[place]
    return mapped


def thinned(size: int) -> mmap.mmap:
    """Use so many megabytes, in huge pages if there are any, and give every second page of them back."""
    mapped = mmap.mmap(-1, size * MB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with suppress(OSError):  # a kernel without them
        mapped.madvise(mmap.MADV_HUGEPAGE)
    for place in range(0, len(mapped), 4096):
        mapped[place] = 1
    for place in range(0, len(mapped), 2 * mmap.PAGESIZE):
        mapped.madvise(mmap.MADV_DONTNEED, place, mmap.PAGESIZE)
    with suppress(OSError):
        mapped.madvise(mmap.MADV_NOHUGEPAGE)  # or the kernel would fill the holes after a while
    return mapped


def disturb(what: str, limit: int) -> object:
    """Do what looks like a shortage, and return what has to stay alive for it to last."""
    disk = os.environ.get("SAFEMEM_TEST_DISK", "/var/tmp")
    if what == "read":
        with file_of(2 * limit, disk) as path, open(path, "rb") as file:
            while file.read(MB):
                pass
        return None
    if what == "mapped":
        with file_of(int(0.6 * limit), disk) as path:
            return touched(path, write=False)
    if what == "shared":
        with file_of(int(0.25 * limit), "/dev/shm") as path:
            return touched(path, write=True)
    if what == "huge":
        return thinned(int(0.4 * limit))
    # A heap full of holes: every second of many small objects goes, which gives next to nothing back.
    small = [bytes(400) for _ in range(int(0.5 * limit * MB / 448))]
    small[::2] = [None] * len(small[::2])  # type: ignore[list-item]
    return small


def main(what: str, limit: int) -> None:
    """Fill a budget, and see what it does about a disturbance."""
    with safemem.MemoryBudget() as budget:
        cache = safemem.LRUCache(10**9, budget=budget)
        for number in range(30_000):
            cache[number] = bytes(1_000)
        held = disturb(what, limit)
        time.sleep(1)
        stats = budget.stats()
        print(json.dumps({"entries": len(cache), "let_go": stats.let_go, "level": budget.level, "freezes": stats.freezes}))
        del held


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
