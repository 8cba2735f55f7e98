"""WeakAttr: an attribute that does not keep its value alive."""

from __future__ import annotations

import sys
from types import FunctionType
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, Literal, TypeVar, overload

from safemem.core._weakable import unweakable
from safemem.cycles.references import LateReference, Reference
from safemem.errors import DeadReferenceError
from safemem.weak.identity import WeakIdentityDict

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Self

    class _Property:
        """What a type checker is to think of its base: nothing."""

else:
    _Property = property

__all__ = ["WeakAttr", "key_of"]

T = TypeVar("T")
F = TypeVar("F")

_read_attribute: Final = object.__getattribute__
_write_attribute: Final = object.__setattr__  # a frozen class refuses what goes by its own
_delete_attribute: Final = object.__delattr__
_write_to_class: Final = type.__setattr__


class WeakAttr(_Property, Generic[T]):
    """An attribute that refers to an object without keeping it alive: the way back in a tree, the owner of a part.

    Reading gives the object, or None if none was assigned, None was, or it was deleted. Once the object is gone, reading gives None
    (`on_dead="ignore"`), raises a `ReferenceError` (`"raise"`), or gives what a function returns that is called with the instance
    (`on_dead=lambda node: node.document`). Any object that can be weakly referenced may be assigned, else a TypeError says what to do.

    For all classes whose instances have a `__dict__`, and for those with `__slots__` that have `__weakref__`; subclasses inherit it. As a
    field of a dataclass it takes no part in comparison, hash and repr, which would else go around in circles. A decorator that makes slots
    of fields drops it: `dataclass(slots=True)` is told so with a TypeError, attrs cannot be told; use `weak_fields()` for both.

    * A copy has the same object. A deep copy has the copy of the object, if it was copied along; else the same object.
    * A pickle has the object in it, as it cannot know whether it is there anyway. Unpickled, the attribute refers to the object's copy for as
      long as something else keeps that. A part that is to travel alone leaves its way back out in a `__getstate__()` of its own.

    Every operation is a single step for other threads. Reading costs the call of a property and that of a weak reference.

    >>> class Node:
    ...     parent = WeakAttr["Node"]()
    ...
    ...     def __init__(self, *children):
    ...         self.children = children
    ...         for child in children:
    ...             child.parent = self
    >>> leaf = Node()
    >>> root = Node(leaf)
    >>> leaf.parent is root
    True
    >>> del root
    >>> print(leaf.parent)
    None
    """

    __module__ = "safemem"

    if TYPE_CHECKING:

        @overload
        def __new__(cls, on_dead: Literal["ignore"] = "ignore") -> WeakAttr[T]: ...
        @overload
        def __new__(cls, on_dead: Literal["raise"]) -> _RaisingWeakAttr[T]: ...
        @overload
        def __new__(cls, on_dead: Callable[[Any], F]) -> _CallingWeakAttr[T, F]: ...
        def __new__(cls, on_dead: Any = "ignore") -> Any: ...  # noqa: D102

        @overload
        def __get__(self, instance: None, owner: type | None = None) -> Self: ...
        @overload
        def __get__(self, instance: object, owner: type | None = None) -> T | None: ...
        def __get__(self, instance: Any, owner: type | None = None) -> Any: ...
        def __set__(self, instance: object, value: T | None) -> None: ...
        def __delete__(self, instance: object) -> None: ...

    else:

        def __init__(self, on_dead: Any = "ignore") -> None:
            check_on_dead(on_dead)
            self._name = None
            self._on_dead = on_dead

        def __get__(self, instance: Any, owner: type | None = None) -> Any:
            if instance is None:
                return _field_for_dataclass(self, sys._getframe(1), owner)
            if self._name is None:
                msg = "cannot use a WeakAttr whose __set_name__() was not called: create it in the body of a class"
                raise TypeError(msg)
            if type(self) is WeakAttr:  # no decorator of the class will ask any more
                self.__class__ = _SettledWeakAttr
            return property.__get__(self, instance, owner)

    def __set_name__(self, owner: type, name: str) -> None:
        if self._name not in {None, name}:
            msg = f"cannot assign the same WeakAttr to two different names ({self._name!r} and {name!r})"
            raise TypeError(msg)
        key = key_of(name)
        if not owner.__dictoffset__:
            _write_to_class(owner, key, _Table(name))
            _declare_slot(owner, key)
        elif not _is_protocol(owner):
            _write_to_class(owner, key, None)  # what is read until something is assigned, else __getattr__() would be called
        self.settle(name, careful=_is_protocol(owner))

    def settle(self, name: str, *, careful: bool = False) -> None:
        """Make the functions that read, write and delete `name`; `careful` if nothing is there to be read before the first assignment."""
        self._name: str | None = name
        read = _make_read(name, self._on_dead, careful=careful)
        property.__init__(self, read, _make_write(name), _make_delete(name))  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]

    def __repr__(self) -> str:
        return f"<safemem.WeakAttr {self._name!r}>"

    if TYPE_CHECKING:
        _on_dead: Any


