"""The call path of decorated functions: from the arguments of a call to the result that is kept for them.

The compiled core has the same in C: it hashes and compares arguments where they lie and makes a key only of a call that it does not know.
The public classes derive from these and bring what happens on a miss: `_dispatch`, `_load`, `_call_for` (see `CallCore`).
"""

from __future__ import annotations

import functools
import weakref
from typing import TYPE_CHECKING, Any, TypeVar

from safemem._compat import MISSING

if TYPE_CHECKING:
    from collections.abc import Callable

    from safemem.core._owners import Owners

__all__ = ["KEYWORDS", "BoundCore", "CallCore", "Memo", "call_key", "callable_core", "direct", "lru_wrapper", "method_descriptor", "ready"]

C = TypeVar("C", bound=type)


class KEYWORDS:
    """Stands in a key between the positional and the keyword arguments: the class itself, so that it is the same in every pickle."""


def call_key(args: tuple[Any, ...], kwargs: dict[str, Any], *, typed: bool) -> tuple[Any, ...]:
    """Return what the result of a call is filed under: its arguments, `KEYWORDS`, names and values sorted by name, and if `typed` their types."""
    if not kwargs:
        return (*args, *map(type, args)) if typed else args
    names = sorted(kwargs)
    values = [kwargs[name] for name in names]
    key = (*args, KEYWORDS, *[part for pair in zip(names, values, strict=True) for part in pair])
    return (*key, *map(type, args), *map(type, values)) if typed else key


def direct(cache: object) -> Any:  # noqa: ARG001 - the compiled core looks at it
    """Return `cache` if the core can look into it without calling its methods, else None; the pure core cannot."""
    return None


def callable_core(cls: C) -> C:
    """Prepare a direct subclass of `CallCore` or `BoundCore`; the compiled core makes calls of its objects cheaper."""
    return cls


def method_descriptor(cls: C) -> C:
    """Let the interpreter call objects of this class, found in an owner's class, with the owner in front; only the compiled core can do that."""
    return cls


# What makes `lru_cache` of a function; here it is the standard library's own.
lru_wrapper: Any = functools._lru_cache_wrapper


async def ready(value: Any) -> Any:
    """Return `value` when awaited."""
    return value


class Memo:
    """The results of one method for one owner."""

    __slots__ = ("__weakref__", "_memos", "direct", "store")

    def __init__(self, store: Any, memos: dict[int, weakref.ref[Memo]]) -> None:
        self.store = store
        self.direct = store.direct
        self._memos = memos  # the register of all owners' memos, which holds this one weakly
        memos[id(self)] = weakref.ref(self)

    def __del__(self) -> None:
        self._memos.pop(id(self), None)


class CallCore:
    """What a decorated function does when it is called.

    A subclass sets `_store` when it knows that it is a plain function, and brings `_dispatch(args, kwargs)` for calls before that and for
    calls of methods, `_call_for(owner, args, kwargs)` for bound ones, and `_load(key, args, kwargs)` for a result that is missing. The
    compiled core looks for a method's results itself and calls `_load_for(owner, key, args, kwargs)` when one is missing.
    """

    _store: Any = None

    if TYPE_CHECKING:

        def _dispatch(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any: ...
        def _load(self, key: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any: ...

    def _prepare(self, *, key: Callable[..., Any] | None, typed: bool, awaited: bool, owners: Owners[Memo]) -> None:  # noqa: ARG002
        """Say what keys are made with, and whether results are awaited; `owners`, for the compiled core, knows the `Memo` of each owner."""
        self._key = key
        self._typed = typed
        self._awaited = awaited
        self._store = None  # and not what came along in the attributes of a decorated function that is decorated again

    def _turn_into(self, cls: type) -> None:
        """Become an object of a class above or below that adds nothing."""
        self.__class__ = cls

    def _make_key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return what a call's result is filed under."""
        key = self._key
        return call_key(args, kwargs, typed=self._typed) if key is None else key(*args, **kwargs)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Return the cached result for these arguments, or call the function; of a coroutine function, something to await."""
        store = self._store
        if store is None:
            return self._dispatch(args, kwargs)
        key = self._make_key(args, kwargs) if kwargs or self._typed or self._key is not None else args
        value = store.get(key, MISSING)
        if value is MISSING:
            return self._load(key, args, kwargs)
        return ready(value) if self._awaited else value


class BoundCore:
    """A decorated function bound to an owner."""

    __slots__ = ("__func__", "__self__", "__weakref__")

    def __init__(self, function: Any, owner: Any) -> None:
        self.__func__ = function
        self.__self__ = owner

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Return the cached result for these arguments, or call the method."""
        return self.__func__._call_for(self.__self__, args, kwargs)
