"""What entries cost a memory budget: an account that the caches of a budget share, and each cache's tab, with a charge for every entry.

A cache that takes part (`_open_account`) adds the bytes of each entry to the account as it is stored and takes them off as it leaves, so
that what is used is known exactly at any moment. A store that finds more used than `alarm` calls `react()`, when the cache is whole and no
lock is held. The budget then asks its caches for the least valuable of a few entries each (`_offer`), and tells one to give it up.

What an entry is worth is the sum of two numbers, after the GreedyDual-Size-Frequency policy (Cherkasova, 1998): what the account's clock said
when it was last used, and how often it was used times what it takes to make it again, for each byte of it. The clock is set to the worth of
what is given up, so that what is not used any more falls behind, however much it was used before.
"""

from __future__ import annotations

import _thread
import os
from collections import deque
from itertools import islice
from sys import getsizeof
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from safemem.core._locks import new_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from safemem.core._tables import Entry

__all__ = ["BYTES", "COST", "LENGTH", "PLAIN", "SINCE", "USES", "AccountCore", "Tab", "is_measured"]

# How many hits a tab keeps until somebody asks what entries are worth; of more, the oldest are forgotten.
HITS_KEPT: Final = 8192

# How many entries are looked at if none of the few may go.
MOST_LOOKED_AT: Final = 1024

# What consists of nothing but itself.
PLAIN: Final = frozenset({str, bytes, int, float, bool, complex, type(None)})

_NEVER: Final = (1 << 63) - 1
_LONG: Final = (1 << 64) - 1

_accounts: WeakSet[AccountCore] | None = None
_threads = 0  # that a fork is about to leave behind


class AccountCore:
    """What the caches of a budget are charged to."""

    __slots__ = ("__weakref__", "_lock", "_returned", "_used", "alarm", "clock")

    def __init__(self) -> None:
        self._lock = new_lock()  # held for an addition only
        _remember(self)
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

    def caches(self) -> list[Any]:
        """Return the caches that are charged."""
        return []

    def add_up(self) -> None:
        """Find out anew what is used, where sums may be out of step with entries."""
        self._returned.clear()
        self._used = sum([cache._add_up(self) for cache in self.caches()])


def _remember(account: AccountCore) -> None:
    """See to it that a forked child has the account right; with the first one, so that importing changes nothing in the process."""
    global _accounts  # noqa: PLW0603 - see above
    if _accounts is None:
        _accounts = WeakSet()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=_count_threads, after_in_child=_add_up_all)
    _accounts.add(account)


def _count_threads() -> None:
    global _threads  # noqa: PLW0603 - known only before, used only after
    _threads = _thread._count()


def _add_up_all() -> None:
    """Add up what other threads were in the middle of charging for: they do not go on in the child."""
    if _threads:
        for account in list(_accounts or ()):
            account.add_up()


# Where an entry of the pure core has what is charged for it: its bytes; what the clock said when it was last used; how often that was, 0 if it has
# not been measured yet; and what it costs to make it again. A dict of its own for that would take as much memory again as the entries do.
BYTES: Final = 6
SINCE: Final = 7
USES: Final = 8
COST: Final = 9
LENGTH: Final = 10

_SLOT: Final = 1  # see _tables
_ROOM: Final = (None, 0, 0.0, 0, 0.0)  # what an entry has more if it may be charged for: from the reference of a weak cache on
_UNMEASURED: Final = (0, 0.0)


def is_measured(entry: Entry) -> bool:
    """Whether something has been charged for an entry; one that is too short was stored in the moment in which the account was opened."""
    return len(entry) == LENGTH and entry[USES] > 0


