"""The pure core's caches with a sense of time: entries that expire, all after the same time or each at its own.

Every entry carries its deadline, in the cache's own time (see `_clock`), and reading compares it: what has expired is never found, whatever
state the queues are in. The queues only say what to remove. Deadlines that come in order, as those of a common time-to-live do, wait in
`_due`, an ordered table from which an entry is taken in constant time. Others wait in `_heap`, where an entry that has gone since, or
has got another deadline, stays until its record comes up or the heap is tidied.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from heapq import heapify, heappop, heappush
from itertools import pairwise
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Generic

from safemem._compat import K, T, V
from safemem.core._clock import Clock
from safemem.core._pure import LRUCore
from safemem.core._tables import DEADLINE, EXPIRED, KEY, VALUE, WEIGHT, Entry, Gone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from safemem.core._causes import RemovalCause

__all__ = ["TLRUCore", "TTLCore", "is_never", "life_until"]


class _Never:
    """A deadline later than any time, for timers whose readings cannot be compared with `math.inf`."""

    def __gt__(self, other: object) -> bool:
        return True


_NEVER: Final = _Never()
_INFINITY: Final = math.inf

# LRUCore's method, which takes the time now and the deadline too.
_store: Final[Callable[..., None]] = LRUCore.__setitem__  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


class TTLCore(LRUCore[K, V], Generic[K, V, T]):
    """An LRU mapping whose entries expire some time after they were stored."""

    __slots__ = ("_clock", "_due_last", "_heap", "_step", "_watched")

    def _configure(
        self,
        *,
        maxsize: float,
        weighs: bool,
        on_remove: Callable[[K, V, RemovalCause], object] | None,
        hooked: bool,
        clock: Clock[T] | None = None,
        step: Any = _INFINITY,
        watched: bool = False,
    ) -> None:
        """See LRUCore; `step`: what added to a time gives the deadline. `watched`: a subclass wants `self.expire()` called."""
        super()._configure(maxsize=maxsize, weighs=weighs, on_remove=on_remove, hooked=hooked)
        self._clock: Clock[Any] = Clock(monotonic) if clock is None else clock
        self._step = step
        self._watched = watched
        self._due_last: Any = None
        self._heap: list[tuple[Any, int]] = []

    # -- reading ------------------------------------------------------------------------------------------------------------------

    def __getitem__(self, key: K) -> V:
        try:
            entry = self._index[key]
        except KeyError:
            pass
        else:
            if self._clock._now() < entry[4]:
                for _ in self._quota:
                    self._log.append(entry[1])
                    return entry[0]  # type: ignore[no-any-return]
                return self._hit(entry)  # type: ignore[no-any-return]
        return self._absent(key)

    def get(self, key: K, default: Any = None) -> Any:
        """Return the value of `key`, now the most recently used, or `default`; never calls `__missing__`."""
        entry = self._index.get(key)
        if entry is None or not self._clock._now() < entry[4]:
            next(self._misses)
            return default
        for _ in self._quota:
            self._log.append(entry[1])
            return entry[0]
        return self._hit(entry)

    def peek(self, key: K, default: Any = None) -> Any:
        """Return the value of `key` or `default`, without a trace: no promotion, no statistics, no `__missing__`."""
        entry = self._index.get(key)
        return default if entry is None or not self._clock._now() < entry[DEADLINE] else entry[VALUE]

    def __contains__(self, key: object) -> bool:
        entry = self._index.get(key)  # type: ignore[arg-type] # pyright: ignore - any object may be asked about
        return entry is not None and self._clock._now() < entry[DEADLINE]

    def __len__(self) -> int:
        self._expire_now()
        return super().__len__()

    @property
    def currsize(self) -> float:
        """The number of entries that have not expired, or what they weigh."""
        self._expire_now()
        return super().currsize

    def _look_up_all(self, keys: Iterator[K]) -> Iterator[Entry]:
        for key in keys:
            entry = self._index.get(key)
            if entry is not None and self._clock._now() < entry[DEADLINE]:
                yield entry

    def ttl_of(self, key: K) -> Any:
        """Return what is left of an entry's life, in the timer's units (a timedelta for datetimes); math.inf if it never expires."""
        entry = self._index.get(key)
        now = self._clock._now()
        if entry is None or not now < entry[DEADLINE]:
            raise KeyError(key)
        return life_until(entry[DEADLINE], now)

    # -- writing ------------------------------------------------------------------------------------------------------------------

    def __setitem__(self, key: K, value: V) -> None:  # type: ignore[override] # pyright: ignore[reportIncompatibleMethodOverride]
        now, deadline = self._time_of(key, value)
        _store(self, key, value, now, deadline)

    def _set_for(self, key: K, value: V, ttl: Any) -> None:
        """Store a value that expires after `ttl`."""
        now = self._time()
        _store(self, key, value, now, self._after(now, ttl))

    def expire(self, time: Any = None) -> list[tuple[K, V]]:
        """Remove what has expired, or will have by the timer's reading `time`; return the `(key, value)` pairs, the first to expire first."""
        now = self._clock._now() if time is None else self._clock._own(time)
        gone: Gone = []
        with self._lock:
            self._replay()
            self._expire_due(now, gone)
        self._tell(gone)
        return [(key, value) for key, value, _cause in gone]

    def _clear_tables(self, index: dict[K, Entry], order: OrderedDict[int, Entry], loading: dict[Any, list[int]]) -> None:
        super()._clear_tables(index, order, loading)
        self._due = OrderedDict()
        self._due_last = None
        self._heap = []

    # -- time ---------------------------------------------------------------------------------------------------------------------

    def _time(self) -> Any:
        if self._watched:
            self.expire()
        return self._clock._now()

    def _time_of(self, _key: K, _value: V) -> tuple[Any, Any]:
        now = self._time()
        try:
            return now, now + self._step
        except TypeError:
            return now, self._after(now, self._step)

    def _after(self, now: Any, ttl: Any) -> Any:
        if ttl == _INFINITY:
            return _INFINITY if isinstance(now, (int, float)) else _NEVER
        try:
            return now + ttl
        except TypeError:
            if hasattr(ttl, "total_seconds") and isinstance(now, (int, float)):  # a timedelta, and a timer that counts seconds
                return now + ttl.total_seconds()
            msg = f"ttl must be something that can be added to the timer's readings, got {ttl!r} with a reading of {now!r}"
            raise TypeError(msg) from None

    def _expire_now(self) -> None:
        if self._watched:
            self.expire()
        elif self._due or self._heap:
            now = self._clock._now()
            gone: Gone = []
            with self._lock:
                self._expire_due(now, gone)
            self._tell(gone)

    def _settle(self, now: Any, gone: Gone) -> None:
        if self._log:
            self._replay()
        if self._due or self._heap:
            self._expire_due(now, gone)

    def _is_due(self, now: Any, deadline: Any) -> bool:
        if not now < deadline or (self._heap and not now < self._heap[0][0]):
            return True
        due = self._due
        for slot in due:
            return not now < due[slot][4]
        return False

    def _schedule(self, entry: Entry) -> None:
        slot = entry[1]
        deadline = entry[4]
        due = self._due
        if slot in due:
            del due[slot]
        if deadline == _INFINITY or deadline is _NEVER or slot not in self._order:
            return
        if not due or not deadline < self._due_last:
            self._due_last = deadline
            due[slot] = entry
        else:
            heap = self._heap
            heappush(heap, (deadline, slot))
            if len(heap) > 2 * len(self._order) + 64:
                self._tidy()

    def _tidy(self) -> None:
        """Let go of the heap's records of entries that went or got another deadline."""
        order = self._order
        heap = [
            (entry[DEADLINE], slot) for _deadline, slot in set(self._heap) if (entry := order.get(slot)) and entry[DEADLINE] == _deadline
        ]
        heapify(heap)
        self._heap = heap

    def _expire_due(self, now: Any, gone: Gone) -> None:
        while True:
            entry = self._next_due()
            if entry is None or now < entry[DEADLINE]:
                return
            entry = self._remove(entry)
            if entry is not None:
                gone.append((entry[KEY], entry[VALUE], EXPIRED))
                self._expirations += 1

    def _next_due(self) -> Entry | None:
        """Return the entry that expires first."""
        due, heap, order = self._due, self._heap, self._order
        first = None
        for slot in due:
            first = due[slot]
            break
        while heap:
            deadline, slot = heap[0]
            entry = order.get(slot)
            if entry is None or entry[DEADLINE] != deadline or slot in due:
                heappop(heap)
                continue
            return entry if first is None or deadline < first[DEADLINE] else first
        return first

    # -- copies and checks --------------------------------------------------------------------------------------------------------

    def _export(self) -> list[tuple[K, V, float, Any]]:
        """Return `(key, value, weight, remaining life or math.inf)` of every live entry, coldest first."""
        now = self._clock._now()
        entries = [entry for entry in self._snapshot() if now < entry[DEADLINE]]
        return [(entry[KEY], entry[VALUE], entry[WEIGHT], life_until(entry[DEADLINE], now)) for entry in entries]

    def _import(self, rows: list[tuple[K, V, float, Any]]) -> None:
        """Store exported entries into this empty cache; nothing is weighed, evicted or told."""
        now = self._clock._now()
        with self._lock:
            for key, value, weight, life in rows:
                self._schedule(self._place(key, value, weight, self._after(now, life), []))

    def _check(self) -> None:
        with self._lock:
            super()._check()
            deadlines = [entry[DEADLINE] for entry in self._due.values()]
            assert all(not late < early for early, late in pairwise(deadlines)), deadlines
            assert all(self._order.get(slot) is entry for slot, entry in self._due.items())
            queued = {slot for deadline, slot in self._heap if (entry := self._order.get(slot)) and entry[DEADLINE] == deadline}
            for slot, entry in self._order.items():
                never = entry[DEADLINE] is _NEVER or entry[DEADLINE] == _INFINITY
                assert (slot in queued or slot in self._due) is not never, entry
            assert len(self._heap) <= 2 * len(self._order) + 65


