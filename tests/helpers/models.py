"""Caches so naive that they cannot be wrong: lists, linear searches, no cleverness."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any


class TooLarge(Exception):
    """The model's word for a value that can never fit."""


@dataclass
class Entry:
    """One stored pair."""

    key: Any
    value: Any
    weight: float = 1
    deadline: float = math.inf


class Model:
    """A bounded cache with weights and deadlines; `entries` holds the coldest first."""

    def __init__(self, maxsize: float) -> None:
        self.maxsize = maxsize
        self.entries: list[Entry] = []
        self.removed: Counter[tuple[Any, Any, str]] = Counter()
        self.hits = self.misses = 0
        self._now = 0.0
        self._raw: float | None = None

    def see(self, raw: float) -> None:
        """Look at the clock: only its steps forward count."""
        if self._raw is not None and raw > self._raw:
            self._now += raw - self._raw
        self._raw = raw

    def size(self) -> float:
        """The sum of the weights."""
        return sum(entry.weight for entry in self.entries)

    def _remove(self, entry: Entry, cause: str) -> None:
        self.entries = [other for other in self.entries if other is not entry]
        self.removed[entry.key, entry.value, cause] += 1

    def _find(self, key: Any) -> Entry | None:
        return next((entry for entry in self.entries if entry.key == key), None)

    def _live(self, key: Any) -> Entry | None:
        entry = self._find(key)
        return entry if entry is not None and self._now < entry.deadline else None

    def expire(self) -> list[tuple[Any, Any]]:
        """Drop what is dead; return it, soonest deadline first."""
        dead = sorted((entry for entry in self.entries if not self._now < entry.deadline), key=lambda entry: entry.deadline)
        for entry in dead:
            self._remove(entry, "EXPIRED")
        return [(entry.key, entry.value) for entry in dead]

    def get(self, key: Any, default: Any = None) -> Any:
        """A look-up that counts and promotes."""
        entry = self._live(key)
        if entry is None:
            self.misses += 1
            return default
        self.hits += 1
        self.entries.remove(entry)
        self.entries.append(entry)
        return entry.value

    def peek(self, key: Any, default: Any = None) -> Any:
        """A look-up that leaves no trace."""
        entry = self._live(key)
        return default if entry is None else entry.value

    def set(self, key: Any, value: Any, weight: float = 1, ttl: float = math.inf) -> None:
        """Store, making room from the cold end."""
        if weight > self.maxsize:
            raise TooLarge
        self.expire()
        old = self._find(key)
        if old is not None:
            self.entries = [entry for entry in self.entries if entry is not old]
            if old.value is not value:
                self.removed[old.key, old.value, "REPLACED"] += 1
        if ttl <= 0:
            return
        while self.entries and self.size() + weight > self.maxsize:
            self._remove(self.entries[0], "SIZE")
        self.entries.append(Entry(key if old is None else old.key, value, weight, self._now + ttl))

    def delete(self, key: Any) -> bool:
        """Forget; tell whether it was there, and alive."""
        self.expire()
        entry = self._find(key)
        if entry is None:
            return False
        self._remove(entry, "EXPLICIT")
        return True

    def popitem(self) -> tuple[Any, Any] | None:
        """Take the coldest away."""
        self.expire()
        if not self.entries:
            return None
        entry = self.entries[0]
        self._remove(entry, "EXPLICIT")
        return entry.key, entry.value

    def evict(self, count: int) -> int:
        """Evict the coldest."""
        self.expire()
        victims = self.entries[:count]
        for entry in victims:
            self._remove(entry, "SIZE")
        return len(victims)

    def resize(self, maxsize: float) -> None:
        """Change the bound."""
        self.expire()
        self.maxsize = maxsize
        while self.entries and self.size() > maxsize:
            self._remove(self.entries[0], "SIZE")

    def clear(self) -> None:
        """Forget all; what is dead by now expired, it was not cleared."""
        self.expire()
        for entry in list(self.entries):
            self._remove(entry, "EXPLICIT")

    def items(self) -> list[tuple[Any, Any]]:
        """What is alive, coldest first."""
        return [(entry.key, entry.value) for entry in self.entries if self._now < entry.deadline]
