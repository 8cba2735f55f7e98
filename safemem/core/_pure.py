"""The pure core: a bounded mapping in order of use, safe under threads and under code that calls back into it.

The structure, and the three rules that keep it whole:

* `_index` maps a key to its entry, `_order` maps the entry's slot (a serial number, never used twice) to the same entry, coldest first.
  All state of an entry is in the entry, a list `[value, slot, key, weight, deadline]`: replacing a value touches no table at all.
  `_order` is an OrderedDict over integers of our own. Over the users' keys it would be unsafe: their `__eq__` could re-enter it.
* A hit takes no lock. It appends the slot to `_log`, and whoever holds the lock next replays the log; a log that has grown long is replayed
  by the hit that finds it so. Replaying costs a third of relinking at every hit, and the order is exact whenever it is looked at.
* A write holds `_lock`, which is re-entrant: hashing and comparing keys may run users' code, and so may the garbage collector at almost
  any call. Whatever runs may use this very cache. Hence:
  1. an entry enters `_order` before `_index` and leaves `_index` before `_order`, so that every entry that can be found is also bounded;
     an entry in `_order` alone (a ghost) is dropped when its turn comes;
  2. steps that belong together are stores and deletions of items, without a call between them (the interpreter runs finalisers and
     signal handlers after calls), and after a call-out the tables are looked at again;
  3. nothing that was removed is let go, and nobody is told, before the lock is free.
"""

from __future__ import annotations

from _thread import get_ident
from collections import OrderedDict, deque
from itertools import count
from types import GenericAlias
from typing import TYPE_CHECKING, Any, Final, Generic, Self, overload

from safemem._compat import MISSING, D, K, V
from safemem.core._causes import RemovalCause
from safemem.core._locks import new_lock
from safemem.core._report import report_unraisable
from safemem.errors import ValueTooLargeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cachetools import Cache as _Base  # the public classes are one; the core need not know how
else:
    _Base = Generic

__all__ = ["LRUCore"]

VALUE: Final = 0
SLOT: Final = 1
KEY: Final = 2
WEIGHT: Final = 3
DEADLINE: Final = 4

SIZE: Final = RemovalCause.SIZE
EXPIRED: Final = RemovalCause.EXPIRED
EXPLICIT: Final = RemovalCause.EXPLICIT
REPLACED: Final = RemovalCause.REPLACED

Entry = list[Any]
Gone = list[tuple[Any, Any, RemovalCause]]

# How many hits may wait for their replay: the most that a single operation has to catch up with.
_LOG_LIMIT: Final = 256

# How often the index is made anew while keys' own code keeps changing the cache under us, before every entry is given up.
_REINDEX_TRIES: Final = 8


