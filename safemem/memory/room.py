"""How much room the attributes of an instance take where there is no dict: an array of pointers whose length only its class knows.

CPython 3.11 and later keep the attributes of most instances in such an array, as long as a class has keys that its instances share.
`sys.getsizeof` leaves it out, and asking for `__dict__` to see it would make the object larger for good. The length is the sum of two counters in
the class's table of keys (`dk_usable` and `dk_nentries`, Objects/dictobject.c). They are read with ctypes, after a trial with a class of our own
has shown that they stand where they are expected; where it fails, the array is taken to be as long as those of a class with many instances:
one more than there are attributes.
"""

from __future__ import annotations

import sys
from typing import Any, Final

__all__ = ["STAYS", "Room", "has_array"]

_MANAGED_DICT: Final = 1 << 4  # Py_TPFLAGS_MANAGED_DICT
_INLINE_VALUES: Final = 1 << 2  # Py_TPFLAGS_INLINE_VALUES, 3.13 and later
_POINTER: Final = 8 if sys.maxsize > 1 << 32 else 4
_flags: Final[Any] = type.__dict__["__flags__"].__get__
_qualname: Final[Any] = type.__dict__["__qualname__"].__get__
_basicsize: Final[Any] = type.__dict__["__basicsize__"].__get__
_dict_size: Final[Any] = vars(dict)["__sizeof__"]

# From 3.13 the array is a part of the instance, and stays when there is a dict.
STAYS: Final = sys.version_info >= (3, 13)

_place: int | None = None  # where in a class the address of its keys stands; 0 after a trial that failed


def has_array(cls: type) -> bool:
    """Whether instances of a class keep their attributes in an array, as long as nobody asks for their dict."""
    flags = _flags(cls)
    return bool(flags & _MANAGED_DICT) and (not STAYS or bool(flags & _INLINE_VALUES))


class Room:
    """The room for attributes in the instances of one class."""

    __slots__ = ("_settled",)

    def __init__(self) -> None:
        self._settled = 0  # with each of the first thirty instances of a class, the array of the next becomes shorter

    def of(self, cls: type, attributes: int) -> int:
        """Return how many bytes the array takes in the youngest instance of the class, if it has that many attributes."""
        length = self._settled or max(self._find(cls) or attributes + 1, attributes)
        # A byte a value comes first, which says in which order they were set; and so do one pointer (from 3.13) or two bytes (before).
        return _rounded(length) + (length + 1) * _POINTER if STAYS else _rounded(length + 2) + length * _POINTER

    def _find(self, cls: type) -> int:
        global _place  # noqa: PLW0603 - found out once
        if _place is None:
            _place = _find_place()
        usable, used = _counters(cls, _place) if _place else (0, 0)
        if used and usable <= 1:
            self._settled = usable + used
        return usable + used


def _rounded(size: int) -> int:
    return -(-size // _POINTER) * _POINTER


def _counters(cls: type, place: int) -> tuple[int, int]:
    """Return how many attributes the keys of a class have room for yet, and how many they have."""
    from ctypes import c_ssize_t

    keys = c_ssize_t.from_address(id(cls) + place).value
    if not keys:
        return 0, 0
    usable, used = c_ssize_t.from_address(keys + 16).value, c_ssize_t.from_address(keys + 24).value
    return (usable, used) if 0 <= usable <= 30 and 0 <= used <= 30 else (0, 0)


def _find_place() -> int:
    """Find the address of the keys in a class: it stands behind that of the qualified name. Prove it with instances whose length shows."""
    if sys.implementation.name != "cpython" or _POINTER != 8 or sys.version_info >= (3, 15):
        return 0  # where nobody has looked, an address may be none
    try:
        from ctypes import c_ssize_t
    except ImportError:
        return 0

    class Trial:
        def __init__(self) -> None:
            self.first = self.second = None

    name = id(_qualname(Trial))
    places = [place for place in range(0, _basicsize(type) - 8, 8) if c_ssize_t.from_address(id(Trial) + place).value == name]
    if len(places) != 1:
        return 0
    place = places[0] + 8
    for _ in range(3):
        trial = Trial()
        length = (_dict_size(trial.__dict__) - _dict_size({})) // _POINTER
        if not 2 <= length == sum(_counters(Trial, place)):
            return 0
    return place
