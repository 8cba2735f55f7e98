"""`lru_cache` with the exact contract of the standard library's."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["lru_cache"]

R = TypeVar("R")


@overload
def lru_cache(maxsize: Callable[..., R], typed: bool = False) -> functools._lru_cache_wrapper[R]: ...
@overload
def lru_cache(maxsize: int | None = 128, typed: bool = False) -> Callable[[Callable[..., R]], functools._lru_cache_wrapper[R]]: ...
def lru_cache(maxsize: Any = 128, typed: bool = False) -> Any:
    """Cache a function's results exactly as `functools.lru_cache` does, for programs that rely on every detail of it.

    No single flight, and on a method every instance is kept alive by the cache: for either see `cached`.
    On the pure core this is the standard library's own.

    >>> @lru_cache(maxsize=2)
    ... def square(x):
    ...     return x * x
    >>> square(3), square(3)
    (9, 9)
    >>> square.cache_info()
    CacheInfo(hits=1, misses=1, maxsize=2, currsize=1)
    """
    return functools.lru_cache(maxsize, typed)


lru_cache.__module__ = "safemem"
