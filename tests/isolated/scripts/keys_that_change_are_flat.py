"""Memory stays flat when keys change their hash while they are in the cache."""

from __future__ import annotations

from helpers.leak import Unique, flat

from safemem import LRUCache


class Key(Unique):
    """A key that changes."""

    __slots__ = ()

    def __hash__(self) -> int:
        return hash(self.number)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and self.number == other.number


if __name__ == "__main__":
    cache: LRUCache[Key, Unique] = LRUCache(20)

    def work(number: int) -> None:
        """Store, then change the key."""
        key = Key(number)
        cache[key] = Unique()
        if number % 10 == 0:
            key.number = -number - 1

    flat(work, 5000)
    cache.clear()
    assert Unique.alive == 0, Unique.alive