class Tab:
    """A cache's part of an account: for who holds the cache's lock."""

    __slots__ = ("_random", "_seen", "_slots", "account", "cost", "hits", "idle", "measure", "own", "total")

    def __init__(self, account: AccountCore, measure: Callable[[Any, Any], tuple[int, float]], own: int, cost: float | None) -> None:
        self.account = account
        self.idle: set[int] = set()  # slots of entries that are held weakly: what is charged for them does not count
        self.total = 0
        self.hits: list[int] = []  # slots
        self._slots: list[int] = []  # of what was there a while ago, to pick from at random
        self._seen = 0  # the last slot of that while
        self._random = id(self)
        self.set_measure(measure, own, cost)

    def __del__(self) -> None:
        self.account._returned.append(self.total)

    def set_measure(self, measure: Callable[[Any, Any], tuple[int, float]], own: int, cost: float | None) -> None:
        """Set what measures entries; `own` and `cost` as for `_open_account`."""
        self.measure = measure
        self.own = own
        self.cost = cost

    def measure_entry(self, key: Any, value: Any) -> tuple[int, float]:
        """Return the bytes of an entry and its cost; calls out if they consist of more than themselves."""
        cost = self.cost
        if cost is not None and type(value) in PLAIN and type(key) in PLAIN:
            return self.own + getsizeof(key) + getsizeof(value), cost
        return self.measure(key, value)

    def admit(self, entry: Entry) -> None:
        """Begin with an entry that was in the cache before: nothing is charged for it yet."""
        entry += _ROOM[len(entry) - LENGTH + len(_ROOM) :]
        entry[BYTES] = entry[USES] = 0

    def owe(self, entry: Entry, measured: tuple[int, float] | None, *, counts: bool) -> None:
        """Charge an entry that came, or got another value; None: it has not been measured."""
        if len(entry) < LENGTH:  # it came when there was no account
            self.admit(entry)
        number, cost = _UNMEASURED if measured is None else measured
        slot = entry[_SLOT]
        counted = slot not in self.idle
        if counts:
            self.idle.discard(slot)
        else:
            self.idle.add(slot)
        change = number * counts - entry[BYTES] * counted
        entry[BYTES] = number
        entry[SINCE] = self.account.clock
        entry[USES] = 0 if measured is None else entry[USES] + 1
        entry[COST] = cost
        self.total += change
        self.account.charge(change)

    def forgive(self, entry: Entry) -> None:
        """Take off an entry that has left."""
        if len(entry) < LENGTH:
            return
        number = entry[BYTES]
        entry[BYTES] = 0
        if entry[_SLOT] in self.idle:
            self.idle.remove(entry[_SLOT])
        else:
            self.total -= number
            self.account.charge(-number)

    def recount(self, entry: Entry, *, counts: bool) -> None:
        """Let an entry's charge count, or not any more."""
        slot = entry[_SLOT]
        if len(entry) < LENGTH or (slot in self.idle) is not counts:
            return
        if counts:
            self.idle.remove(slot)
            change = entry[BYTES]
        else:
            self.idle.add(slot)
            change = -entry[BYTES]
        self.total += change
        self.account.charge(change)

    def clear(self) -> None:
        """Take off everything."""
        total = self.total
        self.total = 0
        self.idle = set()
        self.hits = []
        self._slots = []
        self.account.charge(-total)

    def note(self, hits: list[int]) -> None:
        """Take note of which entries were used."""
        self.hits += hits
        if len(self.hits) > HITS_KEPT:
            del self.hits[: HITS_KEPT // 2]

    def offer(
        self, order: Mapping[int, Entry], first: list[int], samples: int, weight: float, may_go: Callable[[Entry], bool], *, newest: int
    ) -> tuple[float, int, int] | None:
        """Return `(score, bytes, slot)` of the least valuable of these entries and of some at random; None: none may go.

        `order`: all entries. `newest`: the last slot that was given to an entry.
        """
        self._count_hits(order)
        if newest - self._seen > len(order) >> 2 or not self._slots:  # a quarter of them, or more, came since
            self._seen = newest
            self._slots = list(order)
        found = self._least(order, [*first, *self._pick(order, samples - len(first))], weight, may_go)
        return self._least(order, list(islice(order, MOST_LOOKED_AT)), weight, may_go) if found is None else found

    def _least(
        self, order: Mapping[int, Entry], slots: list[int], weight: float, may_go: Callable[[Entry], bool]
    ) -> tuple[float, int, int] | None:
        best: tuple[float, int, int] | None = None
        for slot in slots:
            entry = order.get(slot)
            if entry is None or len(entry) < LENGTH:
                continue
            number = entry[6]
            score = entry[7] + entry[8] * entry[9] * weight / (number or 1)
            if (best is None or score < best[0]) and may_go(entry):
                best = score, number, slot
        return best

    def _count_hits(self, order: Mapping[int, Entry]) -> None:
        hits, self.hits = self.hits, []
        clock = self.account.clock
        for slot in hits:
            entry = order.get(slot)
            if entry is not None and len(entry) == LENGTH and entry[8]:
                entry[7] = clock
                entry[8] += 1

    def _pick(self, order: Mapping[int, Entry], number: int) -> list[int]:
        """Return the slots of so many entries at random; those that came a moment ago are not among them."""
        slots, random = self._slots, self._random
        picked: list[int] = []
        while slots and len(picked) < number:
            random = (random * 6364136223846793005 + 1442695040888963407) & _LONG  # by Donald Knuth
            place = (random >> 33) * len(slots) >> 31
            slot = slots[place]
            if slot in order:
                picked.append(slot)
            else:
                slots[place] = slots[-1]
                slots.pop()
        self._random = random
        return picked
