"""What entries cost a memory budget: an account that the caches of a budget share, and each cache's tab, with a charge for every entry.

A cache that takes part (`_open_account`) adds the bytes of each entry to the account as it is stored and takes them off as it leaves, so
that what is used is known exactly at any moment. A store that finds more used than `alarm` calls `react()`, when the cache is whole and no
lock is held. The budget then asks its caches for the least valuable of a few entries each (`_offer`), and tells one to give it up.

What an entry is worth is the sum of two numbers, after the GreedyDual-Size-Frequency policy (Cherkasova, 1998): what the account's clock said
when it was last used, and how often it was used times what it takes to make it again, for each byte of it. The clock is set to the worth of
what is given up, so that what is not used any more falls behind, however much it was used before.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from safemem.core._locks import new_lock

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["AccountCore", "Charge", "Tab"]

# How many hits a tab keeps until somebody asks what entries are worth; of more, the oldest are forgotten.
HITS_KEPT: Final = 8192

# How many entries are looked at if none of the few may go.
MOST_LOOKED_AT: Final = 1024

_NEVER: Final = (1 << 63) - 1
_LONG: Final = (1 << 64) - 1


class AccountCore:
    """What the caches of a budget are charged to."""

    __slots__ = ("_lock", "_returned", "_used", "alarm", "clock")

    def __init__(self) -> None:
        self._lock = new_lock()  # held for an addition only
        self._used = 0
        self._returned: deque[int] = deque()  # by caches that are gone: from finalisers, which wait for nobody
        self.alarm = _NEVER
        self.clock = 0.0

    @property
    def used(self) -> int:
        """The bytes of all entries of all caches."""
        if self._returned:
            self.charge(0)
        return self._used

    def charge(self, nbytes: int) -> None:
        """Count `nbytes` more, or less if negative."""
        with self._lock:
            while self._returned:
                nbytes -= self._returned.popleft()
            self._used += nbytes

    def react(self) -> None:
        """Called after a store, with no lock held, when more than `alarm` is used."""


class Charge:
    """What is charged for one entry; without any `uses` it has not been measured yet."""

    __slots__ = ("bytes", "counts", "since", "uses", "worth")

    def __init__(self) -> None:
        self.bytes = 0
        self.counts = False  # not while the entry is held weakly
        self.since = 0.0
        self.uses = 0
        self.worth = 0.0

    def score(self, weight: float) -> float:
        """Return what the entry is worth."""
        return self.since + self.uses * self.worth * weight


class Tab:
    """A cache's part of an account: for who holds the cache's lock. Charges are found by the slots of their entries."""

    __slots__ = ("_random", "_slots", "account", "charges", "hits", "measure", "total")

    def __init__(self, account: AccountCore, measure: Callable[[Any, Any], tuple[int, float]]) -> None:
        self.account = account
        self.measure = measure
        self.charges: dict[int, Charge] = {}
        self.total = 0
        self.hits: list[int] = []  # slots
        self._slots: list[int] = []  # of all charges, to pick one at random, and of some that are gone
        self._random = id(self)

    def __del__(self) -> None:
        self.account._returned.append(self.total)

    def owe(self, slot: int, measured: tuple[int, float] | None, *, counts: bool) -> None:
        """Charge an entry that came, or got another value; None: it has not been measured."""
        charge = self.charges.get(slot)
        fresh = charge is None
        if charge is None:
            charge = Charge()
            self._slots.append(slot)
        before = charge.bytes if charge.counts else 0
        number, cost = (0, 0.0) if measured is None else measured
        charge.bytes = number
        charge.counts = counts
        charge.worth = cost / max(number, 1)
        charge.since = self.account.clock
        charge.uses = 0 if measured is None else 1 if fresh else charge.uses + 1
        change = (number if counts else 0) - before
        self.charges[slot] = charge
        self.total += change
        self.account.charge(change)

    def forgive(self, slot: int) -> None:
        """Take off an entry that has left."""
        charges = self.charges
        if slot in charges:
            charge = charges[slot]
            del charges[slot]
            if charge.counts:
                self.total -= charge.bytes
                self.account.charge(-charge.bytes)

    def recount(self, slot: int, *, counts: bool) -> None:
        """Let an entry's charge count, or not any more."""
        charge = self.charges.get(slot)
        if charge is not None and charge.counts is not counts:
            charge.counts = counts
            change = charge.bytes if counts else -charge.bytes
            self.total += change
            self.account.charge(change)

    def clear(self) -> None:
        """Take off everything."""
        total = self.total
        self.total = 0
        self.charges = {}
        self._slots = []
        self.hits = []
        self.account.charge(-total)

    def note(self, hits: list[int]) -> None:
        """Take note of which entries were used."""
        self.hits += hits
        if len(self.hits) > HITS_KEPT:
            del self.hits[: HITS_KEPT // 2]

    def offer(self, first: list[int], samples: int, weight: float, may_go: Callable[[int, Charge], bool]) -> tuple[float, int, int] | None:
        """Return `(score, bytes, slot)` of the least valuable of these entries and of some at random; None: none may go."""
        self._count_hits()
        found = self._least([*first, *(self._pick() for _ in range(samples - len(first)))], weight, may_go)
        return self._least(list(islice(self.charges, MOST_LOOKED_AT)), weight, may_go) if found is None else found

    def _least(self, slots: list[int], weight: float, may_go: Callable[[int, Charge], bool]) -> tuple[float, int, int] | None:
        best: tuple[float, int, int] | None = None
        for slot in slots:
            charge = self.charges.get(slot)
            if charge is None:
                continue
            score = charge.score(weight)
            if (best is None or score < best[0]) and may_go(slot, charge):
                best = (score, charge.bytes, slot)
        return best

    def _count_hits(self) -> None:
        hits, self.hits = self.hits, []
        clock = self.account.clock
        for slot in hits:
            charge = self.charges.get(slot)
            if charge is not None and charge.uses:
                charge.uses += 1
                charge.since = clock

    def _pick(self) -> int:
        """Return the slot of an entry at random; on the way forget those that are gone."""
        slots = self._slots
        while slots:
            self._random = number = (self._random * 6364136223846793005 + 1442695040888963407) & _LONG  # by Donald Knuth
            place = (number >> 33) * len(slots) >> 31
            slot = slots[place]
            if slot in self.charges:
                return slot
            slots[place] = slots[-1]
            slots.pop()
        return 0
