"""Every operation on one cache from many threads, with values whose finalisers and keys whose comparisons use the cache."""

from __future__ import annotations

import random
from typing import Any

from helpers.kinds import LivesFor
from helpers.stress import SECONDS, stress

from safemem import LRUCache, TLRUCache, TTLCache

BOUND = 30


class Clock:
    """Pushed on by its readers, and now and then set back."""

    now = 0.0

    def __call__(self) -> float:
        self.now += 0.5
        if random.random() < 0.001:
            self.now -= 100
        return self.now


class Key:
    """Collides, and looks around when it is compared."""

    __slots__ = ("cache", "number")

    def __init__(self, cache: Any, number: int) -> None:
        self.cache = cache
        self.number = number

    def __hash__(self) -> int:
        return self.number % 4

    def __eq__(self, other: object) -> bool:
        if random.random() < 0.01:
            self.cache.get(self.number + 1)
        return isinstance(other, Key) and self.number == other.number


class Value:
    """Uses the cache when it dies."""

    __slots__ = ("cache", "number")

    def __init__(self, cache: Any, number: int) -> None:
        self.cache = cache
        self.number = number

    def __del__(self) -> None:
        self.cache.pop(self.number, None)
        self.cache.get(self.number + 1)


def look(cache: Any) -> None:
    """Look at all of it."""
    for _key, _value in cache.items():
        pass
    len(cache), cache.stats(), list(reversed(cache)), cache.copy()


OPERATIONS: list[Any] = [
    lambda c, k, _n: c.get(k),
    lambda c, k, _n: c.get(k),
    lambda c, k, n: c.__setitem__(k, Value(c, n)),
    lambda c, k, n: c.__setitem__(k, Value(c, n)),
    lambda c, k, n: c.setdefault(k, n),
    lambda c, k, _n: c.pop(k, None),
    lambda c, k, n: c.update({k: n, n: k}),
    lambda c, k, n: c.get_or_create(k, lambda: Value(c, n)),
    lambda c, _k, _n: c.evict(2),
    lambda c, _k, n: c.resize(BOUND - n % 5),
    lambda c, _k, _n: look(c),
    lambda c, _k, n: c.clear() if n % 7 == 0 else None,
    lambda c, k, _n: k in c,
    lambda c, _k, _n: c.popitem() if len(c) > 20 else None,
]


def main(cache: Any) -> None:
    """Let them loose on one cache."""

    def work(dice: random.Random) -> None:
        number = dice.randrange(60)
        key: Any = Key(cache, number) if dice.random() < 0.5 else number
        try:
            dice.choice(OPERATIONS)(cache, key, number)
        except KeyError:
            pass
        assert cache.currsize <= BOUND

    stress(work, seconds=SECONDS / 3)
    cache._check()
    cache.clear()


if __name__ == "__main__":
    main(LRUCache(BOUND))
    main(TTLCache(BOUND, 20, Clock()))
    main(TLRUCache(BOUND, LivesFor(20), Clock()))
