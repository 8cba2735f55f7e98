"""A weak cache so naive that it cannot be wrong; values are names, and who is alive is looked up in a list."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from .models import TooLarge


@dataclass
class Entry:
    """One stored pair."""

    key: int
    name: int
    weakable: bool
    weight: float
    deadline: float
    strong: bool


class WeakModel:
    """A weak cache; `entries` holds the coldest first, `held` the names of the values that somebody else keeps alive."""

    def __init__(self, maxsize: float, held: Collection[int]) -> None:
        self.maxsize = maxsize
        self.held = held
        self.entries: list[Entry] = []
        self.told: list[tuple[int, int | None, str]] = []
        self.counts: Counter[str] = Counter()
        self.now = 0.0

    def alive(self, entry: Entry) -> bool:
        """Whether anybody holds the value."""
        return entry.name in self.held or any(other.strong and other.name == entry.name for other in self.entries)

    def remove(self, entry: Entry, cause: str) -> None:
        """Remove one entry and tell of it."""
        self.entries = [other for other in self.entries if other is not entry]
        self.told.append((entry.key, None if cause == "COLLECTED" else entry.name, cause))
        self.counts[cause] += 1

    def bury(self) -> None:
        """What every operation does first."""
        for entry in [entry for entry in self.entries if not self.alive(entry)]:
            self.remove(entry, "COLLECTED")

    def settle(self) -> list[tuple[int, int]]:
        """What every write does first; return what has expired."""
        self.bury()
        dead = sorted((entry for entry in self.entries if not self.now < entry.deadline), key=lambda entry: entry.deadline)
        alive = {id(entry) for entry in dead if self.alive(entry)}
        for entry in dead:
            self.remove(entry, "EXPIRED" if id(entry) in alive else "COLLECTED")
        return [(entry.key, entry.name) for entry in dead]

    def find(self, key: int) -> Entry | None:
        """Look for a live entry."""
        self.bury()
        return next((entry for entry in self.entries if entry.key == key and self.now < entry.deadline), None)

    def size(self) -> float:
        """What is held strongly."""
        return sum(entry.weight for entry in self.entries if entry.strong)

    def let_off(self) -> bool:
        """Demote the coldest strong entry, or remove it."""
        entry = next((entry for entry in self.entries if entry.strong), None)
        if entry is None:
            return False
        if entry.weakable:
            entry.strong = False
        else:
            self.remove(entry, "SIZE")
        return True

    def trim(self) -> None:
        """Enforce the bound."""
        while self.size() > self.maxsize:
            self.let_off()

    def get(self, key: int) -> int | None:
        """A look-up that counts and promotes."""
        entry = self.find(key)
        if entry is None:
            self.counts["misses"] += 1
            return None
        self.counts["hits"] += 1
        self.entries.remove(entry)
        self.entries.append(entry)
        if not entry.strong:
            self.counts["revived"] += 1
            entry.strong = entry.weight <= self.maxsize
            self.trim()
        return entry.name

    def set(self, key: int, name: int, weakable: bool, weight: float, life: float) -> None:
        """Store."""
        if weight > self.maxsize and not weakable:
            raise TooLarge
        self.settle()
        old = next((entry for entry in self.entries if entry.key == key), None)
        if old is not None:
            self.entries = [entry for entry in self.entries if entry is not old]
            if old.name != name:
                self.told.append((key, old.name, "REPLACED"))
        if life <= 0:
            return
        self.entries.append(Entry(key, name, weakable, weight, self.now + life, weight <= self.maxsize))
        self.trim()

    def take(self, key: int) -> int | None:
        """Remove and return."""
        self.settle()
        entry = next((entry for entry in self.entries if entry.key == key), None)
        if entry is None:
            return None
        self.remove(entry, "EXPLICIT")
        return entry.name

    def popitem(self) -> tuple[int, int] | None:
        """Remove the coldest of all."""
        self.settle()
        if not self.entries:
            return None
        entry = self.entries[0]
        self.remove(entry, "EXPLICIT")
        return entry.key, entry.name

    def evict(self, limit: int) -> int:
        """Let off the coldest of those held strongly."""
        self.settle()
        return sum(self.let_off() for _ in range(limit))

    def resize(self, maxsize: float) -> None:
        """Change the bound."""
        self.settle()
        self.maxsize = maxsize
        self.trim()

    def clear(self) -> None:
        """Forget all."""
        self.bury()
        for entry in list(self.entries):
            self.remove(entry, "EXPLICIT")

    def items(self) -> list[tuple[int, int]]:
        """What is alive, coldest first."""
        self.bury()
        return [(entry.key, entry.name) for entry in self.entries if self.now < entry.deadline]

    def life_of(self, key: int) -> float | None:
        """What is left of a live entry's life."""
        entry = self.find(key)
        return None if entry is None else entry.deadline - self.now if entry.deadline != math.inf else math.inf