class LRUCore(_Base[K, V]):
    """A mapping bounded by count or weight that lets go of the least recently used entry first."""

    __slots__ = (
        "__weakref__",
        "_dropped",
        "_due",
        "_evictions",
        "_expirations",
        "_hits",
        "_hooked",
        "_index",
        "_load_failures",
        "_load_seconds",
        "_loading",
        "_loads",
        "_lock",
        "_log",
        "_making_room",
        "_maxsize",
        "_misses",
        "_misses_read",
        "_on_remove",
        "_order",
        "_orphans",
        "_serial",
        "_simple",
        "_size",
        "_telling",
        "_weighs",
    )

    if TYPE_CHECKING:  # what the public class brings

        def _make_room(self, key: K, weight: float) -> None: ...
        def _pop_hooked(self, key: K) -> Entry | None: ...
        def _popitem_hooked(self) -> tuple[K, V]: ...
    else:
        __class_getitem__ = classmethod(GenericAlias)  # any number of parameters: those of timers have a default for type checkers

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self:
        self = super().__new__(cls)
        self._configure(maxsize=0, weighs=False, on_remove=None, hooked=False)  # whole even if __init__ never runs
        return self

    def _configure(
        self,
        *,
        maxsize: float,
        weighs: bool,
        on_remove: Callable[[K, V, RemovalCause], object] | None,
        hooked: bool,
    ) -> None:
        """Make the cache empty and set what it is to do; arguments are valid already.

        `weighs`: entries weigh what `self.getsizeof(value)` says. `hooked`: a subclass wants to see evictions, see `_make_room`.
        """
        self._lock = new_lock()
        self._index: dict[K, Entry] = {}
        self._order: OrderedDict[int, Entry] = OrderedDict()
        self._log: list[int] = []
        self._due: OrderedDict[int, Entry] = OrderedDict()  # entries waiting for their deadline, in its order; see _timed
        self._size: float = 0  # what the entries weigh, kept only if they are weighed
        self._serial = 0  # how many entries ever came
        self._dropped = 0  # how many of them left, but for those that _insert evicted
        self._orphans: set[int] = set()  # slots of stored entries whose keys cannot be used any more, see _remove_lost
        self._maxsize = maxsize
        self._weighs = weighs
        self._hooked = hooked
        self._on_remove = on_remove
        self._making_room: set[int] = set()  # threads inside of _make_room
        self._telling: dict[int, deque[tuple[Any, Any, RemovalCause]]] = {}
        self._loading: dict[Any, list[int]] = {}
        self._reset_counters()
        self._simplify()

    def _simplify(self) -> None:
        # Whether storing needs no look at the value, nor at anything but the tables.
        self._simple = not self._weighs and not self._hooked and self._maxsize >= 1 and not self._loading

    # -- reading ------------------------------------------------------------------------------------------------------------------

    def __getitem__(self, key: K) -> V:
        try:
            entry = self._index[key]
        except KeyError:
            pass
        else:
            log = self._log
            log.append(entry[1])
            if len(log) > 256:
                self._drain()
            return entry[0]  # type: ignore[no-any-return]
        return self._absent(key)

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
        log = self._log
        log.append(entry[1])
        if len(log) > 256:
            self._drain()
        return entry[0]

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

    def _snapshot(self) -> list[Entry]:
        with self._lock:
            self._replay()
            return list(self._order.values())

    # -- writing ------------------------------------------------------------------------------------------------------------------

    def __setitem__(self, key: K, value: V, now: Any = None, deadline: Any = None) -> None:
        # `_set`, written out for the most frequent case: entries are only counted, nothing is due, nothing is being loaded.
        if not self._simple or (deadline is not None and self._is_due(now, deadline)):
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
            if key in index:
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
                        if cold in self._due:
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
        weight = self._prepare(key, value)
        gone: Gone = []
        with self._lock:
            self._settle(now, gone)
            if self._loading:
                self._loading.pop(key, None)
            if deadline is None or now < deadline:
                self._schedule(self._place(key, value, weight, deadline, gone))
                self._trim(gone)
            else:  # dead on arrival: what it would have replaced goes, and nothing comes
                self._take(key, gone, REPLACED)
        self._tell(gone)

    @overload
    def setdefault(self: LRUCore[K, D | None], key: K, default: None = None) -> D | None: ...
    @overload
    def setdefault(self, key: K, default: V) -> V: ...
    def setdefault(self, key: K, default: Any = None) -> Any:
        """Return the value of `key`, or store `default` and return that; one atomic step."""
        entry = self._index.get(key)
        if entry is not None:
            self._log.append(entry[SLOT])
            return entry[VALUE]
        next(self._misses)
        return self._store_absent(key, default, None)

    def _store_absent(self, key: K, value: Any, token: list[int] | None) -> Any:
        """Store `value` unless the key is there, and return what is there; `token`: of `_begin_load`, if it is a load."""
        now, deadline = self._time_of(key, value)
        weight = self._prepare(key, value)
        gone: Gone = []
        with self._lock:
            self._settle(now, gone)
            entry = self._index.get(key)
            wanted = entry is None and (token is None or self._loading.get(key) is token)
            if token is None:
                self._loading.pop(key, None)
            if wanted and (deadline is None or now < deadline):
                self._schedule(self._place(key, value, weight, deadline, gone))
                self._trim(gone)
        self._tell(gone)
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
        Several loads of one key share a token, a list of how many they are.
        """
        with self._lock:
            token = self._loading.setdefault(key, [0])
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

    # -- counters -----------------------------------------------------------------------------------------------------------------

    def _counters(self) -> dict[str, Any]:
        """Return what has been counted, under the names of `CacheStats`."""
        with self._lock:
            self._replay()
            misses = next(self._misses) - self._misses_read
            self._misses_read += 1
            return {
                "hits": self._hits,
                "misses": misses,
                "loads": self._loads,
                "load_failures": self._load_failures,
                "load_seconds": self._load_seconds,
                "evictions": self._evictions + self._count_removed() - self._dropped,
                "expirations": self._expirations,
                "collections": 0,
            }

    def _reset_counters(self) -> None:
        with self._lock:
            self._replay()
            self._hits = 0
            self._misses = count()  # counts by being advanced, which is atomic where adding one to an attribute is not
            self._misses_read = 0
            self._loads = 0
            self._load_failures = 0
            self._load_seconds = 0.0
            self._evictions = self._dropped - self._count_removed()
            self._expirations = 0

    def _count_load(self, seconds: float, *, failed: bool) -> None:
        with self._lock:
            self._load_seconds += seconds
            if failed:
                self._load_failures += 1
            else:
                self._loads += 1

    def _count_removed(self) -> int:
        """Return how many entries ever left."""
        return self._serial - len(self._order)

    # -- inside, with the lock held -----------------------------------------------------------------------------------------------

    def _drain(self) -> None:
        """Bring the order up to date with the hits; takes the lock."""
        with self._lock:
            self._replay()

    def _replay(self) -> None:
        log = self._log
        hits = log[:]
        if not hits:
            return
        number = len(hits)
        del log[:number]
        self._hits += number
        move = self._order.move_to_end
        for slot in hits:
            try:
                move(slot)
            except KeyError:  # removed since
                pass

    def _place(self, key: K, value: V, weight: float, deadline: Any, gone: Gone) -> Entry:
        """Store a value as the most recently used one."""
        while True:
            index = self._index
            order = self._order
            if key in index:
                try:
                    entry = index[key]
                except KeyError:  # removed by what the comparison called
                    continue
                if entry[SLOT] in self._order:  # not so if the comparison cleared the cache
                    return self._replace(entry, value, weight, deadline, gone)
                continue
            self._serial = slot = self._serial + 1
            entry = [value, slot, key, weight, deadline]
            order[slot] = entry
            self._size += weight
            try:
                known = index.setdefault(key, entry)
            except BaseException:
                self._drop(entry)
                raise
            if known is entry and slot in self._order:
                return entry
            self._withdraw(entry)

    def _replace(self, entry: Entry, value: V, weight: float, deadline: Any, gone: Gone) -> Entry:
        # The value first: a reader that sees the new deadline must not hand out the old value.
        old = entry[VALUE]
        entry[VALUE] = value
        self._size += weight - entry[WEIGHT]
        entry[WEIGHT] = weight
        entry[DEADLINE] = deadline
        if old is not value:
            gone.append((entry[KEY], old, REPLACED))
        if entry[SLOT] in self._order:
            self._order.move_to_end(entry[SLOT])
        return entry

    def _withdraw(self, entry: Entry) -> None:
        """Take back an entry in whose storing something else changed the cache."""
        if self._index.get(entry[KEY]) is entry:
            self._index.pop(entry[KEY], None)
        self._drop(entry)

    def _take(self, key: Any, gone: Gone, cause: RemovalCause) -> Entry | None:
        """Remove and return the entry of a key, if there is one."""
        taken = self._index.pop(key, None)
        if taken is None or taken[SLOT] not in self._order:  # the latter if the comparison cleared the cache
            return None
        self._drop(taken)
        gone.append((taken[KEY], taken[VALUE], cause))
        return taken

    def _drop(self, entry: Entry) -> None:
        """Take an entry that the index has no more out of the order."""
        slot = entry[SLOT]
        if slot in self._order:
            del self._order[slot]
            self._dropped += 1
            self._size -= entry[WEIGHT]
            if not self._order:
                self._size = 0  # starting from nothing again forgives what adding and subtracting floats has lost
        if slot in self._due:
            del self._due[slot]

    def _trim(self, gone: Gone) -> None:
        """Evict until the bound holds."""
        while (self._size if self._weighs else len(self._order)) > self._maxsize and self._evict_one(gone, SIZE):
            self._evictions += 1

    def _evict_one(self, gone: Gone, cause: RemovalCause) -> Entry | None:
        """Remove the coldest entry; the order is up to date. None: there is none."""
        while True:
            for slot in self._order:
                entry = self._remove(self._order[slot])
                break
            else:
                return None
            if entry is not None:
                gone.append((entry[KEY], entry[VALUE], cause))
                return entry

    def _remove(self, entry: Entry) -> Entry | None:
        """Remove an entry found in the order; return the one that went, None if it was a ghost."""
        try:
            taken = self._index.pop(entry[KEY], None)
        except Exception:  # noqa: BLE001 - as in _insert
            taken = None
        return self._remove_odd(entry, taken)

    def _remove_odd(self, entry: Entry, taken: Entry | None) -> Entry | None:
        """Finish removing `entry`, whose key found `taken` in the index.

        That is another entry if keys have changed so that one is now equal to the other: then that one goes in its place.
        """
        if taken is None:
            return self._remove_lost(entry)
        if taken[SLOT] not in self._order:  # the comparison cleared the cache
            return None
        self._drop(taken)
        return taken

    def _remove_lost(self, lost: Entry) -> Entry | None:
        """Remove an entry that its own key does not find: the key's hash or equality has changed, or the entry is a ghost.

        A dict cannot let go of a key whose hash has changed, so the index is made anew. That takes time in proportion to the number of
        entries, in a program that breaks the first rule of dict keys. Entries whose keys fail altogether become orphans: nobody can
        ask for them any more, and they leave when their turn comes.
        """
        orphan = lost[SLOT] in self._orphans
        indexed = any(entry is lost for entry in list(self._index.values()))
        self._orphans.discard(lost[SLOT])
        self._drop(lost)
        if not indexed:
            return lost if orphan else None
        for _ in range(_REINDEX_TRIES):
            serial, number = self._serial, len(self._order)
            index: dict[Any, Entry] = {}
            orphans: set[int] = set()
            for entry in list(self._order.values()):
                try:
                    kept = index.setdefault(entry[KEY], entry)
                except Exception:  # noqa: BLE001 - as in _insert
                    kept = None
                if kept is not entry:
                    orphans.add(entry[SLOT])
            if self._serial == serial and len(self._order) == number:  # no key's code has changed the cache under us
                break
        else:
            index, orphans = {}, set(self._order)
        self._index = index
        self._orphans = orphans
        return lost

    # -- what caches with a sense of time do more ---------------------------------------------------------------------------------

    def _time(self) -> Any:
        """Return the time now; calls out."""
        return None

    def _time_of(self, _key: K, _value: V) -> tuple[Any, Any]:
        """Return the time now and when this value is to expire (None: no cache with a sense of time); calls out."""
        return None, None

    def _settle(self, _now: Any, _gone: Gone) -> None:
        """Do what every write does first, with the lock held: bring the order up to date, remove what has expired."""
        self._replay()

    def _is_due(self, _now: Any, _deadline: Any) -> bool:
        """Return whether something has expired, or this deadline is no later than now."""
        return False

    def _schedule(self, entry: Entry) -> None:
        """Remember when a stored entry expires, with the lock held."""

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
            msg = f"value too large: its size must be <= maxsize ({self._maxsize!r}), got {weight!r}"
            raise ValueTooLargeError(msg)
        return weight

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

    # -- copies and checks --------------------------------------------------------------------------------------------------------

    def _export(self) -> list[tuple[K, V, float, Any]]:
        """Return `(key, value, weight, remaining life or None)` of every live entry, coldest first."""
        return [(entry[KEY], entry[VALUE], entry[WEIGHT], None) for entry in self._snapshot()]

    def _import(self, rows: list[tuple[K, V, float, Any]]) -> None:
        """Store exported entries into this empty cache; nothing is weighed, evicted or told."""
        with self._lock:
            for key, value, weight, _life in rows:
                self._place(key, value, weight, None, [])

    def _check(self) -> None:
        """Raise AssertionError if the inner structure is out of step; for tests."""
        with self._lock:
            self._replay()
            entries = list(self._order.values())
            found = {id(entry) for entry in self._index.values()}
            assert len(found) == len(self._index)
            assert {id(entry) for entry in entries if entry[SLOT] not in self._orphans} == found
            assert all(self._order[entry[SLOT]] is entry for entry in entries)
            weight = sum(entry[WEIGHT] for entry in entries)
            assert abs((self._size if self._weighs else len(entries)) - weight) <= 1e-9 * max(1, weight), (self._size, weight)
            assert self.maxsize >= (self._size if self._weighs else len(entries)), (self._size, len(entries), self._maxsize)
            assert self._orphans <= set(self._order)
            assert all(token[0] > 0 for token in self._loading.values())
