"""The decorator that caches what functions, methods and coroutine functions return."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from safemem.caches.base import check_callable, check_maxsize
from safemem.caches.lru import LRUCache
from safemem.caches.ttl import TTLCache, check_ttl
from safemem.caches.weak import WeakCache
from safemem.caches.wrappers import AsyncCachedFunction, CachedFunction, Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from safemem.core import RemovalCause
    from safemem.core._budget import Budget

__all__ = ["cached"]

P = ParamSpec("P")
R = TypeVar("R")

_DEFAULT_MAXSIZE = 128


@overload
def cached(maxsize: Callable[P, R], /) -> CachedFunction[P, R]: ...
@overload
def cached(
    maxsize: float | None = 128,
    *,
    ttl: Any = None,
    typed: bool = False,
    key: Callable[..., Any] | None = None,
    cache: MutableMapping[Any, Any] | Callable[[], MutableMapping[Any, Any]] | None = None,
    cache_if: Callable[[Any], object] | None = None,
    weak: bool = False,
    timer: Callable[[], Any] = time.monotonic,
    on_remove: Callable[[Any, Any, RemovalCause], object] | None = None,
    budget: Budget | None = None,
) -> Callable[[Callable[P, R]], CachedFunction[P, R]]: ...
def cached(
    maxsize: Any = _DEFAULT_MAXSIZE,
    *,
    ttl: Any = None,
    typed: bool = False,
    key: Callable[..., Any] | None = None,
    cache: Any = None,
    cache_if: Callable[[Any], object] | None = None,
    weak: Any = False,
    timer: Callable[[], Any] = time.monotonic,
    on_remove: Callable[[Any, Any, RemovalCause], object] | None = None,
    budget: Budget | None = None,
) -> Any:
    """Cache what a function returns, up to `maxsize` results, least recently used first out.

    Works on functions, coroutine functions, methods, class methods and static methods (above or below `@classmethod` and `@staticmethod`).
    Used bare (`@cached`) or called (`@cached(maxsize=10)`). However many threads, or tasks of an event loop, ask for one result at the same
    time, the function runs once (see `SingleFlight`); no lock is held while it runs.

    A method never keeps its instance alive: each instance has a bounded cache of its own that dies with it; a class method has one for each
    class. The instance need not be hashable nor have a `__dict__`, but it must be possible to refer to it weakly (TypeError otherwise).
    Where a cached value itself refers to the instance, the two are freed by the garbage collector if the instance has a `__dict__`; an
    instance without one is kept until its cache is cleared (`python -X dev` warns with a `CycleWarning`).

    The decorated function has `cache_info()`, `cache_clear()`, `cache_parameters()`, `cache_remove(*args, **kwargs)`,
    `cache_key(*args, **kwargs)` and `cache`; a bound method has those of its instance, and `Class.method.cache_clear()` clears every instance's.

    Args:
        maxsize: the bound of the cache, a number >= 0; None: no bound; 0: nothing is cached.
        ttl: how long a result is good: a number of seconds or a timedelta; None: for ever.
        typed: keep arguments of different types apart that are equal, such as 3 and 3.0.
        key: called with the arguments, a method's without the instance; returns what the result is filed under.
        cache: a mapping to use instead, one of cachetools or a dict too (it is locked around each access); on methods a function without
            arguments that returns a new one for each instance.
        cache_if: called with each new result; if it returns something false the result is returned but not kept.
        weak: keep results in a `WeakCache`: beyond `maxsize` they are still found for as long as anybody else holds them, so that nobody is
            handed a second copy of what another one still uses.
        timer: what `ttl` is measured with.
        on_remove: see `LRUCache`.
        budget: a `MemoryBudget` for the caches to take part in.

    >>> @cached(maxsize=100)
    ... def square(x):
    ...     print("computing")
    ...     return x * x
    >>> square(4), square(4)
    computing
    (16, 16)
    >>> square.cache_info()
    CacheInfo(hits=1, misses=1, maxsize=100, currsize=1)
    >>> square.cache_remove(4)
    True
    """
    func: Any = maxsize
    if callable(maxsize) or isinstance(maxsize, (classmethod, staticmethod)):
        return cached()(func)
    if maxsize is not None:
        check_maxsize(maxsize)
    if ttl is not None:
        check_ttl(ttl)
    if not isinstance(weak, bool):
        msg = f"weak must be True or False, got {weak!r}"
        raise TypeError(msg)
    for name, value in {"key": key, "cache_if": cache_if, "on_remove": on_remove, "timer": timer}.items():
        if value is not None:
            check_callable(name, value)
    shared = isinstance(cache, MutableMapping)
    mapping: Any = cache
    make_cache: Callable[[], MutableMapping[Any, Any]]
    if cache is None:
        make_cache = _CacheMaker(math.inf if maxsize is None else maxsize, ttl, timer, weak, on_remove=on_remove, budget=budget)
    else:
        _check_cache(cache, maxsize=maxsize, ttl=ttl, weak=weak or None, on_remove=on_remove, budget=budget)
        make_cache = (lambda: mapping) if shared else mapping
        maxsize = getattr(mapping, "maxsize", None) if shared else None
    settings = Settings(make_cache=make_cache, shared=shared, maxsize=maxsize, typed=typed, key=key, cache_if=cache_if)
    return functools.partial(_decorate, settings)


cached.__module__ = "safemem"


class _CacheMaker:
    """Makes the caches of one decorated function."""

    __slots__ = ("_kind", "_options")

    def __init__(self, maxsize: float, ttl: Any, timer: Callable[[], Any], weak: bool, **others: Any) -> None:
        self._kind: Any = WeakCache if weak else LRUCache if ttl is None else TTLCache
        self._options: dict[str, Any] = {"maxsize": maxsize, **others}
        if weak or ttl is not None:
            self._options |= {"ttl": ttl, "timer": timer}

    def __call__(self) -> MutableMapping[Any, Any]:
        return self._kind(**self._options)  # type: ignore[no-any-return]


def _check_cache(cache: Any, *, maxsize: Any, **others: Any) -> None:
    if not callable(cache) and not isinstance(cache, MutableMapping):
        msg = f"cache must be a mapping or a function that returns one, got {cache!r}"
        raise TypeError(msg)
    given = [name for name, value in others.items() if value is not None]
    if maxsize != _DEFAULT_MAXSIZE:
        given.insert(0, "maxsize")
    if given:
        msg = f"cache excludes {', '.join(given)}: give them to the cache itself"
        raise TypeError(msg)


def _decorate(settings: Settings, func: Any, /) -> Any:
    import inspect

    kind = None
    wrapped: Any = func
    if isinstance(func, classmethod):
        func, kind = wrapped.__func__, "class method"
    elif isinstance(func, staticmethod):
        func, kind = wrapped.__func__, "function"
    if not callable(func):
        msg = f"func must be callable, got {func!r}"
        raise TypeError(msg)
    if inspect.isgeneratorfunction(func) or inspect.isasyncgenfunction(func):
        msg = f"cannot cache {func!r}: what a generator yields can be gone through only once; cache a function that returns a list or tuple"
        raise TypeError(msg)
    if not inspect.iscoroutinefunction(func):
        return CachedFunction(func, settings, kind)
    wrapper = AsyncCachedFunction(func, settings, kind)
    mark: Any = getattr(inspect, "markcoroutinefunction", None)
    if mark is not None:
        mark(wrapper)
    else:
        _look_like_coroutine_function(wrapper, func)
    return wrapper


def _look_like_coroutine_function(wrapper: Any, func: Any) -> None:
    """Make Python 3.11's inspect and asyncio recognise a coroutine function: they look for a function's attributes, and for a mark."""
    import asyncio.coroutines

    wrapper._is_coroutine = asyncio.coroutines._is_coroutine  # type: ignore[attr-defined]
    for name in ("__code__", "__defaults__", "__kwdefaults__"):
        if hasattr(func, name):
            setattr(wrapper, name, getattr(func, name))