class _SettledWeakAttr(WeakAttr[T]):
    """The same once there are instances: at the speed of a property."""

    if not TYPE_CHECKING:
        __get__ = property.__get__


if TYPE_CHECKING:

    class _RaisingWeakAttr(WeakAttr[T]):
        """One that raises when its object is gone."""

        @overload
        def __get__(self, instance: None, owner: type | None = None) -> Self: ...
        @overload
        def __get__(self, instance: object, owner: type | None = None) -> T: ...
        def __get__(self, instance: Any, owner: type | None = None) -> Any: ...

    class _CallingWeakAttr(WeakAttr[T], Generic[T, F]):
        """One that calls a function when its object is gone."""

        @overload  # type: ignore[override]
        def __get__(self, instance: None, owner: type | None = None) -> Self: ...
        @overload
        def __get__(self, instance: object, owner: type | None = None) -> T | F | None: ...
        def __get__(self, instance: Any, owner: type | None = None) -> Any: ...  # pyright: ignore[reportIncompatibleMethodOverride]


def check_on_dead(on_dead: object) -> None:
    """Raise ValueError or TypeError unless it is one of the three that are allowed."""
    if not callable(on_dead) and not (isinstance(on_dead, str) and on_dead in {"ignore", "raise"}):
        msg = f"on_dead must be 'ignore', 'raise' or a callable, got {on_dead!r}"
        raise ValueError(msg) if isinstance(on_dead, str) else TypeError(msg)


def key_of(name: str) -> str:
    """Return the name under which instances have the reference: no identifier, so that it is nobody else's."""
    return f"@weak {name}"


class _Table:
    """Where the references of instances without a `__dict__` are found: a descriptor, so that it looks like one slot more to copies."""

    __slots__ = ("name", "references")

    def __init__(self, name: str) -> None:
        self.name = name
        self.references: WeakIdentityDict[Any, Any] = WeakIdentityDict()

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else self.references.get(instance)

    def __set__(self, instance: Any, reference: Any) -> None:
        if type(instance).__weakrefoffset__:
            self.references[instance] = reference
        elif reference is not None:
            cls = type(instance).__qualname__
            msg = (
                f"{cls}.{self.name} needs instances that have a __dict__ or can be weakly referenced, got one of {cls}, which has neither: add"
                " '__weakref__' to the __slots__ of the class (weakref_slot=True for a dataclass)"
            )
            raise TypeError(msg)

    def __delete__(self, instance: Any) -> None:
        try:
            del self.references[instance]
        except (KeyError, TypeError):
            raise AttributeError(self.name) from None


def _declare_slot(owner: type, key: str) -> None:
    """Name one slot more, after the layout of the class is made: copies and pickles take with them what the slots of a class name."""
    slots: Any = vars(owner).get("__slots__", ())
    if isinstance(slots, str):
        slots = (slots,)
    more: Any = {**slots, key: None} if isinstance(slots, dict) else (*slots, key)  # pyright: ignore[reportUnknownVariableType]
    _write_to_class(owner, "__slots__", more)


