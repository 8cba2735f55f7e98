"""weak_fields: fields of dataclasses and attrs classes that do not keep their values alive."""

from __future__ import annotations

import copyreg
import re
from types import MemberDescriptorType
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from safemem.cycles.attributes import WeakAttr, check_on_dead, key_of
from safemem.cycles.methods import fields_of, leave_out, type_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["weak_fields"]

C = TypeVar("C", bound=type[Any])

_read_attribute: Final = object.__getattribute__

# Who gathers and restores the state of an instance, if it is not code of the user's: the names of the generated functions.
_DATACLASS_STATE: Final = {"_dataclass_getstate", "_dataclass_setstate"}
_ATTRS_STATE: Final = {"slots_getstate", "slots_setstate"}
_STATES: Final = (_DATACLASS_STATE, _ATTRS_STATE)


def weak_fields(*names: str, on_dead: Literal["ignore", "raise"] | Callable[[Any], object] = "ignore") -> Callable[[C], C]:
    """Make fields of a dataclass or attrs class weak: they read as before, but do not keep their values alive.

    The outermost decorator of the class, above `@dataclass` or `@attrs.define`. It takes the place of `WeakAttr` where the fields are
    slots; the reference is kept in the field's own slot. What is true of a `WeakAttr` is true of the fields: `on_dead`, what may be assigned,
    copies and pickles. Everything the class has stays: `__init__`, defaults, `fields()`, `replace()`, frozen, `kw_only`, pattern matching,
    subclasses; with two exceptions:

    * generated comparison, hash and repr leave the fields out: they would go around in circles;
    * `asdict()` follows them as it follows any field, and so cannot be used on trees whose nodes refer to each other.

    A class of slots needs `__weakref__` for its own instances to be referred to: `dataclass(slots=True, weakref_slot=True)`; attrs classes
    have it. A subclass that declares such a field again, or makes a slot of it, has to be decorated again.

    TypeError for a name that is no field, and for a class that is none of these.

    >>> from dataclasses import dataclass, field
    >>> @weak_fields("parent")
    ... @dataclass(slots=True, weakref_slot=True)
    ... class Node:
    ...     name: str
    ...     parent: "Node | None" = None
    ...     children: list["Node"] = field(default_factory=list)
    >>> root = Node("root")
    >>> leaf = Node("leaf", parent=root)
    >>> root.children.append(leaf)
    >>> leaf.parent is root
    True
    >>> print(root)
    Node(name='root', children=[Node(name='leaf', children=[])])
    >>> del root
    >>> print(leaf.parent)
    None
    """
    check_on_dead(on_dead)
    _check_names(names)

    def decorate(cls: C) -> C:
        found = [_find(cls, name) for name in names]  # all of them, before anything is changed
        for name in names:
            _check_weakable(cls, name)
        for name, there in zip(names, found, strict=True):
            _install(cls, name, there, on_dead)
        slots = [name for name, there in zip(names, found, strict=True) if isinstance(there, MemberDescriptorType)]
        if slots:
            _have_references_in_state(cls)
        leave_out(cls, names)
        return cls

    return decorate


weak_fields.__module__ = "safemem"


def _check_names(names: tuple[object, ...]) -> None:
    for name in names:
        if not isinstance(name, str):
            msg = f"names must be names of fields, as in @weak_fields('parent'), got {name!r}"
            raise TypeError(msg)
    if not names:
        msg = "names must have at least one name of a field, as in @weak_fields('parent'), got none"
        raise TypeError(msg)


def _find(cls: Any, name: str) -> Any:
    """Return what the class has in the place of a field: a slot, a weak attribute, or None if instances have it in their `__dict__`."""
    if not isinstance(cls, type):
        msg = f"weak_fields decorates classes, got {cls!r}"
        raise TypeError(msg)
    there = _static(cls, name)
    fields = fields_of(cls)
    if fields is None:
        if isinstance(there, MemberDescriptorType):
            return there
        msg = (
            f"weak_fields must be the outermost decorator, above @dataclass or @attrs.define: class {cls.__qualname__} is neither, and has no slot"
            f" {name!r}; in a plain class write {name} = WeakAttr()"
        )
        raise TypeError(msg)
    if name not in fields:
        msg = f"class {cls.__qualname__} has no field {name!r}, it has {', '.join(map(repr, fields)) or 'none'}"
        raise TypeError(msg)
    if isinstance(there, (MemberDescriptorType, WeakAttr)):
        return there  # pyright: ignore[reportUnknownVariableType]
    if not cls.__dictoffset__:
        msg = f"field {name!r} of class {cls.__qualname__} has no place in its instances"
        raise TypeError(msg)
    return None


