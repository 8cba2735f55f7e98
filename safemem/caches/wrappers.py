"""The objects that `@cached` makes: a decorated function, and the same bound to an instance or a class.

A decorated function finds out what it is by how it is used. Reached through an instance, or named by a class body, it is a method, and each
instance gets a `Memo` of its own. Reached through a class method, it has one for each class. Else it is a function with a single one.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, cast, overload

from cachetools import CacheInfo

from safemem._compat import MISSING
from safemem.caches.stores import Store, store_for
from safemem.core import BoundCore, CallCore, Memo, call_key, callable_core, method_descriptor, ready
from safemem.core._owners import Owners, warn_if_pinned

if TYPE_CHECKING:
    import weakref
    from collections.abc import Callable, Coroutine, MutableMapping

__all__ = ["AsyncCachedFunction", "CachedFunction", "Settings"]

C = TypeVar("C", bound=type)
P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
S = TypeVar("S")

_FUNCTION, _METHOD, _CLASS_METHOD = "function", "method", "class method"


class Settings:
    """What `@cached` was told."""

    __slots__ = ("cache_if", "key", "make_cache", "maxsize", "shared", "typed")

    def __init__(
        self,
        *,
        make_cache: Callable[[], MutableMapping[Any, Any]],
        shared: bool,
        maxsize: float | None,
        typed: bool,
        key: Callable[..., Any] | None,
        cache_if: Callable[[Any], object] | None,
    ) -> None:
        self.make_cache = make_cache
        self.shared = shared  # make_cache always returns the one mapping that the user brought
        self.maxsize = maxsize
        self.typed = typed
        self.key = key
        self.cache_if = cache_if

    def make_key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return what a call's result is filed under."""
        return call_key(args, kwargs, typed=self.typed) if self.key is None else self.key(*args, **kwargs)


class _Annotations:
    """The annotations of what is wrapped: what stands in the body of a wrapper's class says nothing about a function."""

    def __get__(self, instance: Any, owner: type | None = None) -> dict[str, Any]:
        found: dict[str, Any] = {} if instance is None else instance.__wrapped__.__annotations__
        return found


def _annotated_as_wrapped(cls: C) -> C:
    """Let objects of a class have the annotations of what they wrap, unless they have some of their own (`functools.update_wrapper()` until 3.13)."""
    type.__setattr__(cls, "__annotations__", _Annotations())
    return cls


