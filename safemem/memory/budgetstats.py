"""What a budget has counted."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["BudgetStats"]


@dataclass(frozen=True)
class BudgetStats:
    """What is in a budget and what it has done; what `budget.stats()` returns. Numbers of bytes unless said otherwise.

    Attributes:
        used: what is accounted for all entries of all caches.
        limit: the limit in force.
        bound: what the caches may hold now: the limit, or less while memory is short.
        level: how much is in use of what this process may use, 0 to 1 and beyond; of the limit where nothing tells.
        caches: number of caches.
        reclaimable: what letting go of all entries would free: in weak caches not what others use.
        let_go: number of entries that were let go of.
        let_go_bytes: what was accounted for them.
        freezes: how often the budget stopped letting go because that did not help.
        trims: how often its thread gave free memory back to the system.
        trimmed_bytes: how much that was.
        running: whether its thread runs.

    >>> from safemem import LRUCache, MemoryBudget
    >>> budget = MemoryBudget(2_000)
    >>> cache = LRUCache.fromkeys("abc", bytes(900), budget=budget)
    >>> stats = budget.stats()
    >>> stats.caches, stats.let_go, stats.used == stats.reclaimable
    (1, 2, True)
    """

    __module__ = "safemem"

    used: int
    limit: int
    bound: int
    level: float
    caches: int
    reclaimable: int
    let_go: int
    let_go_bytes: int
    freezes: int
    trims: int
    trimmed_bytes: int
    running: bool
