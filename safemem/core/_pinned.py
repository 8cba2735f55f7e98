"""Found under `-X dev`: what no weak container can free, an entry one end of which keeps the other alive."""

from __future__ import annotations

import sys
import warnings
from types import FunctionType, ModuleType
from typing import Any

from safemem.errors import CycleWarning

__all__ = ["warn_if_immortal", "warn_if_owned"]

_MOST = 1000
_ATOMS = (str, bytes, int, float, complex, type(None), type, ModuleType, FunctionType)
_PASSED_OVER = ("safemem", "_collections_abc", "collections")


def warn_if_immortal(key: object, value: object, name: str) -> None:
    """Warn, at the place of the store, if `key` leads to `value` by strong references: the entry keeps the key, and so the value.

    The search looks at a thousand objects at most, and never through types, modules and functions.
    """
    if key is value or _leads_to(key, value):
        ends = f"key of type {type(key).__name__!r} refers to its value of type {type(value).__name__!r}"
        _warn(
            f"{ends} and keeps it alive: the entry cannot leave the {name} by itself; use a key that does not refer to it, such as its id"
        )


def warn_if_owned(owner: object, value: object, name: str) -> None:
    """Warn, at the place of the store, if `value` leads to its `owner`: the container keeps the value, and so the owner. As for keys."""
    if owner is value or _leads_to(value, owner):
        ends = f"value of type {type(value).__name__!r} refers to its owner of type {type(owner).__name__!r}"
        _warn(f"{ends} and keeps it alive: the entry cannot leave the {name} by itself; store what does not refer to the owner")


def _warn(message: str) -> None:
    warnings.warn(message, CycleWarning, stacklevel=_level_of_the_caller())


def _leads_to(start: Any, target: object) -> bool:
    import gc

    queue: list[Any] = [start]
    seen = {id(start)}
    for item in queue:
        if isinstance(item, _ATOMS):
            continue
        for other in gc.get_referents(item):
            if other is target:
                return True
            if id(other) not in seen and len(seen) < _MOST:
                seen.add(id(other))
                queue.append(other)
    return False


def _level_of_the_caller() -> int:
    """Return the `stacklevel`, for who calls this, of the first frame outside of this package and of the abstract mappings."""
    level = 1
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _PASSED_OVER:
        frame = frame.f_back
        level += 1
    return level
