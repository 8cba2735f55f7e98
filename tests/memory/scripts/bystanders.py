"""What makes memory look short, and is not: a file that was read, a file that is mapped; prints JSON."""

from __future__ import annotations

import json
import mmap
import os
import sys
import tempfile
import time

import safemem

MB = 1 << 20


def main(what: str, limit: int) -> None:
    """Fill a budget, then read or map a file of 60 % of the limit."""
    with safemem.MemoryBudget() as budget, tempfile.TemporaryDirectory(dir=os.environ.get("SAFEMEM_TEST_DISK", "/var/tmp")) as folder:
        cache = safemem.LRUCache(10**9, budget=budget)
        for number in range(30_000):
            cache[number] = bytes(1_000)
        path = os.path.join(folder, "large")
        with open(path, "wb") as file:
            file.writelines(os.urandom(MB) for _ in range(int(0.6 * limit)))
            file.flush()
            os.fsync(file.fileno())
        held: list[object] = []
        if what == "read":
            with open(path, "rb") as file:
                while file.read(MB):
                    pass
        else:
            with open(path, "rb") as file:
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            held.append(mapped)
            sum(mapped[place] for place in range(0, len(mapped), 4096))
        time.sleep(1)
        print(json.dumps({"entries": len(cache), "let_go": budget.stats().let_go, "level": budget.level}))
        del held


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