@callable_core
@_annotated_as_wrapped
class CachedFunction(CallCore, Generic[P, R]):
    """A function whose results are cached; made by `@cached`."""

    __wrapped__: Callable[P, R]
    __name__: str
    __qualname__: str

    def __init__(self, func: Callable[P, R], settings: Settings, kind: str | None) -> None:
        functools.update_wrapper(self, func)
        self._func = func
        self._settings = settings
        self._kind = kind  # None: not known yet; see `_become`
        self._memos: dict[int, weakref.ref[Memo]] = {}
        self._owners: Owners[Memo] = Owners(f"@cached {getattr(func, '__module__', '')}.{getattr(func, '__qualname__', '')}")
        self._prepare(key=settings.key, typed=settings.typed, awaited=self._is_awaited, owners=self._owners)
        if kind == _CLASS_METHOD:
            self._refuse_shared()

    # -- calling: what the core does not do by itself -----------------------------------------------------------------------------

    _is_awaited = False

    if TYPE_CHECKING:

        def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
            """Return the cached result for these arguments, or call the function."""
            ...

    def _dispatch(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a function for the first time, or a method through its class with the instance as the first argument."""
        owner = self._owner_in(args)
        if owner is not MISSING:
            return self._call_for(owner, args[1:], kwargs)
        store = self._own_store()
        key = self._settings.make_key(args, kwargs)
        value = store.get(key, MISSING)
        return self._load(key, args, kwargs) if value is MISSING else self._answer(value)

    def _call_for(self, owner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a method."""
        store = self._memo_of(owner).store
        key = self._settings.make_key(args, kwargs)
        value = store.get(key, MISSING)
        return self._load_for(owner, key, args, kwargs) if value is MISSING else self._answer(value)

    def _answer(self, value: Any) -> Any:
        return value

    def _load(self, key: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Make a function's result that is missing."""
        func: Callable[..., Any] = self._func
        return self._own_store().load(key, lambda: func(*args, **kwargs))

    def _load_for(self, owner: Any, key: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Make a method's result that is missing."""
        func: Callable[..., Any] = self._func
        value = self._memo_of(owner).store.load(key, lambda: func(owner, *args, **kwargs))
        warn_if_pinned(owner, value, self.__qualname__)
        return value

    # -- what it is ---------------------------------------------------------------------------------------------------------------

    def __set_name__(self, owner: type, name: str) -> None:
        # A function of a module that a class body merely gives another name stays a function.
        qualname = getattr(self._func, "__qualname__", None)
        if self._kind is None and (qualname is None or qualname.startswith(f"{owner.__qualname__}.")):
            self._become(_METHOD)

    def _become(self, kind: str) -> None:
        """Know from now on what kind of thing this is."""
        self._kind = kind
        cls = type(self)
        others = _AS_METHOD if kind == _METHOD else _AS_FUNCTION
        if cls in others:
            self._turn_into(others[cls])

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: type | None = None) -> CachedFunction[P, R]: ...
        @overload
        def __get__(self: CachedFunction[Concatenate[S, Q], R], instance: S, owner: type | None = None) -> CachedMethod[Q, R]: ...

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        kind = self._kind
        if kind == _FUNCTION:  # also what a static method wraps
            return self
        if kind == _CLASS_METHOD:
            return CachedMethod(self, owner if owner is not None else type(instance))
        if instance is None:
            return self
        if instance is owner and isinstance(instance, type):  # a class method's way to bind
            self._become(_CLASS_METHOD)
        elif kind is None and self._store is None:
            self._become(_METHOD)
        return CachedMethod(self, instance)

    def _owner_in(self, args: tuple[Any, ...]) -> Any:
        """Return the instance or class that a call's first argument is, MISSING for a plain function."""
        if self._kind is None:
            self._become(self._kind_for(args[0]) if args else _FUNCTION)
        if self._kind == _FUNCTION:
            return MISSING
        if not args:
            msg = f"{self.__qualname__}() is a {self._kind}: it needs its instance as the first argument"
            raise TypeError(msg)
        return args[0]

    def _kind_for(self, first: Any) -> str:
        # Descriptors that call what they wrap with the owner in front, and tell it nothing: a property, and from Python 3.13 on a class method.
        cls = first if isinstance(first, type) else type(first)
        for value in [value for base in type.mro(cls) for value in vars(base).values()]:
            if isinstance(value, classmethod) and cast("Any", value).__func__ is self:
                return _CLASS_METHOD
            if isinstance(value, property) and value.fget is self:
                return _METHOD
        return _FUNCTION

    # -- memos --------------------------------------------------------------------------------------------------------------------

    def _new_store(self) -> Store:
        return store_for(self._settings.make_cache(), self._settings.cache_if)

    def _own_store(self) -> Store:
        """Return the store of a plain function."""
        if self._store is None:
            store = self._new_store()
            with self._owners.lock:
                if self._store is None:
                    self._store = store
        found: Store = self._store
        return found

    def _memo_of(self, owner: Any) -> Memo:
        memo = self._owners.find(owner)
        if memo is not None:
            return memo
        self._refuse_shared()
        try:
            return self._owners.give(owner, Memo(self._new_store(), self._memos))
        except TypeError:
            if isinstance(owner, type) or hasattr(owner.__class__, "__weakref__"):
                raise  # the user's own
            msg = (
                f"cannot cache {self.__qualname__}() for {type(owner).__name__!r} objects, which cannot be weakly referenced:"
                " add '__weakref__' to the __slots__ of the class (for a dataclass: weakref_slot=True)"
            )
            raise TypeError(msg) from None

    def _refuse_shared(self) -> None:
        if self._settings.shared:
            msg = (
                f"cache must be a function that returns a new mapping when a method is cached, got a mapping for {self.__qualname__}():"
                " each instance has a cache of its own"
            )
            raise TypeError(msg)

    def _all_memos(self) -> list[Memo]:
        return [memo for ref in list(self._memos.copy().values()) if (memo := ref()) is not None]

    def _stores(self) -> list[Store]:
        """Return every store there is: the function's, or those of all instances or classes."""
        return [self._store] if self._store is not None else [memo.store for memo in self._all_memos()]

    # -- attributes ---------------------------------------------------------------------------------------------------------------

    @property
    def cache(self) -> MutableMapping[Any, Any]:
        """The mapping in which results are kept; for a method ask the bound method, as each instance has its own."""
        if self._kind in {_METHOD, _CLASS_METHOD}:
            stores = self._stores()
            if self._kind == _CLASS_METHOD and len(stores) == 1:
                return stores[0].mapping
            way = "ask the bound method" if self._kind == _METHOD else "with @cached above @classmethod it can be reached through the class"
            msg = f"{self.__qualname__} is a {self._kind} with a cache for each owner: {way}"
            raise AttributeError(msg)
        return self._own_store().mapping

    def cache_info(self) -> CacheInfo:
        """Return hits, misses, maxsize and currsize; those of a method reached through its class are the sum over all instances."""
        infos = [store.info() for store in self._stores()]
        if len(infos) == 1:
            return infos[0]
        hits, misses, currsize = (
            (sum(column) for column in zip(*((i.hits, i.misses, i.currsize) for i in infos), strict=True)) if infos else (0, 0, 0)
        )
        return CacheInfo(int(hits), int(misses), infos[0].maxsize if infos else self._settings.maxsize, currsize)

    def cache_clear(self) -> None:
        """Forget all results and counts; those of every instance, for a method reached through its class."""
        for store in self._stores():
            store.clear()

    def cache_parameters(self) -> dict[str, Any]:
        """Return `maxsize` and `typed`, as `functools.lru_cache` does."""
        return {"maxsize": self._settings.maxsize, "typed": self._settings.typed}

    def cache_key(self, /, *args: Any, **kwargs: Any) -> Any:
        """Return what the result of a call with these arguments is filed under (a method's instance in front is left out)."""
        return self._settings.make_key(args[1:] if self._kind == _METHOD else args, kwargs)

    def cache_remove(self, /, *args: Any, **kwargs: Any) -> bool:
        """Forget the result of a call with these arguments; return whether there was one.

        A class method's is forgotten for every class.
        """
        if self._kind == _METHOD:
            memo = self._owners.find(args[0]) if args else None
            return memo is not None and memo.store.remove(self.cache_key(*args, **kwargs))
        key = self._settings.make_key(args, kwargs)
        return any([store.remove(key) for store in self._stores()])  # noqa: C419 - all of them, not just up to the first

    # -- being a function ---------------------------------------------------------------------------------------------------------

    def __reduce__(self) -> str:
        return self.__qualname__

    def __copy__(self) -> CachedFunction[P, R]:
        return self

    def __deepcopy__(self, _memo: Any) -> CachedFunction[P, R]:
        return self

    def __repr__(self) -> str:
        return f"<cached {self._func!r}>"


@callable_core
class AsyncCachedFunction(CachedFunction[P, R]):
    """A coroutine function whose results are cached; made by `@cached`."""

    _is_awaited = True

    if TYPE_CHECKING:

        def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, Any]:  # type: ignore[override]
            """Return something to await: the result that is cached for these arguments at the time of the call, or the function's."""
            ...

    def _answer(self, value: Any) -> Any:
        return ready(value)

    async def _load(self, key: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        func: Callable[..., Any] = self._func
        return await self._own_store().aload(key, lambda: func(*args, **kwargs))

    async def _load_for(self, owner: Any, key: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        func: Callable[..., Any] = self._func
        value = await self._memo_of(owner).store.aload(key, lambda: func(owner, *args, **kwargs))
        warn_if_pinned(owner, value, self.__qualname__)
        return value

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        bound = cast("Any", super()).__get__(instance, owner)
        return bound if bound is self else AsyncCachedMethod(self, bound.__self__)


@method_descriptor
class CachedMethodFunction(CachedFunction[P, R]):
    """A decorated function that is known to be a method."""


@method_descriptor
class AsyncCachedMethodFunction(AsyncCachedFunction[P, R]):
    """A decorated coroutine function that is known to be a method."""


_AS_METHOD: dict[type, type] = {CachedFunction: CachedMethodFunction, AsyncCachedFunction: AsyncCachedMethodFunction}
_AS_FUNCTION = {method: function for function, method in _AS_METHOD.items()}


@callable_core
@_annotated_as_wrapped
class CachedMethod(BoundCore, Generic[P, R]):
    """A cached function bound to an instance or a class; what `instance.method` is."""

    __slots__ = ()

    if TYPE_CHECKING:
        __func__: CachedFunction[..., Any]
        __self__: Any

        def __init__(self, function: CachedFunction[..., R], owner: Any) -> None: ...

        def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
            """Return the cached result for these arguments, or call the method."""
            ...

    def _store(self) -> Store:
        store: Store = self.__func__._memo_of(self.__self__).store
        return store

    def _of_class(self) -> bool:
        return bool(self.__func__._kind == _CLASS_METHOD)

    @property
    def cache(self) -> MutableMapping[Any, Any]:
        """The mapping in which the results for this instance are kept."""
        return self._store().mapping

    def cache_info(self) -> CacheInfo:
        """Return hits, misses, maxsize and currsize of this instance; of a class method, the sum over all classes."""
        return self.__func__.cache_info() if self._of_class() else self._store().info()

    def cache_clear(self) -> None:
        """Forget all results and counts of this instance; of a class method, those of all classes."""
        if self._of_class():
            self.__func__.cache_clear()
        else:
            self._store().clear()

    def cache_parameters(self) -> dict[str, Any]:
        """Return `maxsize` and `typed`, as `functools.lru_cache` does."""
        return self.__func__.cache_parameters()

    def cache_key(self, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Return what the result of a call with these arguments is filed under."""
        return self.__func__._settings.make_key(args, kwargs)

    def cache_remove(self, /, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Forget the result of a call with these arguments; return whether there was one. A class method's is forgotten for every class."""
        if self._of_class():
            return self.__func__.cache_remove(*args, **kwargs)
        return self._store().remove(self.cache_key(*args, **kwargs))

    @property
    def __wrapped__(self) -> Any:
        """The plain method, bound to the same object."""
        return self.__func__._func.__get__(self.__self__)

    @property
    def __doc__(self) -> str | None:  # type: ignore[override]
        """The method's docstring."""
        return self.__func__.__doc__

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__func__, name)

    def __eq__(self, other: object) -> bool:
        method: Any = other
        if not isinstance(other, CachedMethod):
            return NotImplemented
        return bool(self.__self__ is method.__self__ and self.__func__ is method.__func__)

    def __hash__(self) -> int:
        return hash((id(self.__self__), id(self.__func__)))

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (self.__self__, self.__func__.__name__)

    def __repr__(self) -> str:
        return f"<bound cached {self.__func__.__qualname__} of {self.__self__!r}>"


@callable_core
class AsyncCachedMethod(CachedMethod[P, R]):
    """A cached coroutine function bound to an instance or a class."""

    __slots__ = ()

    if TYPE_CHECKING:

        def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, Any]: ...  # type: ignore[override]
