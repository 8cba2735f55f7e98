"""`cached_property`: an attribute that is computed when first asked for, once however many threads ask."""

from __future__ import annotations

from types import GenericAlias
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, overload

from safemem._compat import MISSING
from safemem.caches.base import check_callable
from safemem.caches.circles import here
from safemem.caches.flight import SingleFlight
from safemem.core._owners import Owners

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from safemem.caches.circles import Thread

__all__ = ["cached_property"]

R = TypeVar("R")


# The attributes that are being computed, as (id of the instance, name), and the threads that put them in and take them out.
_under_way: dict[tuple[int, str | None], Thread] = {}


class _Value:
    """The value of one instance without a `__dict__`."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: Any = MISSING


class cached_property(Generic[R]):  # noqa: N801 - a standard name of the field
    """A property computed once for each instance, as `functools.cached_property`, with three differences.

    * Threads that ask for it at the same time wait for one computation (per instance and property; nothing else is locked).
    * It works on instances without a `__dict__`, if they can be weakly referenced; the value lives as long as the instance.
    * A coroutine or generator function is refused with a TypeError: its result could be used only once.

    The value can be assigned, and deleted: then it is computed again when next asked for. On an instance with a `__dict__` it is an ordinary
    entry there, read at the speed of any attribute. An exception of the function reaches everybody who waits and is not kept.

    >>> class Circle:
    ...     __slots__ = ("__weakref__", "radius")
    ...
    ...     def __init__(self, radius):
    ...         self.radius = radius
    ...
    ...     @cached_property
    ...     def area(self):
    ...         print("computing")
    ...         return 3 * self.radius**2
    >>> circle = Circle(2)
    >>> circle.area, circle.area
    computing
    (12, 12)
    >>> del circle.area
    >>> circle.area
    computing
    12
    """

    __module__ = "safemem"

    if TYPE_CHECKING:  # where there is a __dict__ these are what any attribute does

        def __set__(self, instance: object, value: R) -> None: ...
        def __delete__(self, instance: object) -> None: ...

    def __init__(self, func: Callable[[Any], R]) -> None:
        import inspect

        check_callable("func", func)
        if inspect.iscoroutinefunction(func) or inspect.isgeneratorfunction(func) or inspect.isasyncgenfunction(func):
            msg = f"cannot cache {func!r} as a property: what it returns can be used only once; use @cached on a method"
            raise TypeError(msg)
        self.func = func
        self.attrname: str | None = None
        self.__doc__ = func.__doc__
        self.__module__ = func.__module__
        self._flights: SingleFlight[tuple[int, str | None]] = SingleFlight()
        self._owners: Owners[_Value] | None = None

    def __set_name__(self, owner: type, name: str) -> None:
        if self.attrname is None:
            self.attrname = name
            if not owner.__dictoffset__:
                # Values of its instances lie elsewhere, so assigning and deleting them has to come by here too.
                self._owners = Owners(f"@cached_property {owner.__module__}.{owner.__qualname__}.{name}")
                self.__class__ = _SlottedCachedProperty  # pyright: ignore[reportAttributeAccessIssue]
        elif name != self.attrname:
            # The wording of this message and the next is the standard library's.
            msg = f"Cannot assign the same cached_property to two different names ({self.attrname!r} and {name!r})."
            raise TypeError(msg)

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type | None = None) -> R: ...
    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        value = self._read(instance)
        if value is not MISSING:
            return value
        place = (id(instance), self.attrname)
        return self._flights.do(place, lambda: self._compute(instance, place))

    def _compute(self, instance: Any, place: tuple[int, str | None]) -> Any:
        value = self._read(instance)
        if value is not MISSING:
            return value
        outer = _under_way.get(place)
        if outer is not None and outer.lives():  # super()'s property of the same name: the outer one keeps its value
            return self.func(instance)
        thread = here()
        try:
            _under_way[place] = thread
            value = self.func(instance)
        finally:
            _under_way.pop(place, None)
        return self._keep(instance, value)

    def _values(self, instance: Any) -> dict[str, Any]:
        if self.attrname is None:
            msg = "Cannot use cached_property instance without calling __set_name__ on it."
            raise TypeError(msg)
        try:
            values = instance.__dict__
        except AttributeError:
            msg = f"cached_property {self.attrname!r} found no __dict__ on a {type(instance).__name__!r} object: its class body must be the one without"
            raise TypeError(msg) from None
        return values  # type: ignore[no-any-return]

    def _read(self, instance: Any) -> Any:
        return self._values(instance).get(self.attrname, MISSING)  # type: ignore[arg-type]

    def _keep(self, instance: Any, value: Any) -> Any:
        """Keep a value unless one has been assigned meanwhile; return the one that stands."""
        try:
            return self._values(instance).setdefault(self.attrname, value)  # type: ignore[arg-type]
        except (AttributeError, TypeError):
            msg = f"the __dict__ of a {type(instance).__name__!r} object takes no items: cached_property {self.attrname!r} cannot keep its value"
            raise TypeError(msg) from None

    @property
    def __isabstractmethod__(self) -> bool:
        """Whether the function is abstract."""
        return getattr(self.func, "__isabstractmethod__", False)

    if not TYPE_CHECKING:
        __class_getitem__ = classmethod(GenericAlias)


class _SlottedCachedProperty(cached_property[R]):
    """The same for a class whose instances have no `__dict__`."""

    def __set__(self, instance: Any, value: R) -> None:
        self._value_of(instance).value = value

    def __delete__(self, instance: Any) -> None:
        if self._read(instance) is MISSING:
            raise AttributeError(self.attrname)
        self._value_of(instance).value = MISSING

    def _value_of(self, instance: Any) -> _Value:
        owners = self._owners
        assert owners is not None
        value = owners.find(instance)
        if value is not None:
            return value
        try:
            return owners.give(instance, _Value())
        except TypeError:
            msg = (
                f"cannot cache {self.attrname!r} for {type(instance).__name__!r} objects, which have no __dict__ and cannot be weakly referenced:"
                " add '__weakref__' to the __slots__ of the class (for a dataclass: weakref_slot=True)"
            )
            raise TypeError(msg) from None

    def _read(self, instance: Any) -> Any:
        return self._value_of(instance).value

    def _keep(self, instance: Any, value: Any) -> Any:
        kept = self._value_of(instance)
        if kept.value is MISSING:
            kept.value = value
        return kept.value
