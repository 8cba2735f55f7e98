"""The tables of the pure core's weak cache: entries whose value the cache does not keep alive, and how it learns that one has died.

What is added to the rules of `_tables`:

* An entry held weakly has the mark `WEAK` for a value and its reference in `REF`. It is in `_order` with all others; `_strong` has those
  that are held strongly, in the same order, so that the first of them is the next to be let off.
* The callback of every reference is the `append` of one deque, `_pending`: a value may die at any moment and in any thread, so nothing of
  ours runs then, and no lock is taken. Whatever operation comes next takes the dead references out and removes their entries.
* A reference names the slot of its entry, not the entry, which would be a cycle. A dead reference counts for an entry only if the entry
  still has this very reference: one that was stored anew meanwhile stays.
* What a reference leads to may be ours alone a moment later: with the lock held it goes to `gone`, with no cause, and is let go after.
* A deadline is None for an entry that never expires, so that a cache without a sense of time never reads the clock.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from itertools import chain
from sys import getrefcount
from typing import TYPE_CHECKING, Any, Final, Generic
from weakref import ref

from safemem._compat import K, T, V
from safemem.core._causes import RemovalCause
from safemem.core._tables import DEADLINE, EXPIRED, KEY, REF, REPLACED, SIZE, SLOT, VALUE, WEIGHT, Entry
from safemem.core._timed import TTLCore, is_never

if TYPE_CHECKING:
    from collections.abc import Callable

    from safemem.core._clock import Clock
    from safemem.core._tables import Gone

__all__ = ["COLLECTED", "WEAK", "MortalTables", "Reference", "bounded", "is_ours_alone", "is_weakable", "object_of"]

COLLECTED: Final = RemovalCause.COLLECTED


class _Weak:
    """The mark in the place of a value that is held weakly."""

    __slots__ = ()


WEAK: Final[Any] = _Weak()


class Reference(ref[Any]):
    """A reference to the value of the entry with this slot."""

    __slots__ = ("slot",)
    slot: int


class _Emptier:
    """Empties the deque of dead references when their cache goes: one killed by the collector keeps its callback, and so the deque."""

    __slots__ = ("_pending",)

    def __init__(self, pending: deque[Reference]) -> None:
        self._pending = pending

    def __del__(self) -> None:
        self._pending.clear()


def is_weakable(value: object) -> bool:
    """Whether there can be weak references to an object."""
    return type(value).__weakrefoffset__ != 0


def object_of(entry: Entry) -> Any:
    """Return the value of an entry, WEAK if it has died."""
    value = entry[VALUE]
    if value is not WEAK:
        return value
    value = entry[REF]()
    return WEAK if value is None else value


def is_ours_alone(entry: Entry) -> bool:
    """Whether nothing but the cache holds the value of an entry that is held strongly."""
    return getrefcount(entry[VALUE]) <= 2  # the entry's, and the argument of this call


def bounded(deadline: Any) -> Any:
    """Return a deadline, None for one that never comes."""
    return None if is_never(deadline) else deadline


class MortalTables(TTLCore[K, V, T], Generic[K, V, T]):
    """Entries in order of use, of which some are held weakly; what is here is for who holds the lock, but where it is said to take it."""

    __slots__ = ("_bare", "_collections", "_emptier", "_note", "_pending", "_revived", "_strict", "_strong", "_timed")

    _dropped: int
    _evictions: int
    _hits: int

    def _configure(
        self,
        *,
        maxsize: float,
        weighs: bool,
        on_remove: Callable[[K, V, RemovalCause], object] | None,
        hooked: bool,
        clock: Clock[T] | None = None,
        step: Any = None,
        watched: bool = False,
        strict: bool = False,
    ) -> None:
        """See TTLCore; `step` None: only what is stored with a time-to-live of its own expires. `strict`: refuse what cannot be held weakly."""
        former = [getattr(self, name, None) for name in ("_index", "_order", "_strong", "_due")]  # let go of when all is new
        self._strong: OrderedDict[int, Entry] = OrderedDict()
        self._pending: deque[Reference] = deque()
        self._emptier = _Emptier(self._pending)
        self._note = self._pending.append
        self._bare = not weighs and maxsize < 1  # nothing is ever held strongly: every hit is one on an entry held weakly
        self._timed = step is not None
        self._strict = strict
        self._revived = 0
        self._collections = 0
        super()._configure(maxsize=maxsize, weighs=weighs, on_remove=on_remove, hooked=hooked, clock=clock, step=step, watched=watched)
        del former

    def _simplify(self) -> None:
        self._simple = self._tab is None and not self._weighs and not self._timed and not self._strict and not self._loading

    def _replay(self) -> None:
        log = self._log
        hits = log[:]
        if not hits:
            return
        number = len(hits)
        del log[:number]
        self._hits += number
        if self._bare:
            self._revived += number
        if self._tab is not None:
            self._tab.note(hits)
        order, strong = self._order, self._strong
        moves: Any = map(order.move_to_end, filter(order.__contains__, hits))
        if strong:
            moves = chain(moves, map(strong.move_to_end, filter(strong.__contains__, hits)))
        deque(moves, 0)  # makes them all, in C: nothing runs in between that could bring the two out of step

    # -- the dead ------------------------------------------------------------------------------------------------------------------

    def _bury(self, gone: Gone) -> None:
        """Remove the entries whose values have died."""
        pending = self._pending
        while pending:
            dead = pending.popleft()
            slot = dead.slot
            if slot not in self._order:
                continue
            entry = self._order[slot]
            if entry[0] is not WEAK or entry[5] is not dead or dead() is not None:  # who gets hold of one that lives can put it here too
                continue
            try:  # `_take_out`, written out: this is what a cache of short-lived values does most
                taken = self._index.pop(entry[2], None)
            except Exception:  # noqa: BLE001 - the key's own code fails: the caller did not ask about this key
                taken = None
            if taken is entry and slot in self._order:
                del self._order[slot]
                self._dropped += 1
                self._collections += 1
                if slot in self._due:
                    del self._due[slot]
                if self._tab is not None:
                    self._tab.forgive(entry)
                gone.append((entry[2], None, COLLECTED))
            elif (taken := self._remove_odd(entry, taken)) is not None:
                self._hand_over(taken, COLLECTED, gone)

    def _take_out(self, entry: Entry, cause: RemovalCause, gone: Gone) -> bool:
        """Remove an entry found in the order; return whether one went whose value is alive."""
        taken = self._remove(entry)
        return taken is not None and self._hand_over(taken, cause, gone)

    def _hand_over(self, entry: Entry, cause: RemovalCause, gone: Gone) -> bool:
        """Note what has to be told of an entry that was removed; return whether its value is alive."""
        value = object_of(entry)
        if value is WEAK:
            self._collections += 1
            gone.append((entry[KEY], None, COLLECTED))
            return False
        gone.append((entry[KEY], value, SIZE if cause is COLLECTED else cause))  # COLLECTED: see _remove_odd
        return True

    def _read_mail(self) -> None:
        """Remove the entries whose values have died; takes the lock."""
        gone: Gone = []
        try:
            with self._lock:
                self._bury(gone)
        finally:
            self._tell(gone)

    def _tell(self, gone: Gone) -> None:
        if gone and self._on_remove is not None:
            keep: Any = None  # the cause of what is only to be let go of late
            super()._tell([removal for removal in gone if removal[2] is not keep])

    # -- the changes ---------------------------------------------------------------------------------------------------------------

    def _place(self, key: K, value: V, weight: float, deadline: Any, gone: Gone) -> Entry:
        fresh: Entry = [value, 0, key, weight, deadline, None]
        if self._tab is not None:  # with room for what is charged
            fresh = [value, 0, key, weight, deadline, None, 0, 0.0, 0, 0.0]
        if weight > self._maxsize and is_weakable(value):
            fresh[REF] = Reference(value, self._note)
            fresh[VALUE] = WEAK
        while True:
            index = self._index
            if key in index:
                try:
                    entry = index[key]
                except KeyError:  # removed by what the comparison called
                    continue
                if entry[SLOT] in self._order:
                    return self._exchange(entry, fresh, gone)
                self._banish(index, key)
                continue
            if index is not self._index:  # cleared by what hashing or comparing the key called
                continue
            self._serial = slot = self._serial + 1
            fresh[SLOT] = slot
            if fresh[REF] is None:
                self._strong[slot] = fresh
                self._size += weight
            else:
                fresh[REF].slot = slot
            self._order[slot] = fresh
            try:
                known = index.setdefault(key, fresh)
            except BaseException:
                self._drop(fresh)
                raise
            if known is fresh and slot in self._order:
                return fresh
            self._withdraw(fresh)

    def _exchange(self, entry: Entry, fresh: Entry, gone: Gone) -> Entry:
        """Give an entry what is to replace its state."""
        slot = entry[SLOT]
        old, former = entry[VALUE], entry[REF]
        if fresh[REF] is not None:
            fresh[REF].slot = slot
            entry[REF] = fresh[REF]  # never none again: a reader may have seen that it has to be asked
        entry[VALUE] = fresh[VALUE]  # before the deadline: a reader that sees the new deadline must not hand out the old value
        if slot in self._strong:
            del self._strong[slot]
            self._size -= entry[WEIGHT]
        entry[WEIGHT] = fresh[WEIGHT]
        entry[DEADLINE] = fresh[DEADLINE]
        if slot in self._due:
            del self._due[slot]
        if slot in self._order:  # to the end of both, without a call between
            del self._order[slot]
            self._order[slot] = entry
            if fresh[REF] is None:
                self._strong[slot] = entry
                self._size += entry[WEIGHT]
        if not self._strong:
            self._size = 0
        if old is WEAK and (old := former()) is None:
            self._collections += 1
            gone.append((entry[KEY], None, COLLECTED))
        elif old is not object_of(fresh):
            gone.append((entry[KEY], old, REPLACED))
        return entry

    def _drop(self, entry: Entry) -> None:
        slot = entry[SLOT]
        if slot in self._strong:
            self._size -= entry[WEIGHT]
            del self._strong[slot]
            if not self._strong:
                self._size = 0
        if slot in self._order:
            del self._order[slot]
            self._dropped += 1
        if slot in self._due:
            del self._due[slot]
        if self._tab is not None:
            self._tab.forgive(entry)

    def _take(self, key: Any, gone: Gone, cause: RemovalCause) -> Entry | None:
        taken = self._index.pop(key, None)
        if taken is None or taken[SLOT] not in self._order:
            return None
        self._drop(taken)
        return [gone[-1][1]] if self._hand_over(taken, cause, gone) else None

    def _evict_one(self, gone: Gone, cause: RemovalCause) -> Entry | None:
        while True:
            for slot in self._order:
                entry = self._order[slot]
                break
            else:
                return None
            if self._take_out(entry, cause, gone):
                key, value, _cause = gone[-1]
                return [value, slot, key]

    def _trim(self, gone: Gone) -> None:
        while (self._size if self._weighs else len(self._strong)) > self._maxsize and self._let_off(gone, SIZE) is not None:
            pass

    def _let_off(self, gone: Gone, cause: RemovalCause) -> bool | None:
        """Hold the coldest entry that is held strongly only weakly, or remove it if that cannot be; the order is up to date.

        Return whether it left those held strongly; not so if something has changed it meanwhile. None: there is none.
        """
        for slot in self._strong:
            return self._let_off_entry(self._strong[slot], gone, cause)
        return None

    def _let_off_entry(self, entry: Entry, gone: Gone, cause: RemovalCause) -> bool:
        slot = entry[SLOT]
        value, reference = entry[VALUE], entry[REF]
        if not is_weakable(value):
            self._evictions += 1
            self._take_out(entry, cause, gone)
            return True
        gone.append((None, value, None))  # type: ignore[arg-type] # pyright: ignore - not to be told
        if reference is None or reference() is not value:
            reference = Reference(value, self._note)
            reference.slot = slot
        if entry[VALUE] is not value or slot not in self._strong:
            return False
        entry[REF] = reference
        entry[VALUE] = WEAK
        del self._strong[slot]
        self._size = self._size - entry[WEIGHT] if self._strong else 0
        if self._tab is not None:
            self._tab.recount(entry, counts=False)
        return True

    def _clear_tables(self, index: dict[K, Entry], order: OrderedDict[int, Entry], loading: dict[Any, list[int]]) -> None:
        strong: OrderedDict[int, Entry] = OrderedDict()
        due: OrderedDict[int, Entry] = OrderedDict()
        self._index = index
        self._order = order
        self._strong = strong
        self._due = due
        self._loading = loading
        self._size = 0
        self._due_last = None
        self._heap = []
        if self._tab is not None:
            self._tab.clear()

    # -- time ----------------------------------------------------------------------------------------------------------------------

    def _time(self) -> Any:
        return super()._time() if self._timed else None

    def _time_of(self, key: K, value: V) -> tuple[Any, Any]:
        if not self._timed:
            return None, None
        if self._step is None:
            return self._time(), None
        now, deadline = super()._time_of(key, value)
        return now, bounded(deadline)

    def _expire_now(self) -> None:
        if self._watched and self._timed:
            self.expire()
        elif self._pending or self._due or self._heap:
            now = self._clock._now() if self._due or self._heap else None
            gone: Gone = []
            try:
                with self._lock:
                    self._settle(now, gone)
            finally:
                self._tell(gone)

    def _settle(self, now: Any, gone: Gone) -> None:
        if self._log:
            self._replay()
        if self._pending:
            self._bury(gone)
        if now is not None and (self._due or self._heap):
            self._expire_due(now, gone)

    def _expire_due(self, now: Any, gone: Gone) -> None:
        while True:
            entry = self._next_due()
            if entry is None or now < entry[DEADLINE]:
                return
            self._expirations += self._take_out(entry, EXPIRED, gone)

    def _schedule(self, entry: Entry) -> None:
        if entry[DEADLINE] is not None:
            # Not super(), which is an object: the collector may run when one is made.
            TTLCore._schedule(self, entry)  # pyright: ignore[reportUnknownMemberType, reportArgumentType]

    # -- checks --------------------------------------------------------------------------------------------------------------------

    def _check(self) -> None:
        with self._lock:
            self._replay()
            order, strong = self._order, self._strong
            found = {id(entry) for entry in self._index.values()}
            assert len(found) == len(self._index)
            assert {id(entry) for entry in order.values() if entry[SLOT] not in self._orphans} == found
            assert all(entry[SLOT] == slot for slot, entry in order.items())
            assert [slot for slot, entry in order.items() if entry[VALUE] is not WEAK] == list(strong)
            assert all(order[slot] is entry for slot, entry in strong.items())
            assert all(entry[REF].slot == slot for slot, entry in order.items() if entry[REF] is not None)
            assert all(entry[REF] is not None for entry in order.values() if entry[VALUE] is WEAK)
            weight = sum(entry[WEIGHT] for entry in strong.values())
            assert not self._weighs or abs(self._size - weight) <= 1e-9 * max(1, weight), (self._size, weight)
            assert weight <= self._maxsize, (weight, self._maxsize)
            assert self._orphans <= set(order)
            assert self._tab is None or self._tab_is_whole(strong)
            assert all(order.get(slot) is entry for slot, entry in self._due.items())
            queued = {slot for deadline, slot in self._heap if (entry := order.get(slot)) and entry[DEADLINE] == deadline}
            assert all((slot in queued or slot in self._due) is (entry[DEADLINE] is not None) for slot, entry in order.items())
