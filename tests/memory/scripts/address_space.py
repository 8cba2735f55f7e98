"""A process with a limit on its address space, of which the application needs a part that it declares, or does not; prints JSON for both."""

from __future__ import annotations

import json
import os
import resource

import safemem

MB = 1 << 20


def try_it(reserve: int) -> None:
    """Fill a cache, then take what the application needs; in a child, as a limit cannot be raised again."""
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        return
    with open("/proc/self/statm", encoding="ascii") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + 300 * MB, resource.RLIM_INFINITY))
    budget = safemem.MemoryBudget(reserve=reserve and now + reserve)
    cache = safemem.LRUCache(10**9, budget=budget)
    failed = False
    try:
        for number in range(100_000):
            cache[number] = bytes(2_000)
        taken = [bytearray(b"y" * MB) for _ in range(150)]
        del taken
    except MemoryError:
        failed = True
    cache.clear() if failed else None
    used = budget.used
    print(json.dumps({"failed": failed, "used": used, "limit": budget.limit}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    try_it(200 * MB)
    try_it(0)
