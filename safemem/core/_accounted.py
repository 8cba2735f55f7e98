"""The part of the pure core that a memory budget talks to: to be charged for entries, to offer the least valuable of a few, to give one up."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from safemem._compat import K, V
from safemem.core._account import Tab
from safemem.core._calls import measure_all
from safemem.core._tables import KEY, SLOT, VALUE, Entry, Gone, Tables

if TYPE_CHECKING:
    from collections.abc import Callable

    from safemem.core._account import AccountCore, Charge
    from safemem.core._causes import RemovalCause

__all__ = ["Accounted"]


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
        _own: int,
        _cost: float | None,
    ) -> bool:
        """Be charged what `measure(key, value)` says for each entry; False if the cache is charged to another account.

        `_own` and `_cost`: what `measure` adds for the entry itself, and the cost it always gives; the native core asks it only where it must.
        """
        with self._lock:
            self._replay()
            tab = self._tab
            if tab is not None:
                if tab.account is not account:
                    return False
                tab.measure = measure
                return True
            self._tab = tab = Tab(account, measure)
            self._simplify()
            for entry in list(self._order.values()):
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

    def _unmeasured(self) -> list[tuple[int, K, V]]:
        """Return `(handle, key, value)` of the entries that nothing is charged for yet."""
        with self._lock:
            tab = self._tab
            slots = [] if tab is None else [slot for slot, charge in tab.charges.items() if not charge.uses]
            return [(slot, entry[KEY], self._value_of(entry)) for slot in slots if self._is_there(entry := self._order[slot])]

    def _record(self, handle: int, nbytes: int, cost: float) -> None:
        """Charge an entry that nothing has been charged for with what was measured."""
        with self._lock:
            tab = self._tab
            if tab is not None and handle in tab.charges and not tab.charges[handle].uses:
                del tab.charges[handle]  # which was of nothing
                self._charge(self._order[handle], (nbytes, cost))

    def _charge(self, entry: Entry, measured: tuple[int, float] | None) -> None:
        """Charge an entry that was stored, with the lock held; None: it has not been measured."""
        tab = self._tab
        if tab is not None:
            slot = entry[SLOT]
            tab.owe(slot, measured, counts=self._is_counted(entry))
            if slot not in self._order:  # removed by what the collector called
                tab.forgive(slot)

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

            def may_go(slot: int, charge: Charge) -> bool:
                return charge.counts and tab.total - charge.bytes >= floor and not (spare and not self._frees(self._order[slot]))

            return tab.offer(self._ends()[:samples], samples, weight, may_go)

    def _give_up(self, handle: int, cause: RemovalCause, floor: int) -> int:
        """Give up an entry that was offered, unless that would leave less than `floor`.

        Return the bytes that this frees, 0 if others use the value; -1: the entry has gone or has to stay.
        """
        freed = -1
        gone: Gone = []
        try:
            with self._lock:
                self._replay()
                tab = self._tab
                charge = None if tab is None else tab.charges.get(handle)
                if tab is not None and charge is not None and charge.counts and tab.total - charge.bytes >= floor:
                    entry = self._order[handle]
                    freed = charge.bytes if self._frees(entry) else 0
                    if not self._part_with(entry, gone, cause):
                        freed = -1
        finally:
            self._tell(gone)
        return freed

    def _cold_regions(self, most: int, bits: int) -> list[int]:
        """Return the regions of the address space in which the values of so many of the coldest entries lie."""
        with self._lock:
            self._replay()
            slots = [*islice(self._order, most)]
            return [id(entry[VALUE]) >> bits for slot in slots if (entry := self._order.get(slot)) is not None and self._is_counted(entry)]

    def _give_up_regions(self, regions: list[int], bits: int, cause: RemovalCause, floor: int, most: int) -> tuple[int, int]:
        """Give up all entries whose values lie in some regions, but what others use, and no more than `most` bytes nor below `floor`.

        Return how many went and what was charged for them.
        """
        wanted = set(regions)
        with self._lock:
            self._replay()
            handles = [slot for slot, entry in self._order.items() if id(entry[VALUE]) >> bits in wanted and self._is_counted(entry)]
        count = nbytes = 0
        for handle in handles:
            if nbytes >= most:
                break
            entry = self._order.get(handle)
            if entry is not None and self._frees(entry):
                entry = None  # which would keep it
                freed = self._give_up(handle, cause, floor)
                if freed >= 0:
                    count += 1
                    nbytes += freed
        return count, nbytes

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
