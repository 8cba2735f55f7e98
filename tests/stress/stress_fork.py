"""Forks in the middle of everything: each child uses the caches at once and ends; none may hang."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
import warnings
from typing import Any

from helpers.stress import SECONDS

from safemem import LRUCache, TTLCache, cached

caches: list[Any] = [LRUCache(20), TTLCache(20, 60), LRUCache(20, lambda _value: 1, on_remove=lambda *_: None)]


@cached
def function(x: int) -> int:
    """Shared by all."""
    return x


def use(dice: random.Random) -> None:
    """Use everything."""
    for cache in caches:
        key = dice.randrange(40)
        cache[key] = key
        cache.get(key + 1)
        cache.get_or_create(key + 2, lambda: 1)
        cache.evict(1)
        list(cache.items())
        assert len(cache) <= 20
    function(dice.randrange(300))


def child() -> None:
    """Live for a moment."""
    signal.alarm(20)
    for number in range(20):
        use(random.Random(number))
    for cache in caches:
        cache._check()


def main() -> None:
    """Fork again and again while three threads work."""
    stop = threading.Event()

    def run(number: int) -> None:
        dice = random.Random(number)
        while not stop.is_set():
            use(dice)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + SECONDS
    statuses = []
    while time.monotonic() < end:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            try:
                child()
            except BaseException:  # noqa: BLE001 - a child must not go on as its parent
                sys.excepthook(*sys.exc_info())
                os._exit(1)
            os._exit(0)
        statuses.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    stop.set()
    for thread in threads:
        thread.join()
    assert statuses
    assert not any(statuses), statuses


if __name__ == "__main__":
    if hasattr(os, "fork"):
        sys.setswitchinterval(1e-5)
        main()
