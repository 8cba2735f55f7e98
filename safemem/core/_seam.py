"""The seam: what the public classes ask of a core, beside the hot protocol of a mapping. Read by type checkers and by whoever writes a core.

A core type brings, for every cache: `[]`, `get`, `in`, `peek`, `[]=`, `setdefault`, `del`, `pop`, `popitem`, `clear`, `len`, iteration and
`reversed` over a snapshot, `maxsize`, `currsize`, `__missing__`, weak references and collection of cycles; and what this class lists.
Caches with a sense of time add `expire`, `ttl_of`, `_set_for(key, value, ttl)`, `_clock` and `_watched`.

A core calls back, never with a lock held: `self.getsizeof(value)` if it weighs, `self._make_room(key, weight)` before a store,
`self._popitem_hooked()` and `self._pop_hooked(key)` if `hooked`, `self.expire()` before anything else if `watched`, `self.__missing__(key)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from cachetools import Cache

from safemem._compat import K, V

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from safemem.core._causes import RemovalCause

__all__ = ["Seam", "rebind"]


C = TypeVar("C", bound=type)


def rebind(cls: C) -> C:
    """Prepare a direct subclass of a core type; the native core gives it method descriptors of its own, here there is nothing to do."""
    return cls


class Seam(Cache[K, V]):
    """The private part of a core type that the public classes use; never instantiated."""

    _hooked: bool
    _making_room: set[int]
    _maxsize: float
    _on_remove: Any
    _weighs: bool

    if TYPE_CHECKING:
        # Makes the cache empty and sets what it is to do; arguments are valid already.
        _configure: Callable[..., None]

        def __reversed__(self) -> Iterator[K]: ...

        def peek(self, key: K, default: Any = None) -> Any:
            """Return the value of `key` or `default` without a trace."""

        def _iterate_values(self, *, hottest_first: bool = False) -> Iterator[V]: ...
        def _iterate_items(self, *, hottest_first: bool = False) -> Iterator[tuple[K, V]]: ...

        def _pop(self, key: Any, cause: RemovalCause) -> Any:
            """Remove and return the entry of a key, a sequence whose first item is the value; None if there is none."""

        def _pop_coldest(self, cause: RemovalCause) -> tuple[K, V]:
            """Do what popitem() does, for this cause."""
            ...

        def _evict(self, limit: int, cause: RemovalCause) -> int:
            """Let go of up to `limit` entries, coldest first; return how many went."""
            ...

        def _lacks_room(self, key: K, weight: float) -> bool:
            """Whether storing a value of this weight would break the bound."""
            ...

        def _resize(self, maxsize: float) -> None: ...

        def _count_removed(self) -> int:
            """Return how many entries ever left."""
            ...

        def _begin_load(self, key: K) -> Any:
            """Say that a value for `key` is being made; return a token for one of the next two."""

        def _abort_load(self, key: K, token: Any) -> None: ...

        def _finish_load(self, key: K, value: V, token: Any) -> V:
            """Store `value` if nothing was said about the key meanwhile; return what the cache holds now, else `value`."""
            ...

        def _count_load(self, seconds: float, *, failed: bool) -> None: ...

        def _counters(self) -> dict[str, Any]:
            """Return what has been counted, under the names of `CacheStats`."""
            ...

        def _reset_counters(self) -> None: ...

        def _export(self) -> list[tuple[K, V, float, Any]]:
            """Return `(key, value, weight, remaining life or None)` of every live entry, coldest first."""
            ...

        def _import(self, rows: list[tuple[K, V, float, Any]]) -> None:
            """Store exported entries into this empty cache; nothing is weighed, evicted or told."""

        def _drain(self) -> None:
            """Do pending bookkeeping now."""

        # What a memory budget asks, see _accounted.

        @property
        def _account(self) -> Any: ...
        @property
        def _measure(self) -> Any: ...
        @property
        def _charged(self) -> int:
            """What is charged for all entries."""
            ...

        def _open_account(self, account: Any, measure: Callable[[Any, Any], tuple[int, float]], own: int, cost: float | None, /) -> bool:
            """Be charged to an account for each entry; False if the cache is charged to another one."""
            ...

        def _close_account(self) -> None: ...

        def _unmeasured(self) -> list[tuple[int, K, V]]:
            """Return `(handle, key, value)` of the entries that nothing is charged for yet."""
            ...

        def _record(self, handle: int, nbytes: int, cost: float, /) -> None: ...

        def _offer(self, samples: int, weight: float, floor: int, spare: bool, /) -> tuple[float, int, int] | None:
            """Return `(score, bytes, handle)` of the least valuable of a few entries that may go."""

        def _give_up(self, handle: int, cause: RemovalCause, floor: int, /) -> int:
            """Give up an entry that was offered; return the bytes that this frees, -1 if it has gone or has to stay."""
            ...

        def _cold_regions(self, most: int, bits: int, /) -> list[int]:
            """Return the regions of the address space in which the values of so many of the coldest entries lie."""
            ...

        def _give_up_regions(self, regions: list[int], bits: int, cause: RemovalCause, floor: int, most: int, /) -> tuple[int, int]:
            """Give up all entries whose values lie in the first of these regions, until `most` bytes have gone; return how many went and what was charged."""
            ...

        def _reclaimable(self) -> int:
            """Return the bytes that letting go of everything would free."""
            ...

        def _check(self) -> None:
            """Raise AssertionError if the inner structure is out of step; for tests."""
