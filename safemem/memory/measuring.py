"""What an entry costs a budget: the bytes of its value, of its key and of its place in the cache, and what it takes to make it again."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any, Final

from safemem.core import NATIVE, TTLCore, WeakCore
from safemem.core._account import PLAIN
from safemem.memory.sizeof import sizeof

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LARGEST", "Measure", "key_bytes", "own_bytes"]

# What is larger is no size of anything, and no core could add it up.
LARGEST: Final = 1 << 62

# What a place in a table takes beside its key and its value: measured, see the tests.
_PLACE: Final = 68 if NATIVE else 360
_DEADLINE: Final = 16 if NATIVE else 130
_WEIGHT: Final = 8 if NATIVE else 0


def own_bytes(cache: Any) -> int:
    """Return what an entry of a cache takes beside its key and its value."""
    timed: bool = isinstance(cache, TTLCore) and not (NATIVE and isinstance(cache, WeakCore))
    return _PLACE + _DEADLINE * timed + _WEIGHT * bool(cache._weighs)


def key_bytes(key: object) -> int:
    """Return what a key takes: with its items if it is a tuple, without what an object of any other class refers to.

    >>> key_bytes("name") == sys.getsizeof("name")
    True
    """
    if type(key) in PLAIN:
        return sys.getsizeof(key)
    kind = type(key)
    items: Any = key
    if kind is not tuple:
        return kind.__basicsize__
    return sys.getsizeof(items) + sum(sys.getsizeof(item) if type(item) in PLAIN else type(item).__basicsize__ for item in items)


class Measure:
    """Measures the entries of one cache: called with key and value, returns bytes and cost. Calls the user's functions.

    Attributes:
        own: what is added for the entry itself.
        common: what all entries cost, None if a function says it, or if a function says what they weigh.
    """

    __slots__ = ("_cost", "_size", "common", "own")

    def __init__(self, own: int, size: Callable[[Any], float] | None, cost: Any) -> None:
        self.own = own
        self._size = size
        self._cost = 1.0 if cost is None else cost
        self.common: float | None = None if callable(self._cost) or size is not None else float(self._cost)

    def __call__(self, key: Any, value: Any) -> tuple[int, float]:
        """Return what an entry takes, in bytes, and what it costs."""
        size = self._size
        if size is not None:
            nbytes = math.ceil(_number("size", size(value)))
        else:
            nbytes = (
                sys.getsizeof(value) if type(value) in PLAIN else min(sizeof(value), LARGEST >> 1)
            )  # what an object says itself may be a lie
        cost = self._cost
        return self.own + key_bytes(key) + nbytes, _number("cost", cost(key, value)) if callable(cost) else cost


def _number(name: str, number: Any) -> float:
    try:
        valid = 0 <= number < LARGEST
    except TypeError:
        msg = f"{name} must return a number, got {number!r}"
        raise TypeError(msg) from None
    if not valid:
        msg = f"{name} must return a finite number >= 0, and less than 2**62, got {number!r}"
        raise ValueError(msg)
    return number  # type: ignore[no-any-return]
