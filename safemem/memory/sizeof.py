"""How many bytes an object takes, with everything it refers to."""

from __future__ import annotations

import gc
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["sizeof"]


class _SizeOf:
    """The function `sizeof`, which can be taught."""

    def __init__(self) -> None:
        self._registered: dict[type, Callable[[Any], int]] = {}

    def register(self, kind: type | str, func: Callable[[Any], int] | None = None) -> Any:
        """Say how to measure objects of a type; also as a decorator."""
        if func is None:
            return partial(self.register, kind)
        if isinstance(kind, type):
            self._registered[kind] = func
        return func

    def __call__(self, obj: object, *, exact: bool = False) -> int:
        """Return how many bytes an object takes."""
        del exact
        total, seen, stack = 0, set[int](), [obj]
        while stack:
            found = stack.pop()
            if id(found) in seen or isinstance(found, type):
                continue
            seen.add(id(found))
            total += sys.getsizeof(found)
            stack += gc.get_referents(found)
        return total


sizeof: Final = _SizeOf()
