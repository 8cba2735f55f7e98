"""What objects weigh, asked of their builtin classes and never of themselves."""

from __future__ import annotations

from typing import Any, Final

from safemem._graph import class_of, mro_of, namespace_of

__all__ = ["own_size"]

_flags: Final[Any] = type.__dict__["__flags__"].__get__
_HEAP_TYPE: Final = 1 << 9
_HAS_GC: Final = 1 << 14
_HEADER: Final = 16


def own_size(obj: Any) -> int:
    """Return the bytes of an object alone, without what it refers to.

    >>> own_size("abc") == "abc".__sizeof__()
    True
    """
    cls = class_of(obj)
    header = _HEADER if _flags(cls) & _HAS_GC else 0
    for base in mro_of(cls):
        if _flags(base) & _HEAP_TYPE:
            continue
        sizer = namespace_of(base).get("__sizeof__")
        if sizer is not None:
            try:
                return header + int(sizer(obj))
            except Exception:  # noqa: BLE001 - half made
                return header
    return header