def _is_protocol(owner: type) -> bool:
    """Whether every attribute of the class is one that others must have; at this moment the class does not know that itself."""
    return any(base.__name__ == "Protocol" for base in owner.__bases__)


# What runs on every read is kept short: `self.KEY` becomes an access to the attribute in question, as if it had been written so.


def _named(function: Any, name: str) -> Any:
    code = function.__code__
    names = tuple(key_of(name) if each == "KEY" else each for each in code.co_names)
    return FunctionType(code.replace(co_names=names, co_name=name), function.__globals__, name, None, function.__closure__)


def _read_ignoring(self: Any) -> Any:
    reference = self.KEY
    return None if reference is None else reference()


def _fetch(self: Any) -> Any:
    return self.KEY


def _make_read(name: str, on_dead: Any, *, careful: bool) -> Callable[[Any], Any]:
    if on_dead == "ignore" and not careful:
        return _named(_read_ignoring, name)  # type: ignore[no-any-return]
    key = key_of(name)

    def fetch_carefully(self: Any) -> Any:
        try:
            return _read_attribute(self, key)
        except AttributeError:
            return None

    def ignore(_self: Any) -> None:
        return None

    def fail(self: Any) -> None:
        msg = f"{type(self).__qualname__}.{name} refers to an object that is gone"
        raise DeadReferenceError(msg)

    fetch = fetch_carefully if careful else _named(_fetch, name)
    answer = on_dead if callable(on_dead) else fail if on_dead == "raise" else ignore

    def read(self: Any) -> Any:
        reference = fetch(self)
        if reference is None:
            return None
        target = reference()
        return answer(self) if target is None else target

    return read


def _make_write(name: str) -> Callable[[Any, Any], None]:
    key = key_of(name)

    def write(self: Any, value: Any) -> None:
        if value is None or isinstance(value, WeakAttr):  # the latter is what dataclasses find as the default
            reference = None
        elif isinstance(value, (Reference, LateReference)):  # a copy is being made
            reference = value
        elif not type(value).__weakrefoffset__:
            raise unweakable(f"{type(self).__qualname__}.{name}", value)
        else:
            reference = Reference(value)
        _write_attribute(self, key, reference)

    return write


def _make_delete(name: str) -> Callable[[Any], None]:
    key = key_of(name)

    def delete(self: Any) -> None:
        try:
            _delete_attribute(self, key)
        except AttributeError:
            msg = f"{type(self).__name__!r} object has no attribute {name!r}"
            raise AttributeError(msg, name=name, obj=self) from None

    return delete


def _field_for_dataclass(attribute: WeakAttr[Any], caller: FrameType, owner: type | None) -> Any:
    """Return what the class attribute is: for the dataclass decorator, which looks for a default, a field that is not compared and not shown."""
    if caller.f_code.co_name != "_get_field" or caller.f_globals.get("__name__") != "dataclasses":
        return attribute
    if caller.f_back is not None and caller.f_back.f_locals.get("slots") and not _is_class_variable(caller.f_locals.get("a_type"), owner):
        name = attribute._name
        msg = (
            f"dataclass(slots=True) would drop the WeakAttr {name!r} of class {owner.__qualname__ if owner else '?'} and make it a slot that keeps"
            f" its object alive: make it a plain field, and put @weak_fields({name!r}) above the dataclass decorator"
        )
        raise TypeError(msg)
    from dataclasses import field

    return field(default=attribute, repr=False, compare=False)


def _is_class_variable(annotation: Any, owner: Any) -> bool:
    """Whether dataclasses takes an annotation for that of a class variable, which is no field: by its own rules."""
    import dataclasses

    typing = sys.modules["typing"]
    judges: Any = dataclasses
    if isinstance(annotation, str):
        return bool(judges._is_type(annotation, owner, typing, ClassVar, judges._is_classvar))
    return bool(judges._is_classvar(annotation, typing))
