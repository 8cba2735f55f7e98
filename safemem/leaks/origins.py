"""Whose code an object belongs to: the program's own, an installed library's, or the standard library's; told from names and files alone."""

from __future__ import annotations

import sys
from types import CoroutineType, FrameType, FunctionType, GeneratorType
from typing import Any, Final

from safemem._graph import class_of, is_of_class_statement
from safemem.leaks.names import attributes_of_module, is_class
from safemem.leaks.places import is_installed
from safemem.leaks.roots import is_module

__all__ = ["LIBRARY", "PROGRAM", "STANDARD", "origin_of", "origin_of_module"]

PROGRAM: Final = "program"
LIBRARY: Final = "library"
STANDARD: Final = "standard"

_get: Final[Any] = vars(dict)["get"]
_module: Final[Any] = type.__dict__["__module__"].__get__


def origin_of(obj: Any) -> str | None:
    """Return whose code an object is an instance or a part of; None for what is built in, for classes and for modules."""
    kind = class_of(obj)
    if kind is FunctionType:
        return _of_code(obj.__code__, obj.__module__)
    if kind is FrameType:
        return _of_code(obj.f_code, _get(obj.f_globals, "__name__"))
    if kind is GeneratorType or kind is CoroutineType:
        return _of_code(obj.gi_code if kind is GeneratorType else obj.cr_code, None)
    if is_class(obj) or is_module(obj) or not is_of_class_statement(obj):
        return None
    return _of_module(_module(kind))


def _of_code(code: Any, module: Any) -> str | None:
    name = code.co_filename
    if name.startswith("<"):  # made from a text: by whom, only the module can tell
        return _of_module(module)
    return LIBRARY if is_installed(name) else _of_module(module) or PROGRAM


def _of_module(name: Any) -> str | None:
    return origin_of_module(name) if class_of(name) is str else None


def origin_of_module(name: str) -> str:
    """Return whose code a module is."""
    if name == "__main__":
        return PROGRAM
    if name.partition(".")[0] in sys.stdlib_module_names:
        return STANDARD
    module = sys.modules.get(name)
    file: Any = attributes_of_module(module).get("__file__") if is_module(module) else None
    return LIBRARY if class_of(file) is str and is_installed(file) else PROGRAM
