"""The pure core: a mapping bounded by count or weight that lets go of the least recently used entry first.

The operations of a cache, over the tables of `_tables`, where the rules are that keep them whole under threads, and under users' code that calls
back into the cache. An operation calls out first (timer, weights), then changes the tables with the lock held, then lets go and tells.
"""

from __future__ import annotations

import os
from _thread import get_ident
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Any, overload

from safemem._compat import MISSING, D, K, V
from safemem.core._accounted import Accounted
from safemem.core._report import report_unraisable
from safemem.core._tables import EXPLICIT, KEY, LOG_LIMIT, REPLACED, SIZE, SLOT, VALUE, WEIGHT, Entry, Gone
from safemem.errors import ValueTooLargeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safemem.core._account import Tab
    from safemem.core._causes import RemovalCause

__all__ = ["LRUCore"]


class LRUCore(Accounted[K, V]):
    """A mapping bounded by count or weight that lets go of the least recently used entry first."""

    __slots__ = ()

    # -- reading ------------------------------------------------------------------------------------------------------------------

    def __getitem__(self, key: K) -> V:
        try:
            entry = self._index[key]
        except KeyError:
            pass
        else:
            for _ in self._quota:  # cheaper than to look how long the log has become
                self._log.append(entry[1])
                return entry[0]  # type: ignore[no-any-return]
            return self._hit(entry)  # type: ignore[no-any-return]
        return self._absent(key)

    def _hit(self, entry: Entry) -> Any:
        """Take note of a hit, replay the log and allow as many hits again without."""
        self._log.append(entry[SLOT])
        self._drain()
        self._quota = iter(range(LOG_LIMIT))
        return entry[VALUE]

    def _absent(self, key: K) -> V:
        # A KeyError may also come out of a key's own __eq__; get() lets that one through, and finds what another thread stored since.
        value = self.get(key, MISSING)
        return self.__missing__(key) if value is MISSING else value

    def __missing__(self, key: K) -> V:
        raise KeyError(key)

    @overload
    def get(self, key: K, default: None = None) -> V | None: ...
    @overload
    def get(self, key: K, default: V | D) -> V | D: ...
    def get(self, key: K, default: Any = None) -> Any:
        """Return the value of `key`, now the most recently used, or `default`; never calls `__missing__`."""
        entry = self._index.get(key)
        if entry is None:
            next(self._misses)
            return default
        for _ in self._quota:
            self._log.append(entry[1])
            return entry[0]
        return self._hit(entry)

    @overload
    def peek(self, key: K, default: None = None) -> V | None: ...
    @overload
    def peek(self, key: K, default: V | D) -> V | D: ...
    def peek(self, key: K, default: Any = None) -> Any:
        """Return the value of `key` or `default`, without a trace: no promotion, no statistics, no `__missing__`."""
        entry = self._index.get(key)
        return default if entry is None else entry[VALUE]

    def __contains__(self, key: object) -> bool:
        return key in self._index

    def __len__(self) -> int:
        with self._lock:  # in the middle of a store there is one too many
            return len(self._index)

    def __iter__(self) -> Iterator[K]:
        return (entry[KEY] for entry in self._walk())

    def __reversed__(self) -> Iterator[K]:
        return (entry[KEY] for entry in self._walk(hottest_first=True))

    def _iterate_values(self, *, hottest_first: bool = False) -> Iterator[V]:
        return (entry[VALUE] for entry in self._walk(hottest_first=hottest_first))

    def _iterate_items(self, *, hottest_first: bool = False) -> Iterator[tuple[K, V]]:
        return ((entry[KEY], entry[VALUE]) for entry in self._walk(hottest_first=hottest_first))

    def _walk(self, *, hottest_first: bool = False) -> Iterator[Entry]:
        """Walk the live entries of the keys of this moment; what is gone when its turn comes is passed over."""
        keys = [entry[KEY] for entry in self._snapshot()]  # only the keys: a walk must not keep values alive
        return self._look_up_all(reversed(keys) if hottest_first else iter(keys))

    def _look_up_all(self, keys: Iterator[K]) -> Iterator[Entry]:
        for key in keys:
            entry = self._index.get(key)
            if entry is not None:
                yield entry

    # -- writing ------------------------------------------------------------------------------------------------------------------

    def __setitem__(self, key: K, value: V, now: Any = None, deadline: Any = None) -> None:
        # `_set`, written out for the most frequent case: entries are only counted, nothing is due, nothing is being loaded.
        if not self._simple:
            self._set(key, value, now, deadline)
            return
        entry = replaced = victim = None
        lock = self._lock
        try:  # `with` takes twice as long; the lock is taken inside of `try` so that no interrupt can leave it locked
            lock.acquire()
            if self._log:
                self._replay()
            index = self._index
            order = self._order
            if self._tab is not None or (deadline is not None and self._is_due(now, deadline)):
                pass  # another case
            elif key in index:
                try:
                    entry = index[key]
                except KeyError:  # removed by what the comparison called: another case
                    pass
                else:
                    if entry[1] in self._order:
                        replaced = (entry[0],)
                        entry[0] = value
                        entry[4] = deadline
                        order.move_to_end(entry[1])
                    else:  # cleared by what the comparison called
                        entry = None
            else:
                self._serial = slot = self._serial + 1
                order[slot] = entry = [value, slot, key, 1, deadline]
                try:
                    known = index.setdefault(key, entry)
                except BaseException:
                    self._drop(entry)
                    raise
                if known is not entry or slot not in self._order:
                    self._withdraw(entry)
                    entry = None
                elif len(order) > self._maxsize:
                    cold = 0
                    for cold in order:  # noqa: B007 - the first only
                        break
                    victim = order[cold]
                    try:
                        taken = index.pop(victim[2], None)
                    except Exception:  # noqa: BLE001 - the key's own code fails: the caller did not ask about this key
                        taken = None
                    if taken is victim and cold in order:
                        del order[cold]
                        if deadline is not None and cold in self._due:
                            del self._due[cold]
                    else:
                        victim = self._remove_odd(victim, taken)
                        self._evictions += victim is not None
            if deadline is not None and entry is not None:
                self._schedule(entry)
        finally:
            try:
                lock.release()
            except RuntimeError:  # interrupted while it waited for the lock
                pass
        if entry is None:
            self._set(key, value, now, deadline)
        elif self._on_remove is not None:
            if victim is not None:
                self._tell([(victim[2], victim[0], SIZE)])
            elif replaced is not None and replaced[0] is not value:
                self._tell([(entry[2], replaced[0], REPLACED)])

    def _set(self, key: K, value: V, now: Any, deadline: Any) -> None:
        """Store a value; `deadline` None: without one."""
        tab = self._tab
        if tab is not None and self._set_charged(tab, key, value, now, deadline):
            return
        weight = self._prepare(key, value)
        gone: Gone = []
        measured = None if tab is None else tab.measure_entry(key, value)
        with self._lock:
            self._settle(now, gone)
            if self._loading:
                self._loading.pop(key, None)
            if deadline is None or now < deadline:
                self._enter(self._place(key, value, weight, deadline, gone), tab, measured)
                self._trim(gone)
            else:  # dead on arrival: what it would have replaced goes, and nothing comes
                self._take(key, gone, REPLACED)
        self._tell(gone)
        if self._tab is not None:
            self._settle_account(tab)

    @overload
    def setdefault(self: LRUCore[K, D | None], key: K, default: None = None) -> D | None: ...
    @overload
    def setdefault(self, key: K, default: V) -> V: ...
    def setdefault(self, key: K, default: Any = None) -> Any:
        """Return the value of `key`, or store `default` and return that; one atomic step."""
        value: Any = self.get(key, MISSING)
        return self._store_absent(key, default, None) if value is MISSING else value

    def _store_absent(self, key: K, value: Any, token: list[int] | None) -> Any:
        """Store `value` unless the key is there, and return what is there; `token`: of `_begin_load`, if it is a load."""
        now, deadline = self._time_of(key, value)
        weight = self._prepare(key, value)
        gone: Gone = []
        tab = self._tab
        measured = None if tab is None else tab.measure_entry(key, value)
        with self._lock:
            self._settle(now, gone)
            entry = self._index.get(key)
            wanted = entry is None and (token is None or self._loading.get(key) is token)
            if token is None:
                self._loading.pop(key, None)
            if wanted and (deadline is None or now < deadline):
                self._enter(self._place(key, value, weight, deadline, gone), tab, measured)
                self._trim(gone)
        self._tell(gone)
        if self._tab is not None:
            self._settle_account(tab)
        return value if entry is None else entry[VALUE]

    def __delitem__(self, key: K) -> None:
        if self._pop(key, SIZE if get_ident() in self._making_room else EXPLICIT) is None:
            raise KeyError(key)

    @overload
    def pop(self, key: K) -> V: ...
    @overload
    def pop(self, key: K, default: V | D) -> V | D: ...
    def pop(self, key: K, default: Any = MISSING) -> Any:
        """Remove `key` and return its value, else `default` if given, else raise KeyError; one atomic step, no `__missing__`."""
        taken = self._pop_hooked(key) if self._hooked else self._pop(key, EXPLICIT)
        if taken is not None:
            return taken[VALUE]
        if default is MISSING:
            raise KeyError(key)
        return default

    def _pop(self, key: Any, cause: RemovalCause) -> Entry | None:
        now = self._time()
        gone: Gone = []
        with self._lock:
            self._settle(now, gone)
            if self._loading:
                self._loading.pop(key, None)
            taken = self._take(key, gone, cause)
            self._evictions += taken is not None and cause is SIZE
        self._tell(gone)
        return taken

    def popitem(self) -> tuple[K, V]:
        """Remove and return the `(key, value)` pair least recently used; KeyError if there is none."""
        return self._popitem_hooked() if self._hooked else self._pop_coldest(EXPLICIT)

    def _pop_coldest(self, cause: RemovalCause) -> tuple[K, V]:
        now = self._time()
        gone: Gone = []
        with self._lock:
            self._settle(now, gone)
            entry = self._evict_one(gone, cause)
            self._evictions += entry is not None and cause is SIZE
            if entry is not None and self._loading:
                self._loading.pop(entry[KEY], None)
        self._tell(gone)
        if entry is None:
            msg = f"{type(self).__name__} is empty"
            raise KeyError(msg) from None
        return entry[KEY], entry[VALUE]

    def clear(self) -> None:
        """Remove everything, in constant time but for telling `on_remove` and freeing what nobody else holds."""
        index: dict[K, Entry] = {}
        order: OrderedDict[int, Entry] = OrderedDict()
        loading: dict[Any, list[int]] = {}
        with self._lock:
            self._replay()
            old = (self._index, self._order, self._loading)
            self._dropped += len(self._order)
            self._clear_tables(index, order, loading)
            self._simplify()
        if self._on_remove is not None:
            self._tell([(entry[KEY], entry[VALUE], EXPLICIT) for entry in old[1].values()])

    def _clear_tables(self, index: dict[K, Entry], order: OrderedDict[int, Entry], loading: dict[Any, list[int]]) -> None:
        self._index = index
        self._order = order
        self._loading = loading
        self._size = 0
        if self._tab is not None:
            self._tab.clear()

    def _enter(self, entry: Entry, tab: Tab | None, measured: tuple[int, float] | None) -> None:
        """Do what is to be done for an entry that was stored, with the lock held; `measured` was by `tab`."""
        self._schedule(entry)
        if self._tab is not None:
            self._charge(entry, measured if self._tab is tab else None)

    # -- bounds -------------------------------------------------------------------------------------------------------------------

    @property
    def maxsize(self) -> float:
        """The bound: how many entries, or what weight in all; change it with `resize()`."""
        return self._maxsize

    @property
    def currsize(self) -> float:
        """The number of entries, or what they weigh."""
        with self._lock:
            return self._size if self._weighs else len(self._order)

    def _lacks_room(self, key: K, weight: float) -> bool:
        """Whether storing a value of this weight would break the bound."""
        with self._lock:
            entry = self._index.get(key)
            replaced = 0 if entry is None else entry[WEIGHT]
            return self.currsize + weight - replaced > self._maxsize

    def _resize(self, maxsize: float) -> None:
        now = self._time()
        gone: Gone = []
        with self._lock:
            self._maxsize = maxsize
            self._simplify()
            self._settle(now, gone)
            self._trim(gone)
        self._tell(gone)

    def _evict(self, limit: int, cause: RemovalCause) -> int:
        """Let go of up to `limit` entries, coldest first; return how many went."""
        now = self._time()
        gone: Gone = []
        with self._lock:
            self._settle(now, gone)
            before = len(gone)
            while len(gone) - before < limit and self._evict_one(gone, cause) is not None:
                pass
            evicted = len(gone) - before
            self._evictions += evicted
        self._tell(gone)
        return evicted

    # -- loading a missing value --------------------------------------------------------------------------------------------------

    def _begin_load(self, key: K) -> list[int]:
        """Say that a value for `key` is being made; the token goes to `_finish_load` or `_abort_load`.

        Until then every store, deletion or clearing of the key takes the token out of `_loading`: the value then comes too late.
        Several loads of one key share a token, a list of how many they are and in which process.
        """
        process = os.getpid()
        with self._lock:
            for other in [other for other, token in self._loading.items() if token[1] != process]:
                self._loading.pop(other, None)  # begun by a thread that a fork has left behind
            token = self._loading.setdefault(key, [0, process])
            token[0] += 1
            self._simple = False  # every store has to look at _loading now
            return token

    def _abort_load(self, key: K, token: list[int]) -> None:
        with self._lock:
            token[0] -= 1
            if not token[0] and self._loading.get(key) is token:
                self._loading.pop(key, None)
            self._simplify()

    def _finish_load(self, key: K, value: V, token: list[int]) -> V:
        """Store `value` if nothing was said about the key meanwhile, and return what the cache holds now, else `value`."""
        try:
            return self._store_absent(key, value, token)  # type: ignore[no-any-return]
        finally:
            self._abort_load(key, token)

    # -- calling out, with no lock held -------------------------------------------------------------------------------------------

    def _prepare(self, key: K, value: V) -> float:
        """Weigh a value and, for a subclass that wants to see evictions, make room for it."""
        if self._simple:
            return 1
        weight = self._weigh(value)
        if self._hooked:
            self._make_room(key, weight)
        return weight

    def _weigh(self, value: V) -> float:
        weight = self.getsizeof(value) if self._weighs else 1
        try:
            valid = 0 <= weight < float("inf")
        except TypeError:
            msg = f"getsizeof must return a number, got {weight!r}"
            raise TypeError(msg) from None
        if not valid:
            msg = f"getsizeof must return a finite number >= 0, got {weight!r}"
            raise ValueError(msg)
        if weight > self._maxsize:
            self._refuse(value, weight)
        return weight

    def _refuse(self, _value: V, weight: float) -> None:
        msg = f"value too large: its size must be <= maxsize ({self._maxsize!r}), got {weight!r}"
        raise ValueTooLargeError(msg)

    def _tell(self, gone: Gone) -> None:
        """Tell `on_remove` of removals, in their order, those made by a callback's own calls included; the lock is not held."""
        if not gone or self._on_remove is None:
            return
        thread = get_ident()
        queue = self._telling.get(thread)
        if queue is not None:  # called from within a callback: what the outer call still has to tell comes first
            queue.extend(gone)
            self._tell_all(queue)
            return
        self._telling[thread] = queue = deque(gone)
        try:
            self._tell_all(queue)
        finally:
            self._telling.pop(thread, None)

    def _tell_all(self, queue: deque[tuple[Any, Any, RemovalCause]]) -> None:
        on_remove = self._on_remove
        while queue and on_remove is not None:
            try:
                on_remove(*queue.popleft())
            except Exception as exc:  # noqa: BLE001 - it belongs to the callback, not to the innocent caller
                report_unraisable(exc)
            except BaseException:  # an interrupt does belong to the caller, but everybody is told first
                self._tell_all(queue)
                raise
