"""`lru_cache` with the exact contract of the standard library's."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeVar, overload

from safemem.core import lru_wrapper

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["lru_cache"]

R = TypeVar("R")


@overload
def lru_cache(maxsize: Callable[..., R], typed: bool = False) -> functools._lru_cache_wrapper[R]: ...
@overload
def lru_cache(maxsize: int | None = 128, typed: bool = False) -> Callable[[Callable[..., R]], functools._lru_cache_wrapper[R]]: ...
def lru_cache(maxsize: Any = 128, typed: Any = False) -> Any:
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
    if isinstance(maxsize, int):
        return functools.partial(_decorate, max(maxsize, 0), typed)
    if callable(maxsize) and isinstance(typed, bool):
        return _decorate(128, typed, maxsize)
    if maxsize is None:
        return functools.partial(_decorate, None, typed)
    msg = "Expected first argument to be an integer, a callable, or None"  # the standard library's wording
    raise TypeError(msg)


def _decorate(maxsize: int | None, typed: bool, func: Callable[..., Any]) -> Any:
    wrapper = lru_wrapper(func, maxsize, typed, functools._CacheInfo)
    wrapper.cache_parameters = lambda: {"maxsize": maxsize, "typed": typed}
    return functools.update_wrapper(wrapper, func)


lru_cache.__module__ = "safemem"
