"""The part of the pure core that a memory budget talks to: to be charged for entries, to offer the least valuable of a few, to give one up."""

from __future__ import annotations

from collections import OrderedDict
from itertools import islice
from sys import getsizeof
from time import sleep
from typing import TYPE_CHECKING, Any, Final

from safemem._compat import K, V
from safemem.core._account import BYTES, LENGTH, PLAIN, Tab, is_measured
from safemem.core._calls import measure_all
from safemem.core._tables import KEY, REPLACED, SIZE, SLOT, VALUE, Entry, Gone, Tables

if TYPE_CHECKING:
    from collections.abc import Callable

    from safemem.core._account import AccountCore
    from safemem.core._causes import RemovalCause

__all__ = ["Accounted"]

# How many entries are given up at a time before others may have the lock: some milliseconds.
BATCH: Final = 512

# A table is hollow if it takes so many bytes for each of its entries, and is not small.
HOLLOW: Final = 200
SMALL: Final = 1 << 16


class Accounted(Tables[K, V]):
    """Tables that may be charged to an account."""

    __slots__ = ()

    _evictions: int

    if TYPE_CHECKING:  # what the operations bring

        def _tell(self, gone: Gone) -> None: ...

    # -- taking part ----------------------------------------------------------------------------------------------------------------

    def _open_account(
        self,
        account: AccountCore,
        measure: Callable[[Any, Any], tuple[int, float]],
        own: int,
        cost: float | None,
    ) -> bool:
        """Be charged what `measure(key, value)` says for each entry; False if the cache is charged to another account.

        `own` and `cost`: what `measure` adds for the entry itself, and the cost it always gives, None if it has to be asked in any case.
        """
        with self._lock:
            self._replay()
            tab = self._tab
            if tab is not None:
                if tab.account is not account:
                    return False
                tab.set_measure(measure, own, cost)
                return True
            self._tab = tab = Tab(account, measure, own, cost)
            self._simplify()
            entries = list(self._order.values())
            for entry in entries:
                tab.admit(entry)
            for entry in entries:
                self._charge(entry, None)
        return True

    def _close_account(self) -> None:
        """Be charged to nobody from now on."""
        with self._lock:
            tab, self._tab = self._tab, None
            self._simplify()
            if tab is not None:
                tab.clear()

    @property
    def _account(self) -> AccountCore | None:
        tab = self._tab
        return None if tab is None else tab.account

    @property
    def _measure(self) -> Callable[[Any, Any], tuple[int, float]] | None:
        tab = self._tab
        return None if tab is None else tab.measure

    @property
    def _charged(self) -> int:
        """What is charged for all entries."""
        tab = self._tab
        return 0 if tab is None else tab.total

    def _add_up(self, account: AccountCore) -> int:
        """Return what is charged for all entries to an account, having added it up."""
        with self._lock:
            tab = self._tab
            if tab is None or tab.account is not account:
                return 0
            entries = list(self._order.values())
            tab.total = sum([entry[BYTES] for entry in entries if len(entry) == LENGTH and entry[SLOT] not in tab.idle])
            return tab.total

    def _unmeasured(self) -> list[tuple[int, K, V]]:
        """Return `(handle, key, value)` of the entries that nothing is charged for yet."""
        with self._lock:
            entries = [] if self._tab is None else [entry for entry in list(self._order.values()) if not is_measured(entry)]
            return [(entry[SLOT], entry[KEY], self._value_of(entry)) for entry in entries if self._is_there(entry)]

    def _record(self, handle: int, nbytes: int, cost: float) -> None:
        """Charge an entry that nothing has been charged for with what was measured."""
        with self._lock:
            tab = self._tab
            entry = self._order.get(handle)
            if tab is not None and entry is not None and not is_measured(entry):
                self._charge(entry, (nbytes, cost))

    def _charge(self, entry: Entry, measured: tuple[int, float] | None) -> None:
        """Charge an entry that was stored, with the lock held; None: it has not been measured."""
        tab = self._tab
        if tab is not None:
            tab.owe(entry, measured, counts=self._is_counted(entry))
            if entry[SLOT] not in self._order:  # removed by what the collector called
                tab.forgive(entry)

    def _set_charged(self, tab: Tab, key: K, value: V, now: Any, deadline: Any) -> bool:
        """Store a value; `_set`, written out for the most frequent case. False: it is another, and nothing has been done.

        That case: entries are only counted and consist of nothing that would have to be looked into, nothing is due, nothing is being loaded.
        The steps are those of `__setitem__`, and with each the one that charges for it.
        """
        cost = tab.cost
        if cost is None or type(value) not in PLAIN or type(key) not in PLAIN or self._weighs or self._hooked:
            return False
        account = tab.account
        nbytes = tab.own + getsizeof(key) + getsizeof(value)
        entry = replaced = victim = None
        change = 0
        lock = self._lock
        try:  # see `__setitem__`
            lock.acquire()
            if self._log:
                self._replay()
            index = self._index
            order = self._order
            if self._tab is not tab or self._loading or self._maxsize < 1 or (deadline is not None and self._is_due(now, deadline)):
                pass  # another case
            elif key in index:
                entry = index.get(key)
                if entry is not None:
                    replaced = (entry[0],)  # made here: where something is made the collector may call anything
                if entry is not None and len(entry) == LENGTH and entry[1] in self._order and self._tab is tab:
                    entry[0] = value
                    entry[4] = deadline
                    change = nbytes - entry[6]
                    entry[6] = nbytes
                    entry[7] = account.clock
                    entry[8] += 1
                    entry[9] = cost
                    tab.total += change
                    order.move_to_end(entry[1])
                else:  # removed by what the comparison called
                    entry = None
            else:
                self._serial = slot = self._serial + 1
                order[slot] = entry = [value, slot, key, 1, deadline, None, 0, account.clock, 0, cost]
                try:
                    known = index.setdefault(key, entry)
                except BaseException:
                    self._drop(entry)
                    raise
                if known is not entry or slot not in self._order or self._tab is not tab:
                    self._withdraw(entry)
                    entry = None
                else:
                    entry[6] = nbytes
                    entry[8] = 1
                    tab.total += nbytes
                    change = nbytes
                    if len(order) > self._maxsize:
                        victim, freed = self._evict_charged(tab)
                        change -= freed
            if deadline is not None and entry is not None:
                self._schedule(entry)
        finally:
            try:
                lock.release()
            except RuntimeError:
                pass
            if change:  # `account.charge(change)`, written out
                lock = account._lock
                try:
                    lock.acquire()
                    account._used += change
                finally:
                    try:
                        lock.release()
                    except RuntimeError:
                        pass
        if entry is None:
            return False
        if self._on_remove is not None:
            if victim is not None:
                self._tell([(victim[2], victim[0], SIZE)])
            elif replaced is not None and replaced[0] is not value:
                self._tell([(entry[2], replaced[0], REPLACED)])
        if self._tab is not tab or account._used > account.alarm:
            self._settle_account(tab)
        return True

    def _evict_charged(self, tab: Tab) -> tuple[Entry | None, int]:
        """Remove the coldest entry for the bound, with the lock held; return it, and the bytes that the account is still to be told of."""
        for slot in self._order:
            entry = self._order[slot]
            break
        else:
            return None, 0
        try:
            taken = self._index.pop(entry[KEY], None)
        except Exception:  # noqa: BLE001 - as in `__setitem__`
            taken = None
        if taken is entry and len(entry) == LENGTH and slot in self._order and self._tab is tab:
            del self._order[slot]
            number = entry[6]
            entry[6] = 0
            tab.total -= number
            if slot in self._due:
                del self._due[slot]
            return entry, number
        victim = self._remove_odd(entry, taken)
        self._evictions += victim is not None
        return victim, 0

    def _settle_account(self, tab: Tab | None) -> None:
        """Do what is left to do for the budget after a store, with no lock held; `tab`: what measured the entry."""
        if self._tab is not tab:
            measure_all(self)
            tab = self._tab
        if tab is not None:
            account = tab.account
            if account._used > account.alarm:
                account.react()

    # -- letting go -----------------------------------------------------------------------------------------------------------------

    def _offer(self, samples: int, weight: float, floor: int, spare: bool) -> tuple[float, int, int] | None:
        """Return `(score, bytes, handle)` of the least valuable of a few entries: the coldest, the hottest and others at random.

        None: none may go. `floor`: what must stay charged. `spare`: pass over what others use.
        """
        with self._lock:
            self._replay()
            tab = self._tab
            if tab is None or tab.total <= floor:
                return None

            def may_go(entry: Entry) -> bool:
                return entry[SLOT] not in tab.idle and tab.total - entry[BYTES] >= floor and not (spare and not self._frees(entry))

            return tab.offer(self._order, self._ends()[:samples], samples, weight, may_go, newest=self._serial)

    def _give_up(self, handle: int, cause: RemovalCause, floor: int) -> int:
        """Give up an entry that was offered, unless that would leave less than `floor`.

        Return the bytes that this frees, 0 if others use the value; -1: the entry has gone or has to stay.
        """
        gone: Gone = []
        try:
            with self._lock:
                self._replay()
                return self._part_with_one(handle, gone, cause, floor)
        finally:
            self._tell(gone)

    def _part_with_one(self, handle: int, gone: Gone, cause: RemovalCause, floor: int) -> int:
        """Do what `_give_up` says, with the lock held."""
        tab = self._tab
        entry = self._order.get(handle)
        if tab is None or entry is None or len(entry) < LENGTH or handle in tab.idle:
            return -1
        number = entry[BYTES]
        if tab.total - number < floor:
            return -1
        freed = number if self._frees(entry) else 0
        return freed if self._part_with(entry, gone, cause) else -1

    def _cold_regions(self, most: int, bits: int) -> list[int]:
        """Return the regions of the address space in which the values of so many of the coldest entries lie."""
        with self._lock:
            self._replay()
            tab = self._tab
            entries = list(islice(self._order.values(), most))
        idle = set[int]() if tab is None else tab.idle
        return [id(entry[0]) >> bits for entry in entries if entry[1] not in idle]

    def _give_up_regions(self, regions: list[int], bits: int, cause: RemovalCause, floor: int, most: int) -> tuple[int, int]:
        """Give up all entries whose values lie in some regions, but what others use and nothing below `floor`.

        The regions are emptied one after the other, each as a whole, until `most` bytes have gone. Return how many went and what was charged for them.
        """
        busy = self._lock._is_owned()  # type: ignore[attr-defined] # by this thread, in the middle of something
        handles = self._choose_regions(regions, bits, most)
        count = nbytes = 0
        for start in range(0, len(handles), BATCH):
            gone: Gone = []
            try:
                with self._lock:
                    self._replay()
                    for handle in handles[start : start + BATCH]:
                        entry = self._order.get(handle)
                        if entry is not None and self._frees(entry):
                            freed = self._part_with_one(handle, gone, cause, floor)
                            count += freed >= 0
                            nbytes += max(freed, 0)
                    entry = None
            finally:
                self._tell(gone)
            sleep(0)  # whoever waits for the lock also waits for the GIL
        if count and not busy:
            self._compact()
        return count, nbytes

    def _choose_regions(self, regions: list[int], bits: int, most: int) -> list[int]:
        """Return the slots of the entries in the first of these regions, in as many as it takes to hold `most` bytes."""
        there: dict[int, list[Entry]] = {region: [] for region in regions}
        with self._lock:
            self._replay()
            entries = (
                [] if self._tab is None else list(self._index.values())
            )  # the order has all of them too, but takes twenty times as long
        for entry in entries:
            found = there.get(id(entry[VALUE]) >> bits)
            if found is not None:
                found.append(entry)
        chosen: list[int] = []
        nbytes = 0
        for found in there.values():
            if nbytes >= most:
                break
            chosen += [entry[SLOT] for entry in found]
            nbytes += sum([entry[BYTES] for entry in found if len(entry) == LENGTH])
        return chosen

    def _compact(self) -> None:
        """Make the tables anew if they are much too large for what they hold, for no table becomes smaller by itself."""
        with self._lock:
            self._replay()
            tab, index = self._tab, self._index
            if tab is None or getsizeof(index) < max(len(index) * HOLLOW, SMALL):
                return
            serial, dropped, total = self._serial, self._dropped, tab.total
            fresh, order = dict(index), OrderedDict(self._order)
            # No calls from here on: what the collector runs might change the cache, as it might have done until now.
            if self._serial == serial and self._dropped == dropped and tab.total == total and self._tab is tab and self._index is index:
                self._index = fresh
                self._order = order

    def _reclaimable(self) -> int:
        """Return the bytes that letting go of everything would free."""
        return self._charged

    # -- what a weak cache does otherwise, with the lock held -----------------------------------------------------------------------

    def _ends(self) -> list[int]:
        """Return the slots of the coldest and the hottest entry."""
        ends: list[int] = []
        for slot in self._order:
            ends.append(slot)
            break
        for slot in reversed(self._order):
            ends.append(slot)
            break
        return ends

    def _is_counted(self, _entry: Entry) -> bool:
        """Whether the cache keeps the value of an entry alive."""
        return True

    def _is_there(self, _entry: Entry) -> bool:
        return True

    def _value_of(self, entry: Entry) -> Any:
        return entry[VALUE]

    def _frees(self, _entry: Entry) -> bool:
        """Whether to let go of an entry frees its value; in a weak cache not if others use it, in any other that is taken for granted."""
        return True

    def _part_with(self, entry: Entry, gone: Gone, cause: RemovalCause) -> bool:
        removed = self._remove(entry)
        if removed is not None:
            self._evictions += 1
            gone.append((removed[KEY], removed[VALUE], cause))
        return removed is not None
