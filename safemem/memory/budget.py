"""One budget of memory for all caches of a program, which let go of what is worth least when memory is short."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, TypeVar

from safemem.core import LRUCore
from safemem.core._background import PATIENCE
from safemem.memory.amounts import bytes_of, in_words
from safemem.memory.budgetstats import BudgetStats
from safemem.memory.ledger import Ledger
from safemem.memory.measuring import LARGEST, Measure, own_bytes
from safemem.memory.pressure import Pressure
from safemem.memory.sources import source_of
from safemem.memory.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal, Self

__all__ = ["MemoryBudget", "default_budget"]

C = TypeVar("C")


class MemoryBudget:
    """A bound in bytes for any number of caches together, which gives way when the process is short of memory.

    A cache takes part through its `budget=` or through `attach()`. From then on every entry is measured when it is stored, and counted until it
    leaves. A store that would make the caches hold more than the budget has lets go of entries, of any of the caches: those that are worth
    least, by how often they were used, what it takes to make them again, and how many bytes they take. They are told to `on_remove` with cause
    `PRESSURE`, in the thread whose store it was; no lock is held then, and stores made by such a callback do not react themselves.

    With a number as its limit a budget bounds the accounted bytes, and nothing else is looked at. With a fraction, or `"auto"`, the *level* counts
    too: the part in use of what this process may use. Below `low` the caches may grow, between `low` and `high` they stay as large as they are,
    above `high` they let go of a few percent at a time, as much as brings the level back. If letting go does not help, because memory that
    Python frees often stays with the process, they stop rather than let go of everything. The level is looked at by stores, and by a thread
    from `start()` to `stop()`, which is needed where the memory is taken by something that calls no cache. It also gives free memory back
    to the system.

    A `WeakCache` is charged for what it holds strongly; to let go there is to hold weakly. What others use is not counted as freed.

    Safe to use from any thread. A forked child has a budget of its own with the same caches; its thread is not running there. Caches are held
    weakly, and a cache keeps its bound even if nobody keeps the budget. A store takes less than a microsecond more, and what it takes to
    measure the value; reading takes no more than without a budget.

    It cannot help against a single allocation that is larger than what is free, nor against growth while neither a store nor the thread runs.

    Args:
        limit: a number of bytes, or a string such as `"512MB"` (see below); `"50%"` of what this process may use; or `"auto"`: all of that, which
            is the least of its control groups' limits (`memory.max` and `memory.high` up the tree, in a container its own) and the machine's
            memory. kB, MB, GB are powers of 1000, KiB, MiB, GiB of 1024. Limits of the process are looked up anew every few seconds.
        reserve: bytes to leave to everything else, taken off the limit. A resource limit (`RLIMIT_AS`, `RLIMIT_DATA`) counts only if there is a
            reserve: address space hardly ever comes back, so it has to be kept free from the beginning.
        low: the level up to which caches may grow.
        high: the level above which they let go.
        timer: returns the time in seconds; called at most once for each store, not at all where the limit is a number.

    Raises:
        ValueError: an amount that is negative or makes no sense, a reserve that leaves nothing, levels that are not `0 < low <= high <= 1`.
        TypeError: something that is no amount, no number, or cannot be called.

    >>> from safemem import LRUCache, MemoryBudget
    >>> budget = MemoryBudget("1MB")
    >>> pages = LRUCache(maxsize=10_000, budget=budget)
    >>> rows = budget.attach(LRUCache(maxsize=10_000), cost=5)
    >>> for number in range(2_000):
    ...     pages[number] = bytes(1_000)
    ...     rows[number] = bytes(100)
    >>> budget.used <= budget.limit, len(rows) > len(pages)
    (True, True)
    """

    __module__ = "safemem"
    __slots__ = ("__weakref__", "_ledger", "_watcher")

    def __init__(
        self,
        limit: float | str = "auto",
        *,
        reserve: float | str = 0,
        low: float = 0.80,
        high: float = 0.88,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        _check_levels(low, high)
        _check_callable("timer", timer)
        self._ledger = Ledger(source_of(limit, reserve), low, high, timer)
        self._watcher = Watcher(self._ledger)

    # -- caches ---------------------------------------------------------------------------------------------------------------------

    def attach(
        self,
        cache: C,
        *,
        size: Callable[[Any], float] | None = None,
        weight: float = 1.0,
        min_bytes: float | str = 0,
        cost: float | Callable[[Any, Any], float] | None = None,
    ) -> C:
        """Take a cache into the budget, measure what is in it, and return it; one that is in already gets the new settings.

        A copy of a cache is in no budget until it is attached.

        Takes time in proportion to the number of its entries. If a function raises, the cache is not in the budget.

        Args:
            cache: an `LRUCache`, `TTLCache`, `TLRUCache` or `WeakCache`; held weakly.
            size: a function of a value that returns its bytes; None: `sizeof()`. Called once for each value that is stored.
            weight: how much the entries of this cache are worth beside those of others that are as good; a larger one protects them.
            min_bytes: what the cache may hold whatever happens.
            cost: what it takes to make an entry again, in any unit that all caches of the budget share: a number, or a function of key and
                value, called once for each value that is stored; None: 1.

        Raises:
            TypeError: not a cache of this package, or an argument of another kind than described.
            ValueError: a cache that is in another budget, or a number out of range.

        >>> from safemem import LRUCache, MemoryBudget
        >>> budget = MemoryBudget("1MB")
        >>> thumbnails = budget.attach(LRUCache(maxsize=1_000), size=len, min_bytes="100kB")
        >>> thumbnails["logo"] = bytes(50_000)
        >>> budget.used >= 50_000
        True
        """
        _check_cache(cache)
        if size is not None:
            _check_callable("size", size)
        if cost is not None and not callable(cost):
            _check_number("cost", cost, least=0)
        _check_number("weight", weight)
        floor = min(bytes_of("min_bytes", min_bytes), LARGEST)
        if self._ledger.member_of(cache) is not None:
            self._ledger.leave(cache)
        self._ledger.enter(cache, Measure(own_bytes(cache), size, cost), float(weight), floor)
        return cache

    def detach(self, cache: object) -> None:
        """Take a cache out of the budget, which keeps its entries; nothing happens if it is not in it.

        >>> from safemem import LRUCache, MemoryBudget
        >>> budget = MemoryBudget("1MB")
        >>> cache = LRUCache(maxsize=10, budget=budget)
        >>> cache["a"] = "value"
        >>> budget.detach(cache)
        >>> budget.used, len(cache)
        (0, 1)
        """
        _check_cache(cache)
        self._ledger.leave(cache)

    # -- what is in use -------------------------------------------------------------------------------------------------------------

    @property
    def used(self) -> int:
        """The accounted bytes of all caches: the sum of what each entry took when it was stored."""
        return self._ledger.used

    @property
    def limit(self) -> int:
        """The limit in force, in bytes, the reserve taken off."""
        return self._ledger.source.limit

    @property
    def level(self) -> float:
        """How much is in use, 0 to 1 and beyond: of what this process may use, read from the system now; else of the limit."""
        level = self._ledger.level
        return self._accounted_level() if level is None else level

    def pressure(self) -> Pressure:
        """Return how short memory is, as it is read now, and why.

        "none" below `low`, "soft" up to `high`, "hard" above. Where the system does not tell what is in use, `reason` says so.

        >>> from safemem import MemoryBudget
        >>> MemoryBudget("1MB").pressure().state
        'none'
        """
        ledger = self._ledger
        control = ledger.control
        readings = ledger.source.read()
        if readings.level is None:
            where = ledger.source.describe()
            words = f"{self._accounted_level():.0%} of {in_words(self.limit)} accounted ({where})"
            if ledger.watches:
                words += "; no signal on this system says how much memory is in use, so only the accounted bytes are bounded"
            readings = readings._replace(level=self._accounted_level(), used=self.used, limit=self.limit, source=where)
        else:
            words = f"{readings.level:.0%} of {in_words(readings.limit or 0)} in use ({readings.source})"
        level = readings.level or 0.0
        state: Literal["none", "soft", "hard"] = "none" if level < control.low else "soft" if level <= control.high else "hard"
        if readings.unknown is not None:
            words += f"; nothing tells how much is in use of {readings.unknown}, so the caches grow no larger than they might before"
        if control.frozen:
            words += "; letting go did not help, so the caches stay as large as they are"
        return Pressure(state, words, readings)

    def stats(self) -> BudgetStats:
        """Return what there is and what has been done, a frozen `BudgetStats`; looks at every entry of weak caches."""
        ledger = self._ledger
        caches = [cache for member in ledger.members() if (cache := member.ref()) is not None and ledger.member_of(cache) is member]
        return BudgetStats(
            used=ledger.used,
            limit=self.limit,
            bound=ledger.control.bound,
            level=self.level,
            caches=len(caches),
            reclaimable=sum(cache._reclaimable() for cache in caches),
            let_go=ledger.let_go_count,
            let_go_bytes=ledger.let_go_bytes,
            freezes=ledger.control.freezes,
            trims=ledger.trims,
            trimmed_bytes=ledger.trimmed_bytes,
            running=self.running,
        )

    def _accounted_level(self) -> float:
        used, limit = self.used, self.limit
        return used / limit if limit else float(used > 0)

    # -- letting go -----------------------------------------------------------------------------------------------------------------

    def reclaim(self, nbytes: float | str) -> int:
        """Let go of entries, the least valuable first across all caches, until `nbytes` are free; return how many bytes are.

        Less than that if nothing is left that may go: no cache goes below its `min_bytes`, and what others use is passed over.

        >>> from safemem import LRUCache, MemoryBudget
        >>> budget = MemoryBudget("1MB")
        >>> cache = LRUCache.fromkeys("abc", bytes(1_000), budget=budget)
        >>> budget.reclaim(1_500) >= 1_500, len(cache)
        (True, 1)
        """
        return self._ledger.reclaim(bytes_of("nbytes", nbytes))

    # -- watching -------------------------------------------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether the thread runs, in this process."""
        return self._watcher.runs

    def start(self) -> None:
        """Start the thread that watches the level and reacts when nobody calls the caches, unless it runs.

        A daemon thread, which ends with the budget and need not be stopped. It is not running in a forked child, and may be started there.
        """
        self._watcher.start(self)

    def stop(self, timeout: float = PATIENCE) -> bool:
        """Stop the thread and wait until it has ended, `timeout` seconds at most; return whether it has.

        >>> from safemem import MemoryBudget
        >>> MemoryBudget("1MB").stop()
        True
        """
        return self._watcher.stop(timeout)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __reduce__(self) -> Any:
        msg = "cannot copy or pickle 'MemoryBudget' object: it is about the memory of this process"
        raise TypeError(msg)

    def __repr__(self) -> str:
        number = sum(1 for member in self._ledger.members() if member.ref() is not None)
        state = ", running" if self.running else ""
        return f"<{type(self).__name__}: {in_words(self.used)} of {in_words(self.limit)} in {number} cache{'s' * (number != 1)}{state}>"


