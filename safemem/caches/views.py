"""The views of a cache: what keys(), values() and items() return.

Unlike those a plain mapping inherits, they leave no trace in the cache: looking through a view promotes nothing and counts nothing.
They walk a snapshot and pass over what is gone when its turn comes, so a cache may change, or be changed, under a loop.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from typing import TYPE_CHECKING, Any

from safemem._compat import MISSING, K, V

if TYPE_CHECKING:
    from safemem.caches.base import BoundedCache

__all__ = ["CacheItems", "CacheKeys", "CacheValues"]


class CacheKeys(KeysView[K]):
    """The keys of a cache, coldest first."""

    _mapping: BoundedCache[K, Any]

    def __reversed__(self) -> Iterator[K]:
        return reversed(self._mapping)


class CacheValues(ValuesView[V]):
    """The values of a cache, coldest first."""

    _mapping: BoundedCache[Any, V]

    def __contains__(self, value: object) -> bool:
        return any(other is value or other == value for other in self)

    def __iter__(self) -> Iterator[V]:
        return self._mapping._iterate_values()

    def __reversed__(self) -> Iterator[V]:
        return self._mapping._iterate_values(hottest_first=True)


class CacheItems(ItemsView[K, V]):
    """The `(key, value)` pairs of a cache, coldest first."""

    _mapping: BoundedCache[K, V]

    def __contains__(self, item: object) -> bool:
        pair: Any = item
        if not isinstance(item, tuple) or len(pair) != 2:
            return False
        key, expected = pair
        value = self._mapping.peek(key, MISSING)
        return value is not MISSING and (value is expected or bool(value == expected))

    def __iter__(self) -> Iterator[tuple[K, V]]:
        return self._mapping._iterate_items()

    def __reversed__(self) -> Iterator[tuple[K, V]]:
        return self._mapping._iterate_items(hottest_first=True)
