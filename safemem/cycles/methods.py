"""What dataclasses and attrs have generated for a class, made again without some of its fields."""

from __future__ import annotations

import operator
from copy import copy
from reprlib import recursive_repr
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["fields_of", "leave_out", "type_of"]

_ORDER: Final = {"__lt__": operator.lt, "__le__": operator.le, "__gt__": operator.gt, "__ge__": operator.ge}


class _Part(NamedTuple):
    """One field of what is compared or shown, and what is done with its value first."""

    name: str
    change: Callable[[Any], Any] | None = None


class _Parts(NamedTuple):
    """The fields of which the generated methods are made."""

    eq: list[_Part]
    order: list[_Part]
    hash: list[_Part]
    repr: list[_Part]


def fields_of(cls: Any, *, inherited: bool = False) -> list[str] | None:
    """Return the names of the fields of a dataclass or attrs class; None for any other, and unless `inherited`, a plain subclass of one too."""
    there = hasattr if inherited else _has_itself
    if there(cls, "__dataclass_fields__"):
        import dataclasses

        return [field.name for field in dataclasses.fields(cls)]
    if there(cls, "__attrs_attrs__"):
        return [attribute.name for attribute in cls.__attrs_attrs__]
    return None


def type_of(cls: Any, name: str) -> object:
    """Return what a field of a dataclass or attrs class is annotated with; "" for any other class."""
    if "__dataclass_fields__" in vars(cls):
        return cls.__dataclass_fields__[name].type
    if "__attrs_attrs__" in vars(cls):
        return next(attribute.type for attribute in cls.__attrs_attrs__ if attribute.name == name)
    return ""


def _has_itself(cls: type, name: str) -> bool:
    return name in vars(cls)


def leave_out(cls: type, names: Iterable[str]) -> None:
    """Make the generated comparison, hash and repr of a class anew without these fields, and have the fields say so."""
    if "__dataclass_fields__" in vars(cls):
        parts = _dataclass_parts(cls, set(names))
    elif "__attrs_attrs__" in vars(cls):
        parts = _attrs_parts(cls, set(names))
    else:
        return
    if _is_generated(cls, "__eq__"):
        _put(cls, "__eq__", _make_comparison(operator.eq, parts.eq))
    for name, compare in _ORDER.items():
        if _is_generated(cls, name):
            _put(cls, name, _make_comparison(compare, parts.order))
    if _is_generated(cls, "__hash__"):
        _put(cls, "__hash__", _make_hash(parts.hash))
    if _is_generated(cls, "__repr__"):
        _put(cls, "__repr__", _make_repr(parts.repr))


def _dataclass_parts(cls: Any, names: set[str]) -> _Parts:
    import dataclasses

    known = cls.__dataclass_fields__
    for name in names:
        field = known[name] = copy(known[name])  # a base class may have the same
        field.compare = field.repr = False
        field.hash = None
    fields = dataclasses.fields(cls)
    compared = [_Part(field.name) for field in fields if field.compare]
    hashed = [_Part(field.name) for field in fields if (field.compare if field.hash is None else field.hash)]
    return _Parts(compared, compared, hashed, [_Part(field.name, repr) for field in fields if field.repr])


def _attrs_parts(cls: Any, names: set[str]) -> _Parts:
    known = cls.__attrs_attrs__
    fields = [each.evolve(eq=False, order=False, hash=False, repr=False) if each.name in names else each for each in known]
    type.__setattr__(cls, "__attrs_attrs__", type(known)(fields))
    hashed = [each for each in fields if (each.eq if each.hash is None else each.hash)]
    return _Parts(
        [_Part(each.name, each.eq_key) for each in fields if each.eq],
        [_Part(each.name, each.order_key) for each in fields if each.order],
        [_Part(each.name, each.eq_key) for each in hashed],
        [_Part(each.name, repr if each.repr is True else each.repr) for each in fields if each.repr],
    )


def _is_generated(cls: type, name: str) -> bool:
    """Whether the class has a method that no file of the user's defines."""
    method: Any = vars(cls).get(name)
    while hasattr(method, "__wrapped__"):
        method = method.__wrapped__
    if not isinstance(method, FunctionType):
        return False
    file = method.__code__.co_filename
    return file == "<string>" or file.startswith("<attrs generated") or method.__globals__.get("__name__") == "attr._make"


def _put(cls: type, name: str, method: Any) -> None:
    method.__name__, method.__qualname__, method.__module__ = name, f"{cls.__qualname__}.{name}", cls.__module__
    type.__setattr__(cls, name, method)


def _values(self: Any, parts: list[_Part]) -> tuple[Any, ...]:
    return tuple([getattr(self, name) if change is None else change(getattr(self, name)) for name, change in parts])


def _make_comparison(compare: Callable[[Any, Any], Any], parts: list[_Part]) -> Any:
    def method(self: Any, other: Any) -> Any:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return compare(_values(self, parts), _values(other, parts))

    return method


def _make_hash(parts: list[_Part]) -> Any:
    def method(self: Any) -> int:
        return hash(_values(self, parts))

    return method


def _make_repr(parts: list[_Part]) -> Any:
    def method(self: Any) -> str:
        shown = ", ".join(f"{part.name}={text}" for part, text in zip(parts, _values(self, parts), strict=True))
        return f"{type(self).__qualname__.rsplit('>.', 1)[-1]}({shown})"

    return recursive_repr("...")(method)
