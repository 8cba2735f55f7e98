"""What `sizeof` has been taught: functions for types, and for types whose module may never be imported."""

from __future__ import annotations

from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

from safemem._graph import namespace_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["find_by_name", "full_name", "measure_of", "register"]

_by_type: Final[dict[int, tuple[type, Callable[[Any], int]]]] = {}  # by address, for a class may have a hash of its own
_by_name: Final[dict[str, Callable[[Any], int]]] = {}
_module: Final[Any] = type.__dict__["__module__"].__get__
_qualname: Final[Any] = type.__dict__["__qualname__"].__get__


def register(kind: object, func: Callable[[Any], int]) -> None:
    """Take in a function for a type, or for the name of one."""
    if isinstance(kind, type):
        _by_type[id(kind)] = kind, func
        return
    if not isinstance(kind, str):
        msg = f"type must be a type or the name of one, got {kind!r}"
        raise TypeError(msg)
    parts = kind.split(".")
    if len(parts) < 2 or not all(part.isidentifier() for part in parts):
        msg = f"type must be named with its module, as in 'package.module.Class', got {kind!r}"
        raise ValueError(msg)
    _by_name[kind] = func


def measure_of(cls: type) -> Callable[[Any], int] | None:
    """Return the function that is registered for this very class, or that stands in it as `__safemem_size__`."""
    known = _by_type.get(id(cls))
    if known is not None:
        return known[1]
    named: Callable[[Any], int] | None = find_by_name(cls, _by_name)
    if named is not None:
        return named
    hook = namespace_of(cls).get("__safemem_size__")
    if hook is None or type(hook) is FunctionType:
        return hook
    msg = f"{full_name(cls)}.__safemem_size__ must be a method, got {type(hook).__name__}"
    raise TypeError(msg)


def find_by_name(cls: type, table: Mapping[str, Any]) -> Any:
    """Look a class up by its name with that of its module or of a package around it: `pandas.DataFrame`, wherever pandas keeps it."""
    module, qualname = _module(cls), _qualname(cls)
    if type(module) is not str:
        return None
    while module:
        found = table.get(f"{module}.{qualname}")
        if found is not None:
            return found
        module = module.rpartition(".")[0]
    return None


def full_name(cls: type) -> str:
    """Return the name of a class with that of its module."""
    return f"{_module(cls)}.{_qualname(cls)}"