class TLRUCore(TTLCore[K, V, T]):
    """An LRU mapping whose entries expire each at a time that a function says."""

    __slots__ = ("_ttu",)

    def _configure(self, *, ttu: Callable[[K, V, Any], Any] = lambda _key, _value, _now: _INFINITY, **options: Any) -> None:
        """See TTLCore; `ttu`: gives the timer's reading at which an entry expires."""
        super()._configure(**options)
        self._ttu = ttu

    def _time_of(self, key: K, value: V) -> tuple[Any, Any]:
        if self._watched:
            self.expire()
        now, raw = self._clock._read()
        expires = self._ttu(key, value, raw)
        if expires == _INFINITY:
            return now, self._after(now, _INFINITY)
        try:
            return now, self._clock._own(expires) if raw < expires else now
        except TypeError:
            msg = f"ttu must return a time that compares with the timer's readings, got {expires!r} with a reading of {raw!r}"
            raise TypeError(msg) from None


def life_until(deadline: Any, now: Any) -> Any:
    """Return what is left until a deadline; None is one that never comes."""
    return _INFINITY if deadline is _NEVER or deadline is None else deadline - now


def is_never(moment: Any) -> bool:
    """Whether a deadline, or what is left until it, is without end."""
    return moment is None or moment is _NEVER or bool(moment == _INFINITY)
