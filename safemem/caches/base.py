"""What all caches share above the core: loading, sizes, statistics, and being a mapping that can be copied, merged and pickled.

The core (`safemem.core`) owns the hot protocol; nothing here overrides it. Methods here are for operations whose cost is dominated by what
they do, so that one version in Python serves both cores.
"""

from __future__ import annotations

import copy
import copyreg
import math
from _thread import get_ident
from collections.abc import Iterable, Mapping
from reprlib import recursive_repr
from time import perf_counter
from typing import TYPE_CHECKING, Any, Self

from safemem._compat import MISSING, K, V
from safemem.caches.flight import SingleFlight
from safemem.caches.views import CacheItems, CacheKeys, CacheValues
from safemem.core import LRUCore, RemovalCause
from safemem.errors import ValueTooLargeError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Self

    from safemem.caches.stats import CacheStats
    from safemem.core._budget import Budget
    from safemem.core._seam import Seam as _Base
else:
    from cachetools import Cache as _Base

__all__ = ["SLOTS", "BoundedCache", "check_callable", "check_maxsize"]

# What every concrete cache has in its __slots__ beside what the core brings.
SLOTS = ("_flights",)


def check_maxsize(maxsize: object) -> None:
    """Raise unless `maxsize` is a real number >= 0."""
    if isinstance(maxsize, bool) or not isinstance(maxsize, (int, float)):
        hint = "; use math.inf for no bound" if maxsize is None else ""
        msg = f"maxsize must be a number, got {maxsize!r}{hint}"
        raise TypeError(msg)
    if not maxsize >= 0:
        msg = f"maxsize must be >= 0, got {maxsize!r}"
        raise ValueError(msg)


def check_callable(name: str, value: object) -> None:
    """Raise unless the argument called `name` is callable."""
    if not callable(value):
        msg = f"{name} must be callable, got {value!r}"
        raise TypeError(msg)


