"""Where something was made: the line of the user's own code, as far as it is known without running any of it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import CodeType, FrameType, FunctionType, MethodType
from typing import Any, Final

from safemem._graph import class_of

__all__ = ["count_as_own", "is_installed", "is_own_code", "made_at", "opener_of", "place_of", "place_of_code", "place_of_function"]

_PACKAGE: Final = str(Path(__file__).resolve().parent.parent) + os.sep
_own_packages: Final[set[str]] = set()
_LIBRARY: Final = os.path.dirname(os.__file__) + os.sep


def is_own_code(filename: str) -> bool:
    """Whether a file is the user's: neither the standard library's, nor installed, nor this package's, nor made up by the interpreter."""
    return not (filename.startswith(("<", _PACKAGE, _LIBRARY)) or is_installed(filename))


def is_installed(filename: str) -> bool:
    """Whether a file is part of an installed package, other than those that count as the user's own."""
    for name in ("site-packages", "dist-packages"):
        _, found, inside = filename.rpartition(f"{os.sep}{name}{os.sep}")
        if found:
            return inside.partition(os.sep)[0].removesuffix(".py") not in _own_packages
    return False


def count_as_own(package: str) -> None:
    """From now on take an installed package for the user's own: it is the program that is audited."""
    _own_packages.add(package)


def place_of(frame: FrameType | None) -> str | None:
    """Return `file:line` of the innermost call in the user's own code; of the innermost at all if there is none."""
    first = frame
    for _ in range(50):
        if frame is None:
            break
        if is_own_code(frame.f_code.co_filename):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back
    return None if first is None else f"{first.f_code.co_filename}:{first.f_lineno}"


def opener_of(frame: FrameType | None) -> tuple[str | None, bool]:
    """Return `place_of` a frame, and whether it is an installed library that makes the call, be it through the standard library."""
    place = place_of(frame)
    for _ in range(50):
        if frame is None:
            break
        name = frame.f_code.co_filename
        if is_installed(name):
            return place, True
        if is_own_code(name):
            break
        frame = frame.f_back
    return place, False


def place_of_code(code: CodeType) -> str:
    """Return `file:line` of where a function's code begins."""
    return f"{code.co_filename}:{code.co_firstlineno}"


def place_of_function(func: Any) -> str | None:
    """Return `file:line` of where a function, method or partial is defined; None for what is not written in Python."""
    for _ in range(20):
        kind = class_of(func)
        if kind is FunctionType:
            return place_of_code(func.__code__)
        if kind is MethodType:
            func = func.__func__
        elif kind.__module__ == "functools" and kind.__name__ == "partial":
            func = func.func
        else:
            return None
    return None


def made_at(obj: object) -> str | None:
    """Return `file:line` of where an object was made, if tracemalloc was on by then."""
    tracemalloc = sys.modules.get("tracemalloc")
    if tracemalloc is None or not tracemalloc.is_tracing():
        return None
    trace = tracemalloc.get_object_traceback(obj)
    if not trace:
        return None
    own = [frame for frame in trace if is_own_code(frame.filename)]
    frame = own[-1] if own else trace[-1]  # the innermost is the last
    return f"{frame.filename}:{frame.lineno}"
