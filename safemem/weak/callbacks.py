"""weak_callback: a callable for others to keep that does not keep the object alive on which it works."""

from __future__ import annotations

import warnings
import weakref
from functools import partial
from types import BuiltinMethodType, MethodType, MethodWrapperType, ModuleType
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, ParamSpec, TypeVar, overload

from safemem._graph import held_by
from safemem.core._weakable import unweakable
from safemem.errors import CycleWarning, SafememError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

__all__ = ["DeadCallbackError", "WeakCallback", "weak_callback"]

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F")

_DEAD: Final = object()


class DeadCallbackError(SafememError, ReferenceError):
    """A weak callback with `on_dead="raise"` was called, and its object is gone.

    >>> issubclass(DeadCallbackError, ReferenceError)
    True
    """

    __module__ = "safemem"


class WeakCallback(Generic[P, R]):
    """What `weak_callback()` returns: equal to another one of the same object and function, and hashed so, by identity of both."""

    __slots__ = ("__weakref__", "_args", "_func", "_keywords", "_on_dead", "_owner", "_self")

    def __init__(self, func: Any, owner: Any, on_dead: Any) -> None:
        self._on_dead = on_dead
        self._func, bound, self._args, self._keywords = _take_apart(func, owner)
        self._self: weakref.ref[Any] | None = None if bound is None else _refer("the object of a bound method", bound)
        self._owner: weakref.ref[Any] | None = None if owner is None else _refer("owner", owner)
        for other in (owner, bound):
            if other is not None:
                _warn_if_held(self, other)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function, if its object lives; what `on_dead` says, if not."""
        ref = self._self
        owner = self._owner
        bound = None if ref is None else ref()
        if (ref is not None and bound is None) or (owner is not None and owner() is None):
            return self._call_dead(args, kwargs)  # type: ignore[no-any-return]
        if self._args or self._keywords:
            args = (*self._args, *args)  # type: ignore[assignment] # pyright: ignore[reportAssignmentType]
            kwargs = {**self._keywords, **kwargs}  # type: ignore[assignment] # pyright: ignore[reportAssignmentType]
        if ref is None:
            return self._func(*args, **kwargs)  # type: ignore[no-any-return]
        return self._func(bound, *args, **kwargs)  # type: ignore[no-any-return]

    def _bound(self) -> Any:
        """Return the object of the method, None if there is none, or _DEAD."""
        if self._owner is not None and self._owner() is None:
            return _DEAD
        if self._self is None:
            return None
        bound = self._self()
        return _DEAD if bound is None else bound

    def _call_dead(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if callable(self._on_dead):
            return self._on_dead(*args, **kwargs)
        if self._on_dead == "raise":
            msg = f"the object that {_name_of(self._func)} was to be called for is gone"
            raise DeadCallbackError(msg)
        return None

    @property
    def alive(self) -> bool:
        """Whether a call would still reach the function."""
        return self._bound() is not _DEAD

    @property
    def owner(self) -> Any:
        """The object whose life it shares: `owner=` if that was given, else the one the method is bound to; None if dead, or if there is none."""
        ref = self._owner or self._self
        return None if ref is None or self._bound() is _DEAD else ref()

    @property
    def function(self) -> Callable[..., Any]:
        """The function that is called, without its object."""
        return self._func  # type: ignore[no-any-return]

    @property
    def __wrapped__(self) -> Callable[P, R]:
        bound = self._bound()
        if bound is _DEAD:
            msg = f"the object that {_name_of(self._func)} was to be called for is gone"
            raise AttributeError(msg)
        func: Any = self._func if self._self is None else _bind(self._func, bound)
        return partial(func, *self._args, **self._keywords) if self._args or self._keywords else func

    def __getattr__(self, name: str) -> Any:
        if name in {"__name__", "__qualname__"}:
            return getattr(self._func, name)
        msg = f"{type(self).__name__!r} object has no attribute {name!r}"
        raise AttributeError(msg)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, WeakCallback):
            return NotImplemented
        mine, theirs = self._identity(), other._identity()  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        return len(mine) == len(theirs) and all(one is another for one, another in zip(mine, theirs, strict=True))

    def __hash__(self) -> int:
        return hash(tuple(map(id, self._identity()[:3])))

    def _identity(self) -> tuple[Any, ...]:
        # References without a callback are shared by all who ask for one: they are the same for the same object, and stay so after its death.
        keywords = [part for name in sorted(self._keywords) for part in (name, self._keywords[name])]
        return (self._func, self._self, self._owner, *self._args, *keywords)

    def __repr__(self) -> str:
        bound = self._bound()
        if bound is _DEAD:
            return f"<weak callback {_name_of(self._func)}, dead>"
        owner = self.owner
        of = "" if owner is None else f" of {type(owner).__name__} at {id(owner):#x}"
        return f"<weak callback {_name_of(self._func)}{of}>"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> Any:
        msg = f"a weak callback cannot be pickled, got that of {_name_of(self._func)}: pickle the object, and make a callback of its copy"
        raise TypeError(msg)


@overload
def weak_callback(func: Callable[P, R], *, owner: object = None, on_dead: Literal["ignore"] = "ignore") -> WeakCallback[P, R | None]: ...
@overload
def weak_callback(func: Callable[P, R], *, owner: object = None, on_dead: Literal["raise"]) -> WeakCallback[P, R]: ...
@overload
def weak_callback(func: Callable[P, R], *, owner: object = None, on_dead: Callable[..., F]) -> WeakCallback[P, R | F]: ...
def weak_callback(func: Callable[..., Any], *, owner: object = None, on_dead: Any = "ignore") -> WeakCallback[..., Any]:
    """Return a callable that does `func` but does not keep alive the object whose bound method it is.

    * A bound method holds its object weakly, and its function strongly; so does a partial of one, and a method of a builtin type.
    * Anything else (functions, lambdas, callable objects) is held strongly. `owner=` ties it to the life of an object: when that is gone,
      the callback is dead.

    A dead callback returns None (`on_dead="ignore"`), raises `DeadCallbackError` (`"raise"`), or calls another function with the same
    arguments. `alive` tells. Callbacks of the same object and function are equal. A function that captures the very object whose life it
    is to share warns with `CycleWarning` and says where.

    >>> class Display:
    ...     def show(self, text):
    ...         print(text)
    >>> display = Display()
    >>> show = weak_callback(display.show)
    >>> show("hello")
    hello
    >>> del display
    >>> show("hello"), show.alive
    (None, False)
    """
    _check(func, on_dead)
    return WeakCallback(func, owner, on_dead)


weak_callback.__module__ = "safemem"


def _check(func: object, on_dead: object) -> None:
    if not callable(func):
        msg = f"func must be callable, got {func!r}"
        raise TypeError(msg)
    if not callable(on_dead) and not (isinstance(on_dead, str) and on_dead in {"ignore", "raise"}):
        msg = f"on_dead must be 'ignore', 'raise' or a callable, got {on_dead!r}"
        raise ValueError(msg) if isinstance(on_dead, str) else TypeError(msg)


def _take_apart(func: Any, owner: object) -> tuple[Any, Any, tuple[Any, ...], dict[str, Any]]:
    """Return a function, the object it is to be called with or None, and the arguments of partials."""
    args: tuple[Any, ...] = ()
    keywords: dict[str, Any] = {}
    while isinstance(func, partial):
        args = (*func.args, *args)
        keywords = {**func.keywords, **keywords}
        func = func.func
    if isinstance(func, MethodType):
        return func.__func__, func.__self__, args, keywords
    if isinstance(func, (BuiltinMethodType, MethodWrapperType)):
        bound: Any = func.__self__
        if bound is not None and not isinstance(bound, (ModuleType, type)):
            cls: Any = type(bound)  # pyright: ignore[reportUnknownVariableType]
            return getattr(cls, func.__name__), bound, args, keywords
    if func is owner:
        return type(func).__call__, func, args, keywords
    return func, None, args, keywords


def _bind(func: Any, bound: Any) -> Any:
    cls: Any = type(func)  # pyright: ignore[reportUnknownVariableType]
    binder = getattr(cls, "__get__", None)
    return MethodType(func, bound) if binder is None else binder(func, bound, type(bound))


def _refer(role: str, obj: Any) -> weakref.ref[Any]:
    if not type(obj).__weakrefoffset__:
        raise unweakable(role, obj)
    return weakref.ref(obj)


def _warn_if_held(callback: WeakCallback[..., Any], obj: object) -> None:
    place = held_by(partial(callback._func, *callback._args, **callback._keywords), obj)
    if place is not None:
        msg = (
            f"callback {_name_of(callback._func)} keeps the {type(obj).__name__} object alive whose life it is to share: it is held by"
            f" {place}; let the function take the object as an argument, or pass a bound method of it"
        )
        warnings.warn(msg, CycleWarning, stacklevel=4)


def _name_of(func: Any) -> str:
    name = getattr(func, "__qualname__", None)
    code = getattr(func, "__code__", None)
    if name is None:
        return f"of type {type(func).__qualname__}"
    return f"{name} ({code.co_filename}:{code.co_firstlineno})" if code is not None and "<lambda>" in name else str(name)