class BoundedCache(_Base[K, V]):
    """The part of all caches that does not depend on how entries are kept."""

    _flights: SingleFlight[K]

    if not TYPE_CHECKING:
        __slots__ = ()

    # -- set-up -------------------------------------------------------------------------------------------------------------------

    def _set_up(
        self,
        maxsize: float,
        getsizeof: Callable[[V], float] | None,
        on_remove: Callable[[K, V, RemovalCause], object] | None,
        genuine: type,
        **options: Any,
    ) -> None:
        """Check what all caches take, then make the core; `genuine` is the class of this package, `options` go to the core."""
        check_maxsize(maxsize)
        if getsizeof is not None:
            check_callable("getsizeof", getsizeof)
        if on_remove is not None:
            check_callable("on_remove", on_remove)
        if getsizeof is not None:
            self.getsizeof = getsizeof  # type: ignore[assignment, method-assign]
        self._configure(
            maxsize=maxsize,
            weighs=getsizeof is not None or self._overrides(genuine, "getsizeof"),
            on_remove=on_remove,
            hooked=self._overrides(genuine, "popitem", "__delitem__"),
            **options,
        )
        self._flights = SingleFlight()

    def _overrides(self, genuine: type, *names: str) -> bool:
        """Whether a subclass of `genuine` has any of these methods of its own."""
        cls = type(self)
        return cls is not genuine and any(getattr(cls, name) is not getattr(genuine, name) for name in names)

    def _attach(self, budget: Budget | None) -> None:
        if budget is not None:
            attach = getattr(budget, "attach", None)
            if attach is None:
                msg = f"budget must have an attach() method, got {budget!r}"
                raise TypeError(msg)
            attach(self)

    @staticmethod
    def getsizeof(value: Any) -> float:  # noqa: ARG004 - the signature of cachetools
        """Return the size of a value: 1, unless the cache was given a `getsizeof` or a subclass overrides this."""
        return 1

    # -- evictions seen by a subclass that overrides popitem() or __delitem__, as those of cachetools are ---------------------------

    def _make_room(self, key: K, weight: float) -> None:
        self._evict_through_overrides(lambda: self._lacks_room(key, weight))

    def _evict_through_overrides(self, wanted: Callable[[], bool]) -> None:
        """Call popitem() while `wanted()`; its removals are evictions."""
        thread = get_ident()
        self._making_room.add(thread)
        try:
            while wanted():
                before = self._count_removed()
                self.popitem()
                if self._count_removed() == before:  # an override that removes nothing: the core will
                    return
        finally:
            self._making_room.discard(thread)

    def _popitem_hooked(self) -> tuple[K, V]:
        if self._overrides(LRUCore, "__delitem__"):
            for key, value in self.items():
                del self[key]
                return key, value
        return self._pop_coldest(RemovalCause.SIZE if get_ident() in self._making_room else RemovalCause.EXPLICIT)

    def _pop_hooked(self, key: K) -> Any:
        if not self._overrides(LRUCore, "__delitem__"):
            return self._pop(key, RemovalCause.EXPLICIT)
        value = self.peek(key, MISSING)
        if value is MISSING:
            return None
        del self[key]
        return (value,)

    # -- loading ------------------------------------------------------------------------------------------------------------------

    def get_or_create(self, key: K, factory: Callable[[], V]) -> V:
        """Return the value of `key`; if it is missing, make it with `factory()`, store and return it.

        The factory runs once per key however many threads ask: the others wait for it and get the same object. It runs with no lock held.
        An exception of it reaches every thread that waits, nothing is stored, and the next call tries again (see `SingleFlight`).
        A value stored by `cache[key] = ...` meanwhile wins and is returned; `del cache[key]` or `clear()` meanwhile keep the result from
        being stored. A value too large to store is returned all the same. Asking for the same key from within the factory is a RecursionError.

        >>> from safemem import LRUCache
        >>> cache = LRUCache(maxsize=2)
        >>> cache.get_or_create("answer", lambda: 42)
        42
        >>> cache.get_or_create("answer", lambda: 43)
        42
        """
        value = self.get(key, MISSING)
        if value is not MISSING:
            return value
        check_callable("factory", factory)
        return self._flights.do(key, lambda: self._load(key, factory, None))

    async def aget_or_create(self, key: K, coro_factory: Callable[[], Awaitable[V]]) -> V:
        """Do the same as `get_or_create()` for asyncio: await `coro_factory()` once per key however many tasks ask.

        The load runs in a task of its own: cancelling one that waits for it, the first one too, cancels nobody else. Tasks of other event
        loops, and threads, have loads of their own and never wait for this one.

        >>> import asyncio
        >>> from safemem import LRUCache
        >>> cache = LRUCache(maxsize=2)
        >>> async def fetch():
        ...     return 42
        >>> asyncio.run(cache.aget_or_create("answer", fetch))
        42
        """
        value = self.get(key, MISSING)
        if value is not MISSING:
            return value
        check_callable("coro_factory", coro_factory)
        return await self._flights.ado(key, lambda: self._aload(key, coro_factory, None))

    def _load(self, key: K, factory: Callable[[], V], keep_if: Callable[[V], object] | None) -> V:
        value = self.peek(key, MISSING)  # a flight may have landed between the lookup and this one's start
        if value is not MISSING:
            return value  # type: ignore[no-any-return]
        token = self._begin_load(key)
        start = perf_counter()
        try:
            made = factory()
        except BaseException:
            self._count_load(perf_counter() - start, failed=True)
            self._abort_load(key, token)
            raise
        self._count_load(perf_counter() - start, failed=False)
        return self._keep(key, made, token, keep_if)

    async def _aload(self, key: K, coro_factory: Callable[[], Awaitable[V]], keep_if: Callable[[V], object] | None) -> V:
        value = self.peek(key, MISSING)
        if value is not MISSING:
            return value  # type: ignore[no-any-return]
        token = self._begin_load(key)
        start = perf_counter()
        try:
            made = await coro_factory()
        except BaseException:
            self._count_load(perf_counter() - start, failed=True)
            self._abort_load(key, token)
            raise
        self._count_load(perf_counter() - start, failed=False)
        return self._keep(key, made, token, keep_if)

    def _keep(self, key: K, made: V, token: list[int], keep_if: Callable[[V], object] | None) -> V:
        try:
            wanted = keep_if is None or keep_if(made)
        except BaseException:
            self._abort_load(key, token)
            raise
        if not wanted:
            self._abort_load(key, token)
            return made
        try:
            return self._finish_load(key, made, token)
        except ValueTooLargeError:
            return made

    # -- size ---------------------------------------------------------------------------------------------------------------------

    def resize(self, maxsize: float) -> None:
        """Change the bound; a smaller one evicts at once, coldest first (cause `SIZE`).

        >>> from safemem import LRUCache
        >>> cache = LRUCache.fromkeys("abc", maxsize=3)
        >>> cache.resize(1)
        >>> list(cache)
        ['c']
        """
        check_maxsize(maxsize)
        if self._hooked:
            self._evict_through_overrides(lambda: self.currsize > maxsize)
        self._resize(maxsize)

    def evict(self, n: int = 1) -> int:
        """Let go of up to `n` of the coldest entries (cause `SIZE`); return how many went.

        >>> from safemem import LRUCache
        >>> LRUCache.fromkeys("abc").evict(2)
        2
        """
        if isinstance(n, bool) or not isinstance(n, int):  # pyright: ignore[reportUnnecessaryIsInstance]
            msg = f"n must be an integer, got {n!r}"
            raise TypeError(msg)
        if n < 0:
            msg = f"n must be >= 0, got {n!r}"
            raise ValueError(msg)
        return self._let_go(n)

    def shrink(self, fraction: float) -> int:
        """Let go of the coldest `fraction` (0 to 1) of the entries, rounded up (cause `SIZE`); return how many went.

        >>> from safemem import LRUCache
        >>> LRUCache.fromkeys("abcd").shrink(0.5)
        2
        """
        if isinstance(fraction, bool) or not isinstance(fraction, (int, float)):  # pyright: ignore[reportUnnecessaryIsInstance]
            msg = f"fraction must be a number, got {fraction!r}"
            raise TypeError(msg)
        if not 0 <= fraction <= 1:
            msg = f"fraction must be between 0 and 1, got {fraction!r}"
            raise ValueError(msg)
        return self._let_go(math.ceil(self._held() * fraction))

    def _held(self) -> int:
        """Return how many entries there are to let go of."""
        return len(self)

    def _let_go(self, number: int) -> int:
        if not self._hooked:
            return self._evict(number, RemovalCause.SIZE)
        before = self._count_removed()
        self._evict_through_overrides(lambda: self._count_removed() - before < number and len(self) > 0)
        return self._count_removed() - before

    # -- statistics ---------------------------------------------------------------------------------------------------------------

    def stats(self) -> CacheStats:
        """Return what the cache has counted, a frozen `CacheStats`."""
        from safemem.caches.stats import CacheStats

        currsize = self.currsize
        return CacheStats(**self._counters(), currsize=currsize, maxsize=self.maxsize)

    def reset_stats(self) -> None:
        """Set every counter back to zero."""
        self._reset_counters()

    # -- being a mapping ----------------------------------------------------------------------------------------------------------

    def keys(self) -> CacheKeys[K]:
        """Return a view of the keys, coldest first; looking through it promotes and counts nothing."""
        return CacheKeys(self)

    def values(self) -> CacheValues[V]:
        """Return a view of the values, coldest first; looking through it promotes and counts nothing."""
        return CacheValues(self)

    def items(self) -> CacheItems[K, V]:
        """Return a view of the `(key, value)` pairs, coldest first; looking through it promotes and counts nothing."""
        return CacheItems(self)

    def update(self, other: Any = (), /, **kwargs: V) -> None:
        """Store the items of a mapping or of an iterable of pairs, then the keyword arguments; each store is atomic, the whole is not."""
        items: Any = other
        if isinstance(other, BoundedCache):  # read without a trace, and at one moment
            items = list(items.items())
        super().update(items, **kwargs)

    @classmethod
    def fromkeys(cls, keys: Iterable[K], value: Any = None, *, maxsize: float = math.inf, **options: Any) -> Self:
        """Return a new cache with these keys, all with one value; further keywords go to the class."""
        cache = cls(maxsize=maxsize, **options)
        for key in keys:
            cache[key] = value
        return cache

    def __or__(self, other: object) -> Self:
        if not isinstance(other, Mapping):
            return NotImplemented
        merged = self.copy()
        merged.update(other)
        return merged

    def __ror__(self, other: object) -> Self:
        if not isinstance(other, Mapping):
            return NotImplemented
        merged = self._copy([])
        merged.update(other)
        merged.update(self)
        return merged

    def __ior__(self, other: Any) -> Self:  # type: ignore[misc] # as dict's does, it takes pairs too
        self.update(other)
        return self

    @recursive_repr("...")
    def __repr__(self) -> str:
        settings = "".join(f", {name}={value!r}" for name, value in self._settings().items())
        return f"{type(self).__name__}({dict(self.items())!r}{settings}, currsize={self.currsize!r})"

    def _settings(self) -> dict[str, Any]:
        """Return what `repr` shows of the set-up."""
        return {"maxsize": self.maxsize}

    # -- copies -------------------------------------------------------------------------------------------------------------------

    def copy(self) -> Self:
        """Return an independent cache of the same kind and set-up with the same entries in the same order; its counters start at zero.

        Entries keep what is left of their life. Callables (`getsizeof`, `on_remove`, `timer`) are shared. Nothing is weighed again.
        """
        return self._copy(self._export())

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return a copy with copies of keys and values; callables are shared."""
        twin = self._copy([])
        memo[id(self)] = twin
        rows = [(copy.deepcopy(key, memo), copy.deepcopy(value, memo), weight, life) for key, value, weight, life in self._export()]
        twin._import(rows)
        for name, value in self._attributes().items():
            setattr(twin, name, value if name == "getsizeof" else copy.deepcopy(value, memo))
        return twin

    def _copy(self, rows: list[tuple[K, V, float, Any]]) -> Self:
        twin: Self = type(self).__new__(type(self))
        twin.__setstate__({**self._config(), "rows": rows, "attributes": self._attributes()})
        return twin

    def __reduce_ex__(self, protocol: Any) -> Any:
        state = {**self._config(), "rows": self._export(), "attributes": self._attributes()}
        return copyreg.__newobj__, (type(self),), state  # type: ignore[attr-defined]

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a copied or unpickled cache; deadlines go on with what was left of them."""
        state = dict(state)
        rows, attributes = state.pop("rows"), state.pop("attributes")
        for name, value in attributes.items():
            setattr(self, name, value)
        self._restore(state)
        self._flights = SingleFlight()
        self._import(rows)

    def _attributes(self) -> dict[str, Any]:
        """Return what lies in `__dict__`, and in `__slots__` that a subclass added."""
        genuine = next(base for base in type(self).__mro__ if base.__module__ == "safemem")
        slots: set[str] = set(copyreg._slotnames(type(self))) - set(copyreg._slotnames(genuine))  # type: ignore[attr-defined]
        return vars(self) | {name: getattr(self, name) for name in slots if hasattr(self, name)}

    def _config(self) -> dict[str, Any]:
        """Return the set-up that copies share."""
        return {"maxsize": self._maxsize, "weighs": self._weighs, "hooked": self._hooked, "on_remove": self._on_remove}

    def _restore(self, config: dict[str, Any]) -> None:
        self._configure(**config)
