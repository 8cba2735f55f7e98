"""The pure core's weak cache: up to `maxsize` it holds values itself, beyond that only weakly, and finds them while others hold them.

The operations, over the tables of `_mortal`. A hit on what is held strongly takes no lock, and none is taken where nothing is ever held
strongly; a hit that makes the cache hold a value again does, for it lets another one off.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Generic, overload

from safemem._compat import D, K, T, V
from safemem.core._account import BYTES, LENGTH
from safemem.core._mortal import COLLECTED, WEAK, MortalTables, Reference, bounded, is_ours_alone, is_weakable, object_of
from safemem.core._tables import DEADLINE, EXPIRED, EXPLICIT, KEY, LOG_LIMIT, REF, REPLACED, SLOT, VALUE, WEIGHT, Entry
from safemem.core._timed import is_never, life_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safemem.core._causes import RemovalCause
    from safemem.core._tables import Gone

__all__ = ["WeakCore"]


class WeakCore(MortalTables[K, V, T], Generic[K, V, T]):
    """An LRU mapping whose bound is for what it keeps alive: what others keep alive it has as well."""

    __slots__ = ()

    # -- counters ------------------------------------------------------------------------------------------------------------------

    def _counters(self) -> dict[str, Any]:
        if self._pending:
            self._read_mail()
        with self._lock:
            counters = super()._counters()
            return {**counters, "collections": self._collections, "strong": len(self._strong), "revived": self._revived}

    def _reset_counters(self) -> None:
        with self._lock:
            super()._reset_counters()
            self._revived = 0
            self._collections = 0

    def _strong_count(self) -> int:
        """Return how many entries are held strongly."""
        self._expire_now()
        return len(self._strong)

    # -- reading -------------------------------------------------------------------------------------------------------------------

    def __getitem__(self, key: K) -> V:
        if self._pending:
            self._read_mail()
        try:
            entry = self._index[key]
        except KeyError:
            return self._absent(key)
        value = entry[0]
        if entry[4] is None and (value is not WEAK or (self._bare and (value := entry[5]()) is not None)):
            for _ in self._quota:
                self._log.append(entry[1])
                return value  # type: ignore[no-any-return]
        value = self._use(entry)
        return self._absent(key) if value is WEAK else value

    @overload
    def get(self, key: K, default: None = None) -> V | None: ...
    @overload
    def get(self, key: K, default: V | D) -> V | D: ...
    def get(self, key: K, default: Any = None) -> Any:
        """Return the value of `key`, now the most recently used, or `default`; never calls `__missing__`."""
        if self._pending:
            self._read_mail()
        entry = self._index.get(key)
        if entry is not None:
            value = entry[0]
            if entry[4] is None and (value is not WEAK or (self._bare and (value := entry[5]()) is not None)):
                for _ in self._quota:
                    self._log.append(entry[1])
                    return value
            value = self._use(entry)
            if value is not WEAK:
                return value
        next(self._misses)
        return default

    def _use(self, entry: Entry) -> Any:
        """Return the value of an entry that was asked for, having counted the hit; WEAK if it has died or expired."""
        deadline = entry[DEADLINE]
        if deadline is not None and not self._clock._now() < deadline:
            return WEAK
        value = entry[VALUE]
        if value is WEAK:
            reference = entry[REF]
            value = reference()
            if value is None:
                return WEAK
            if not self._bare:
                self._revive(entry, reference, value)
                return value
        for _ in self._quota:
            self._log.append(entry[SLOT])
            return value
        self._log.append(entry[SLOT])
        self._drain()
        self._quota = iter(range(LOG_LIMIT))
        return value

    def _revive(self, entry: Entry, reference: Reference, value: Any) -> None:
        """Count a hit on an entry held weakly and hold it strongly again, unless its value is larger than the bound."""
        gone: Gone = []
        try:
            with self._lock:
                self._replay()
                self._hits += 1
                self._revived += 1
                slot = entry[SLOT]
                if slot in self._order:  # to the end of both, without a call between
                    del self._order[slot]
                    self._order[slot] = entry
                    if entry[VALUE] is WEAK and entry[REF] is reference and not entry[WEIGHT] > self._maxsize:
                        entry[VALUE] = value
                        self._strong[slot] = entry
                        self._size += entry[WEIGHT]
                        if self._tab is not None:
                            self._tab.recount(entry, counts=True)
                self._trim(gone)
        finally:
            self._tell(gone)
        if self._tab is not None:
            self._settle_account(self._tab)

    @overload
    def peek(self, key: K, default: None = None) -> V | None: ...
    @overload
    def peek(self, key: K, default: V | D) -> V | D: ...
    def peek(self, key: K, default: Any = None) -> Any:
        """Return the value of `key` or `default`, without a trace: no promotion, no statistics, no `__missing__`."""
        if self._pending:
            self._read_mail()
        entry = self._index.get(key)
        if entry is None or self._is_over(entry):
            return default
        value = object_of(entry)
        return default if value is WEAK else value

    def __contains__(self, key: object) -> bool:
        return self.peek(key, WEAK) is not WEAK  # type: ignore[arg-type] # pyright: ignore - any object may be asked about

    def _is_over(self, entry: Entry) -> bool:
        deadline = entry[DEADLINE]
        return deadline is not None and not self._clock._now() < deadline

    def ttl_of(self, key: K) -> Any:
        """Return what is left of an entry's life, in the timer's units (a timedelta for datetimes); math.inf if it never expires."""
        if self._pending:
            self._read_mail()
        entry = self._index.get(key)
        if entry is not None and object_of(entry) is not WEAK:
            deadline = entry[DEADLINE]
            if deadline is None:
                return life_until(None, None)
            now = self._clock._now()
            if now < deadline:
                return life_until(deadline, now)
        raise KeyError(key)

    def __iter__(self) -> Iterator[K]:
        return (key for key in self._keys(hottest_first=False) if key in self)

    def __reversed__(self) -> Iterator[K]:
        return (key for key in self._keys(hottest_first=True) if key in self)

    def _iterate_values(self, *, hottest_first: bool = False) -> Iterator[V]:
        for key in self._keys(hottest_first=hottest_first):
            found: list[Any] = [self.peek(key, WEAK)]
            if found[0] is not WEAK:
                yield found.pop()  # the walk must not keep it alive

    def _iterate_items(self, *, hottest_first: bool = False) -> Iterator[tuple[K, V]]:
        for key in self._keys(hottest_first=hottest_first):
            found: list[Any] = [self.peek(key, WEAK)]
            if found[0] is not WEAK:
                yield key, found.pop()

    def _keys(self, *, hottest_first: bool) -> Iterator[K]:
        if self._pending:
            self._read_mail()
        keys = [entry[KEY] for entry in self._snapshot()]
        return reversed(keys) if hottest_first else iter(keys)

    # -- storing -------------------------------------------------------------------------------------------------------------------

    def __setitem__(self, key: K, value: V) -> None:  # type: ignore[override] # pyright: ignore[reportIncompatibleMethodOverride]
        if not self._simple or (self._bare and not is_weakable(value)):
            now, deadline = self._time_of(key, value)
            self._set(key, value, now, deadline)
            return
        gone: Gone = []
        lock = self._lock
        try:  # `with` takes twice as long; the lock is taken inside of `try` so that no interrupt can leave it locked
            lock.acquire()
            if self._log:
                self._replay()
            if self._pending:
                self._bury(gone)
            simple = self._tab is None  # a budget may have come meanwhile
            if simple and not self._replace_strong(key, value, gone):
                self._place(key, value, 1, None, gone)
                if len(self._strong) > self._maxsize:
                    self._trim(gone)
        finally:
            try:
                lock.release()
            except RuntimeError:  # interrupted while it waited for the lock
                pass
            if gone and self._on_remove is not None:
                self._tell(gone)
        if not simple:
            self._set(key, value, *self._time_of(key, value))

    def _replace_strong(self, key: K, value: V, gone: Gone) -> bool:
        """Replace a value that is held strongly and never expires, with the lock held; return False if that is not how things are.

        `_place`, written out for the most frequent case: nothing changes but the value and the order of use.
        """
        index = self._index
        strong = self._strong
        if not strong or key not in index:
            return False
        try:
            entry = index[key]
        except KeyError:  # removed by what the comparison called
            return False
        slot = entry[1]
        if slot not in strong or entry[4] is not None or strong is not self._strong:
            return False
        order = self._order
        if slot not in order:
            return False
        old = entry[0]
        entry[0] = value
        del order[slot]  # to the end of both, without a call between
        order[slot] = entry
        del strong[slot]
        strong[slot] = entry
        if old is not value:
            gone.append((entry[2], old, REPLACED))
        return True

    def _set(self, key: K, value: V, now: Any, deadline: Any) -> None:
        weight = self._prepare(key, value)
        gone: Gone = []
        tab = self._tab
        measured = None if tab is None else tab.measure_entry(key, value)
        try:
            with self._lock:
                self._settle(now, gone)
                if deadline is None or now < deadline:  # a load under way has to keep its value if this one has died by then
                    self._enter(self._place(key, value, weight, deadline, gone), tab, measured)
                    self._trim(gone)
                else:
                    self._loading.pop(key, None)
                    self._take(key, gone, REPLACED)
        finally:
            self._tell(gone)
        if self._tab is not None:
            self._settle_account(tab)

    def _set_for(self, key: K, value: V, ttl: Any) -> None:
        self._timed = True
        self._simplify()
        now = self._time()
        self._set(key, value, now, bounded(self._after(now, ttl)))

    def _prepare(self, key: K, value: V) -> float:  # noqa: ARG002 - the base class's signature
        if self._strict and not is_weakable(value):
            msg = f"value must be weakly referenceable with unweakable='raise', got {type(value).__name__!r}"
            raise TypeError(msg)
        return self._weigh(value)

    def _refuse(self, value: V, weight: float) -> None:
        if not is_weakable(value):
            super()._refuse(value, weight)

    def _store_absent(self, key: K, value: Any, token: list[int] | None) -> Any:
        now, deadline = self._time_of(key, value)
        weight = self._prepare(key, value)
        gone: Gone = []
        tab = self._tab
        measured = None if tab is None else tab.measure_entry(key, value)
        try:
            with self._lock:
                self._settle(now, gone)
                found = WEAK
                entry = self._index.get(key)
                if entry is not None and (found := object_of(entry)) is WEAK:  # it has died this moment
                    self._take(key, gone, COLLECTED)
                wanted = found is WEAK and (token is None or self._loading.get(key) is token)
                if wanted and (deadline is None or now < deadline):
                    self._enter(self._place(key, value, weight, deadline, gone), tab, measured)
                    self._trim(gone)
        finally:
            self._tell(gone)
        if self._tab is not None:
            self._settle_account(tab)
        return value if found is WEAK else found

    # -- removing and bounds -------------------------------------------------------------------------------------------------------

    def _evict(self, limit: int, cause: RemovalCause) -> int:
        now = self._time()
        gone: Gone = []
        left = 0
        try:
            with self._lock:
                self._settle(now, gone)
                while left < limit and (done := self._let_off(gone, cause)) is not None:
                    left += done
        finally:
            self._tell(gone)
        return left

    def clear(self) -> None:
        """Remove everything, in time proportional to the number of entries."""
        tables: Any = ({}, OrderedDict(), {})
        gone: Gone = []
        with self._lock:
            self._settle(None, gone)
            old = (self._index, self._order, self._loading, self._strong, self._due)
            self._dropped += len(self._order)
            self._clear_tables(*tables)
            for entry in old[1].values():
                self._hand_over(entry, EXPLICIT, gone)
        self._tell(gone)

    def _resize(self, maxsize: float) -> None:
        now = self._time()
        gone: Gone = []
        try:
            with self._lock:
                self._replay()
                self._maxsize = maxsize
                self._bare = not self._weighs and maxsize < 1
                self._settle(now, gone)
                self._trim(gone)
        finally:
            self._tell(gone)

    @property
    def currsize(self) -> float:
        """The number of entries held strongly, or what they weigh."""
        self._expire_now()
        with self._lock:
            return self._size if self._weighs else len(self._strong)

    def expire(self, time: Any = None) -> list[tuple[K, V]]:
        """Remove what has expired, or will have by the timer's reading `time`; return the `(key, value)` pairs, the first to expire first."""
        now = None
        if self._timed:
            now = self._clock._now() if time is None else self._clock._own(time)
        gone: Gone = []
        try:
            with self._lock:
                self._settle(now, gone)
        finally:
            self._tell(gone)
        return [(key, value) for key, value, cause in gone if cause is EXPIRED]

    # -- what a memory budget is charged, see _accounted ------------------------------------------------------------------------------

    def _ends(self) -> list[int]:
        ends: list[int] = []
        for slot in self._strong:
            ends.append(slot)
            break
        for slot in reversed(self._strong):
            ends.append(slot)
            break
        return ends

    def _is_counted(self, entry: Entry) -> bool:
        return entry[VALUE] is not WEAK

    def _is_there(self, entry: Entry) -> bool:
        return object_of(entry) is not WEAK

    def _value_of(self, entry: Entry) -> Any:
        return object_of(entry)

    def _frees(self, entry: Entry) -> bool:
        return is_ours_alone(entry)

    def _part_with(self, entry: Entry, gone: Gone, cause: RemovalCause) -> bool:
        return self._let_off_entry(entry, gone, cause)

    def _compact(self) -> None:
        """Leave the tables as they are: two of them have to stay in step."""

    def _reclaimable(self) -> int:
        with self._lock:
            tab = self._tab
            if tab is None:
                return 0
            return sum(entry[BYTES] for entry in list(self._strong.values()) if len(entry) == LENGTH and is_ours_alone(entry))

    # -- copies --------------------------------------------------------------------------------------------------------------------

    def _export(self) -> list[tuple[K, V, float, Any]]:
        entries = self._snapshot()
        timed = self._timed  # asked when no more deadlines can come
        now = self._clock._now() if timed else None
        rows: list[Any] = []
        for entry in entries:
            value, deadline = object_of(entry), entry[DEADLINE]
            if value is not WEAK and (deadline is None or now < deadline):
                rows.append((entry[KEY], value, entry[WEIGHT], life_until(deadline, now) if timed else None))
        return rows

    def _import(self, rows: list[tuple[K, V, float, Any]]) -> None:
        """Store exported entries into this empty cache; nothing is weighed or told, those that are too many are held weakly."""
        self._timed = self._timed or any(not is_never(row[3]) for row in rows)
        self._simplify()
        now = self._clock._now() if self._timed else None
        gone: Gone = []
        with self._lock:
            for key, value, weight, life in rows:
                deadline = None if is_never(life) else self._after(now, life)
                self._schedule(self._place(key, value, weight, deadline, gone))
            self._trim(gone)