def _static(cls: Any, name: str) -> Any:
    mro: tuple[type, ...] = cls.__mro__
    return next((vars(base)[name] for base in mro if name in vars(base)), None)


def _check_weakable(cls: Any, name: str) -> None:
    """Raise TypeError if the field is for instances of the class itself, and these cannot be weakly referenced."""
    if cls.__weakrefoffset__:
        return
    annotation = type_of(cls, name)
    if re.search(rf"\b{re.escape(cls.__name__)}\b", annotation if isinstance(annotation, str) else repr(annotation)):
        msg = (
            f"field {name!r} is for objects of class {cls.__qualname__}, which cannot be weakly referenced: write @dataclass(slots=True,"
            " weakref_slot=True), or add '__weakref__' to its __slots__"
        )
        raise TypeError(msg)


def _install(cls: type, name: str, there: Any, on_dead: Any) -> None:
    if isinstance(there, WeakAttr) and there._on_dead == on_dead:
        return
    attribute: WeakAttr[Any] = WeakAttr(on_dead)
    if there is None:
        attribute.__set_name__(cls, name)
    else:
        if isinstance(there, MemberDescriptorType):
            type.__setattr__(cls, key_of(name), there)
        attribute.settle(name)
    type.__setattr__(cls, name, attribute)


def _have_references_in_state(cls: Any) -> None:
    """See to it that copies and pickles are made of the references; the usual ways gather the state by reading the slots."""
    if cls.__reduce_ex__ is object.__reduce_ex__:
        type.__setattr__(cls, "__reduce_ex__", _make_reduce(cls))
        return
    # A base class has its own way, as TreeNode and Disposable do; it asks for the state.
    makers = {_maker(cls.__getstate__), _maker(getattr(cls, "__setstate__", None))}
    if makers in _STATES or (cls.__getstate__ is object.__getstate__ and not hasattr(cls, "__setstate__")):
        type.__setattr__(cls, "__getstate__", _make_getstate(makers))


def _make_getstate(makers: set[str]) -> Any:
    def __getstate__(self: Any) -> Any:  # noqa: N807
        return _gather(self, makers)

    return __getstate__


def _make_reduce(kind: Any) -> Any:
    """Return a `__reduce_ex__` that has the references in the state; the usual one gathers it by reading the slots."""

    def __reduce_ex__(self: Any, protocol: int) -> Any:  # noqa: N807
        state = _state(self)
        if state is None:
            return super(kind, self).__reduce_ex__(protocol)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        return copyreg.__newobj__, (type(self),), state  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue]

    return __reduce_ex__


def _state(self: Any) -> Any:
    """Return the state of an instance as the generated code of its class would, with references; None where that is the user's business."""
    cls: Any = type(self)  # pyright: ignore[reportUnknownVariableType]
    if cls.__reduce__ is not object.__reduce__ or any(hasattr(cls, name) for name in ("__getnewargs__", "__getnewargs_ex__")):
        return None
    if issubclass(cls, (list, dict)):  # their items are more than state
        return None
    getter, setter = cls.__getstate__, getattr(cls, "__setstate__", None)
    makers = {_maker(getter), _maker(setter)}
    if makers in _STATES or (getter is object.__getstate__ and setter is None):
        return _gather(self, makers)
    return None


def _gather(self: Any, makers: set[str]) -> Any:
    """Return what the functions of these names would, or those of `object` if there are none, with references."""
    cls: Any = type(self)  # pyright: ignore[reportUnknownVariableType]
    if makers == _DATACLASS_STATE:
        return list(_values(self, fields_of(cls, inherited=True)).values())
    if makers == _ATTRS_STATE:
        return _values(self, fields_of(cls, inherited=True))
    slots = _values(self, copyreg._slotnames(cls))  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    return (getattr(self, "__dict__", None) or None, slots)


def _maker(function: Any) -> str:
    return getattr(getattr(function, "__code__", None), "co_name", "")


def _values(self: Any, names: Any) -> dict[str, Any]:
    """Return the values of those that have one; of a weak field, the reference."""
    found: dict[str, Any] = {}
    for name in names:
        try:
            found[name] = _read_attribute(self, key_of(name)) if isinstance(_static(type(self), name), WeakAttr) else getattr(self, name)
        except AttributeError:
            continue
    return found
