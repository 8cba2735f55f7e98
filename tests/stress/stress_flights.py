"""Single flights of many keys in many threads: one run at a time for a key, failures, re-entrancy, clearing in the middle."""

from __future__ import annotations

import random
import threading
import time

from helpers.stress import stress

from safemem import LRUCache

cache: LRUCache[int, tuple[int, int]] = LRUCache(10)
running: set[int] = set()
guard = threading.Lock()


def factory(key: int, dice: random.Random) -> tuple[int, int]:
    """Make a value; never twice at once for one key that nobody cleared."""
    with guard:
        running.add(key)
    if dice.random() < 0.3:
        time.sleep(0)
    if dice.random() < 0.1:
        raise LookupError(key)
    if dice.random() < 0.1:
        cache.get_or_create(key + 100, lambda: (key + 100, 0))
    with guard:
        running.discard(key)
    return key, dice.randrange(1000)


def work(dice: random.Random) -> None:
    """Ask, and now and then disturb."""
    key = dice.randrange(30)
    try:
        assert cache.get_or_create(key, lambda: factory(key, dice))[0] == key
    except LookupError as error:
        if error.args != (key,):
            raise
    what = dice.randrange(20)
    if what == 0:
        cache.pop(key, None)
    elif what == 1:
        cache[key] = (key, -1)
    elif what == 2:
        cache.clear()


if __name__ == "__main__":
    stress(work)
    cache._check()
    assert len(cache) <= 10
