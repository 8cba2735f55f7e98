"""Names for the edges between objects: where in a callable another object is held. No code of the objects is run."""

from __future__ import annotations

from functools import partial
from types import BuiltinMethodType, FunctionType, MethodType, MethodWrapperType
from typing import Any

__all__ = ["held_by"]


def held_by(func: Any, obj: object) -> str | None:
    """Return in words where a callable holds `obj`, or None if it does not; looks into functions, methods and partials.

    >>> class Window:
    ...     def show(self): ...
    >>> def watch(window):
    ...     return lambda: window.show()
    >>> window = Window()
    >>> held_by(watch(window), window), held_by(window.show, window), held_by(print, window)
    ("its closure, as variable 'window'", 'the object the method is bound to', None)
    """
    return _search(func, obj, 0)


def _search(func: Any, obj: object, depth: int) -> str | None:
    if depth > 20:
        return None
    if isinstance(func, partial):
        return _in_partial(func, obj, depth)  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(func, (MethodType, BuiltinMethodType, MethodWrapperType)):
        if func.__self__ is obj:
            return "the object the method is bound to"
        return _search(func.__func__, obj, depth + 1) if isinstance(func, MethodType) else None
    return _in_function(func, obj, depth) if isinstance(func, FunctionType) else None


def _in_partial(func: partial[Any], obj: object, depth: int) -> str | None:
    if any(argument is obj for argument in func.args):
        return "an argument of the partial"
    for name, value in func.keywords.items():
        if value is obj:
            return f"argument {name!r} of the partial"
    return _search(func.func, obj, depth + 1)


def _in_function(func: FunctionType, obj: object, depth: int) -> str | None:
    for name, cell in zip(func.__code__.co_freevars, func.__closure__ or (), strict=False):
        try:
            content = cell.cell_contents
        except ValueError:  # empty
            continue
        if content is obj:
            return f"its closure, as variable {name!r}"
        if isinstance(content, (MethodType, BuiltinMethodType, partial)) and _search(content, obj, depth + 1):
            return f"its closure, through variable {name!r}"
    if any(default is obj for default in func.__defaults__ or ()):
        return "a default of its parameters"
    for name, default in (func.__kwdefaults__ or {}).items():
        if default is obj:
            return f"the default of parameter {name!r}"
    return None