_default: dict[str, MemoryBudget] = {}


def default_budget() -> MemoryBudget:
    """Return the budget of this process, the same one each time: `MemoryBudget("auto")`, not started until somebody does.

    >>> from safemem import LRUCache, default_budget
    >>> cache = LRUCache(maxsize=100_000, budget=default_budget())
    >>> default_budget() is default_budget()
    True
    """
    budget = _default.get("process")
    return _default.setdefault("process", MemoryBudget()) if budget is None else budget  # one step, so that all threads get the same one


default_budget.__module__ = "safemem"


def _check_levels(low: Any, high: Any) -> None:
    for name, value in (("low", low), ("high", high)):
        _check_number(name, value)
        if value > 1:
            msg = f"{name} must be <= 1, got {value!r}"
            raise ValueError(msg)
    if low > high:
        msg = f"low must be <= high ({high!r}), got {low!r}"
        raise ValueError(msg)


def _check_number(name: str, value: object, *, least: float | None = None) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        msg = f"{name} must be a number, got {value!r}"
        raise TypeError(msg)
    if not (value > 0 if least is None else value >= least) or not value < math.inf:
        msg = f"{name} must be finite and {'> 0' if least is None else f'>= {least}'}, got {value!r}"
        raise ValueError(msg)


def _check_callable(name: str, value: object) -> None:
    if not callable(value):
        msg = f"{name} must be callable, got {value!r}"
        raise TypeError(msg)


def _check_cache(cache: object) -> None:
    if not isinstance(cache, LRUCore):
        msg = f"cache must be a cache of safemem, got {cache!r}"
        raise TypeError(msg)
