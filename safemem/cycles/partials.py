"""weak_partial: functools.partial that does not own the object whose method it calls."""

from __future__ import annotations

import warnings
from copy import deepcopy
from functools import partial
from reprlib import recursive_repr
from types import BuiltinMethodType, MethodType, MethodWrapperType, ModuleType
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from safemem._graph import held_by
from safemem.errors import CycleWarning
from safemem.weak.callbacks import WeakCallback, weak_callback

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

__all__ = ["weak_partial"]

R = TypeVar("R")

# What partial itself calls: `func` is said anew below.
_called_by: Final[Any] = vars(partial)["func"].__get__


class weak_partial(partial["R | None"], Generic[R]):  # noqa: N801 - named after the one in functools
    """A partial of a bound method that does not keep the method's object alive.

    As `functools.partial(method, *args, **kwargs)`, of which it is a subclass: `func`, `args`, `keywords`, partials of partials and
    `inspect.signature()` are the same. Once the object is dead a call does nothing and returns None, as that of a `weak_callback()`; what is
    made of `weak_callback(method, on_dead="raise")` instead of a method raises.

    * `func` is the bound method; after the object's death it is a dead weak callback.
    * The arguments are held strongly. If one of them is the method's own object, a `CycleWarning` says so.
    * A copy is of the same object, a deep copy too, with copies of the arguments. Pickling is a TypeError.

    Anything but a bound method, or a partial or weak callback of one, is a TypeError, and so is the method of an object that cannot be weakly referenced.

    >>> class Display:
    ...     def show(self, what, end):
    ...         print(what, end=end)
    >>> display = Display()
    >>> ready = weak_partial(display.show, "ready", end="!")
    >>> ready()
    ready!
    >>> ready.args, ready.keywords
    (('ready',), {'end': '!'})
    >>> del display
    >>> ready()
    """

    __module__ = "safemem"
    __slots__ = ()

    def __new__(cls, method: Callable[..., R], /, *args: Any, **kwargs: Any) -> Self:
        """Create the partial; `method` is what is to be called, the rest are its first arguments."""
        self = super().__new__(cls, _weaken(method), *args, **kwargs)
        callback: Any = _called_by(self)
        if callback.owner is not None:
            _warn_if_held(self, callback)
        return self

    @property
    def func(self) -> Callable[..., R | None]:
        """The bound method, as long as its object lives, and then a callback that does nothing."""
        callback: Any = _called_by(self)
        return getattr(callback, "__wrapped__", callback)  # type: ignore[no-any-return]

    @recursive_repr()
    def __repr__(self) -> str:
        parts = [repr(_called_by(self)), *map(repr, self.args), *(f"{name}={value!r}" for name, value in self.keywords.items())]
        return f"safemem.weak_partial({', '.join(parts)})"

    def __copy__(self) -> Self:
        return self._rebuild(self.args, self.keywords, vars(self))

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self._rebuild(deepcopy(self.args, memo), deepcopy(self.keywords, memo), deepcopy(vars(self), memo))

    def _rebuild(self, args: tuple[Any, ...], keywords: dict[str, Any], attributes: dict[str, Any]) -> Self:
        other = partial.__new__(type(self), _called_by(self), *args, **keywords)
        vars(other).update(attributes)
        return other

    def __reduce__(self) -> Any:
        msg = f"a weak partial cannot be pickled, got {self!r}: pickle the object, and make a partial of its copy"
        raise TypeError(msg)


def _weaken(method: Any) -> Any:
    """Return what partial is to call; it takes partials apart by itself."""
    if isinstance(method, weak_partial) or (isinstance(method, WeakCallback) and method._self is not None):
        return method  # pyright: ignore[reportUnknownVariableType]
    if isinstance(method, partial):
        return partial(_weaken(method.func), *method.args, **method.keywords)
    bound: Any = method.__self__ if isinstance(method, (MethodType, BuiltinMethodType, MethodWrapperType)) else None
    if bound is None or isinstance(bound, ModuleType):
        msg = (
            f"method must be a bound method, got {method!r}: functools.partial is for functions, and"
            " functools.partial(weak_callback(func, owner=obj)) ties one to the life of an object"
        )
        raise TypeError(msg)
    return weak_callback(method)  # pyright: ignore[reportUnknownArgumentType]


def _warn_if_held(made: weak_partial[Any], callback: WeakCallback[..., Any]) -> None:
    place = held_by(partial(callback.function, *made.args, **made.keywords), callback.owner)
    if place is not None:
        name = getattr(callback.function, "__qualname__", type(callback.function).__qualname__)
        msg = (
            f"weak_partial of {name} keeps the {type(callback.owner).__name__} object alive that it is not to own: it is held by"
            f" {place}; let the method use self instead"
        )
        warnings.warn(msg, CycleWarning, stacklevel=3)
