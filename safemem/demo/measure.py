"""Counts and weighs what is still alive after a piece of work, without being told where to look."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from collections.abc import Set as AbstractSet
from types import BuiltinFunctionType, CodeType, FrameType, FunctionType, ModuleType
from typing import Self

__all__ = ["Counted", "built", "start_count", "survivors", "weigh"]

# Whoever reaches one of these has left the object and entered the program, from where almost everything is reachable.
_NOT_ENTERED = (type, ModuleType, FunctionType, BuiltinFunctionType, CodeType, FrameType, weakref.ref, threading.Thread)


class Counted:
    """Base of the objects whose survivors the table counts.

    Every instance is noted by a weak reference when it is created, so a survivor is found whoever holds it.
    """

    __slots__ = ("__weakref__",)

    def __new__(cls, *_args: object, **_kwargs: object) -> Self:
        """Create the object and note it."""
        self = super().__new__(cls)
        _born.append((cls, weakref.ref(self)))
        return self


_born: list[tuple[type[Counted], weakref.ref[Counted]]] = []


def start_count() -> None:
    """Forget the objects noted so far."""
    _born.clear()


def built(kind: type[Counted]) -> int:
    """Return how many objects of this class were created since `start_count()`, dead ones included."""
    return sum(issubclass(cls, kind) for cls, _ in _born)


def survivors() -> list[Counted]:
    """Collect garbage, then return every counted object that is still alive."""
    gc.collect()
    return [obj for _, ref in _born if (obj := ref()) is not None]


def weigh(root: object, known: AbstractSet[int] = frozenset()) -> int:
    """Return the bytes of an object and of all it refers to, but for classes, functions, modules and objects of a known id.

    >>> weigh(b"") == sys.getsizeof(b"")
    True
    >>> shared = bytes(1000)
    >>> 1000 < weigh([shared, shared]) < 2000
    True
    """
    seen = {id(root)}
    layer, total = [root], 0
    while layer:
        total += sum(map(sys.getsizeof, layer))
        below: list[object] = []
        for obj in gc.get_referents(*layer):
            if id(obj) not in seen and id(obj) not in known:
                seen.add(id(obj))
                if not isinstance(obj, _NOT_ENTERED):
                    below.append(obj)
        layer = below
    return total
