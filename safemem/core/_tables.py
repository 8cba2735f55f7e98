"""The tables of the pure core, and the steps that change them: entries in order of use, whole at every moment that others can see.

The structure, and the three rules that keep it whole:

* `_index` maps a key to its entry, `_order` maps the entry's slot (a serial number, never used twice) to the same entry, coldest first.
  All state of an entry is in the entry, a list `[value, slot, key, weight, deadline]`: replacing a value touches no table at all. If it is
  charged to a memory budget, that follows: `[..., reference, bytes, since, uses, cost]`, see _account; the reference is a weak cache's.
  `_order` is an OrderedDict over integers of our own. Over the users' keys it would be unsafe: their `__eq__` could re-enter it.
* A hit takes no lock. It appends the slot to `_log`, and whoever holds the lock next replays the log; after so many hits that `_quota` is
  used up, a hit does. That is cheaper than taking the lock at every hit, and the order is exact whenever it is looked at.
* A write holds `_lock`, which is re-entrant: hashing and comparing keys may run users' code, and so may the garbage collector at almost
  any call. Whatever runs may use this very cache. Hence:
  1. an entry enters `_order` before `_index` and leaves `_index` before `_order`, so that every entry that can be found is also bounded;
     an entry in `_order` alone (a ghost) is dropped when its turn comes;
  2. steps that belong together are stores and deletions of items, without a call between them (the interpreter runs finalisers and
     signal handlers after calls), and after a call-out the tables are looked at again;
  3. nothing that was removed is let go, and nobody is told, before the lock is free.
"""

from __future__ import annotations

import os
from collections import OrderedDict, deque
from itertools import count
from types import GenericAlias
from typing import TYPE_CHECKING, Any, Final, Generic, Self

from safemem._compat import K, V
from safemem.core._account import BYTES, LENGTH
from safemem.core._causes import RemovalCause
from safemem.core._locks import new_lock

if TYPE_CHECKING:
    from collections.abc import Callable

    from cachetools import Cache as _Base  # the public classes are one; the core need not know how

    from safemem.core._account import Tab
else:
    _Base = Generic

__all__ = [
    "DEADLINE",
    "EXPIRED",
    "EXPLICIT",
    "KEY",
    "LOG_LIMIT",
    "REF",
    "REPLACED",
    "SIZE",
    "SLOT",
    "VALUE",
    "WEIGHT",
    "Entry",
    "Gone",
    "Tables",
]

VALUE: Final = 0
SLOT: Final = 1
KEY: Final = 2
WEIGHT: Final = 3
DEADLINE: Final = 4
REF: Final = 5

SIZE: Final = RemovalCause.SIZE
EXPIRED: Final = RemovalCause.EXPIRED
EXPLICIT: Final = RemovalCause.EXPLICIT
REPLACED: Final = RemovalCause.REPLACED

Entry = list[Any]
Gone = list[tuple[Any, Any, RemovalCause]]

# How many hits may wait for their replay: the most that a single operation has to catch up with.
LOG_LIMIT: Final = 256

# How often the index is made anew while keys' own code keeps changing the cache under us, before every entry is given up.
_REINDEX_TRIES: Final = 8


class Tables(_Base[K, V]):
    """Entries by key and in order of use, and what has been counted. Everything here but `_drain` and the counters is for who holds the lock."""

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
        "_quota",
        "_serial",
        "_simple",
        "_size",
        "_tab",
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
        self._quota = iter(range(LOG_LIMIT))  # a step for each hit that need not replay the log
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
        self._tab: Tab | None = None  # if a memory budget is charged for the entries, see _account
        self._reset_counters()
        self._simplify()

    def _simplify(self) -> None:
        # Whether storing needs no look at the value, nor at anything but the tables.
        self._simple = self._tab is None and not self._weighs and not self._hooked and self._maxsize >= 1 and not self._loading

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
        if self._tab is not None:
            self._tab.note(hits)
        moves = map(self._order.move_to_end, hits)
        while True:
            try:
                deque(moves, 0)  # makes them all, in C
            except KeyError:  # removed since: on with the next
                continue
            return

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
                if entry[SLOT] in self._order:
                    return self._replace(entry, value, weight, deadline, gone)
                self._banish(index, key)
                continue
            if order is not self._order:  # cleared by what hashing or comparing the key called
                continue
            self._serial = slot = self._serial + 1
            if self._tab is None:
                entry = [value, slot, key, weight, deadline]
            else:  # with room for what is charged
                entry = [value, slot, key, weight, deadline, None, 0, 0.0, 0, 0.0]
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

    def _banish(self, index: dict[K, Entry], key: K) -> None:
        """Take a ghost out of an index: of a cache that a comparison cleared, or one that a caller of ours is about to withdraw."""
        taken = index.pop(key, None)
        if taken is not None and taken[SLOT] in self._order:  # another one by now
            index.setdefault(taken[KEY], taken)

    def _take(self, key: Any, gone: Gone, cause: RemovalCause) -> Entry | None:
        """Remove and return the entry of a key, if there is one."""
        if not self._index:
            hash(key)  # dict.pop() does not look at the key if the dict is empty
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
        if self._tab is not None:
            self._tab.forgive(entry)

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

    # -- copies and checks --------------------------------------------------------------------------------------------------------

    def _snapshot(self) -> list[Entry]:
        """Return copies of all entries, coldest first, as they were at one moment."""
        with self._lock:
            self._replay()
            return [entry[:] for entry in list(self._order.values())]

    def _export(self) -> list[tuple[K, V, float, Any]]:
        """Return `(key, value, weight, remaining life or None)` of every live entry, coldest first."""
        return [(entry[KEY], entry[VALUE], entry[WEIGHT], None) for entry in self._snapshot()]

    def _import(self, rows: list[tuple[K, V, float, Any]]) -> None:
        """Store exported entries into this empty cache; nothing is weighed, evicted or told."""
        with self._lock:
            for key, value, weight, _life in rows:
                self._place(key, value, weight, None, [])

    def _tab_is_whole(self, counted: dict[int, Entry]) -> bool:
        tab = self._tab
        return tab is None or (
            all(len(entry) == LENGTH for entry in self._order.values())
            and tab.idle == set(self._order) - set(counted)
            and tab.total == sum(entry[BYTES] for entry in counted.values())
        )

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
            assert self._tab is None or self._tab_is_whole(self._order)
            assert all(token[0] > 0 for token in self._loading.values() if token[1] == os.getpid())
