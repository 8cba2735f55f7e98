"""How much room the attributes of an instance take where there is no dict: an array of pointers whose length only its class knows.

CPython 3.11 and later keep the attributes of most instances in such an array, as long as a class has keys that its instances share.
`sys.getsizeof` leaves it out, and asking for `__dict__` to see it would make the object larger for good. The length is the sum of two counters in
the class's table of keys (`dk_usable` and `dk_nentries`, Objects/dictobject.c). They are read with ctypes, after a trial with a class of our own
has shown that they stand where they are expected; where it fails, the array is taken to be as long as those of a class with many instances:
one more than there are attributes.
"""

from __future__ import annotations

import sys
from typing import Any, Final, NamedTuple

from safemem._graph import class_of, mro_of

__all__ = ["Room", "has_array", "is_split", "prefix_of"]

_MANAGED_DICT: Final = 1 << 4  # Py_TPFLAGS_MANAGED_DICT
_INLINE_VALUES: Final = 1 << 2  # Py_TPFLAGS_INLINE_VALUES, 3.13 and later
_HEAP_TYPE: Final = 1 << 9  # Py_TPFLAGS_HEAPTYPE
_POINTER: Final = 8 if sys.maxsize > 1 << 32 else 4
_flags: Final[Any] = type.__dict__["__flags__"].__get__
_qualname: Final[Any] = type.__dict__["__qualname__"].__get__
_basicsize: Final[Any] = type.__dict__["__basicsize__"].__get__
_dict_size: Final[Any] = vars(dict)["__sizeof__"]

_IN_OBJECT: Final = sys.version_info >= (3, 13)  # where the array is a part of the instance, and stays when there is a dict
_DICT_REFERS: Final = sys.version_info >= (3, 14)  # where a dict that uses the array is a referent of the instance
_DICT: Final = sys.getsizeof({})
_PLACES_OF_DICT: Final = (-3 * _POINTER, -_POINTER)  # with and without the collector's links before an object


class _Layout(NamedTuple):
    """What the trial found out; 0 for what it did not."""

    keys: int  # where in a class the address of its keys stands
    dict: int  # where before an instance the address of its dict stands, if it has an array as well
    at: Any = None  # what gives the number at an address, as its `value`


_layout: _Layout | None = None


def has_array(cls: type) -> bool:
    """Whether instances of a class keep their attributes in an array, as long as nobody asks for their dict."""
    if not _flags(cls) & _MANAGED_DICT:
        return False
    if _IN_OBJECT:
        return bool(_flags(cls) & _INLINE_VALUES)
    # Only object.__new__ makes one.
    return all(base is object or _flags(base) & _HEAP_TYPE for base in mro_of(cls))


class Room:
    """The room for attributes in the instances of one class."""

    __slots__ = ("_settled",)

    def __init__(self) -> None:
        self._settled = 0  # with each of the first thirty instances of a class, the array of the next becomes shorter

    def of(self, obj: object, found: list[Any]) -> int:
        """Return how many bytes the array takes in the youngest instance of an object's class; `found` is what the object refers to."""
        last: Any = found[-1] if found else None
        has_dict = class_of(last) is dict
        if not _IN_OBJECT and has_dict and (len(found) == 1 or is_split(last)):
            return 0
        layout = _layout or _find_layout()
        length = self._settled or max(self._find(type(obj), layout) or len(found) + 1, len(found))
        total = prefix_of(length) + length * _POINTER
        if has_dict and _DICT_REFERS and is_split(last):  # it uses the array, and counts it as its own
            total -= sys.getsizeof(last) - _DICT
        # Until 3.13 a dict that uses the array is no referent of the instance.
        elif layout.dict and (address := layout.at(id(obj) + layout.dict).value) and address != id(last):
            total += _DICT
        return total

    def _find(self, cls: type, layout: _Layout) -> int:
        usable, used = _counters(cls, layout.keys, layout.at) if layout.keys else (0, 0)
        if used and usable <= 1:
            self._settled = usable + used
        return usable + used


def prefix_of(length: int) -> int:
    """Return the size of what comes before an array: in which order the values were set, a byte each, and more, rounded up to pointers."""
    return _rounded(length) + _POINTER if _IN_OBJECT else _rounded(length + 2)


def is_split(attributes: dict[Any, Any]) -> bool:
    """Whether the keys of a dict belong to a class: then it is smaller than any that could hold them, or of no size that such a one has."""
    size, entries = sys.getsizeof(attributes), len(attributes)
    if size > _DICT + _MOST * _POINTER:
        return False
    return size not in _WITH_KEYS or entries > 10 or (entries > 5 and size < _WITH_KEYS[-1])


_MOST: Final = 30  # SHARED_KEYS_MAX_SIZE
_WITH_KEYS: Final = (_DICT, sys.getsizeof({"": 0}), sys.getsizeof({0: 0}), sys.getsizeof(dict.fromkeys("abcdef")))


def _rounded(size: int) -> int:
    return -(-size // _POINTER) * _POINTER


# -- the trial --------------------------------------------------------------------------------------------------------------------------------


def _counters(cls: type, place: int, at: Any) -> tuple[int, int]:
    """Return how many attributes the keys of a class have room for yet, and how many they have."""
    keys = at(id(cls) + place).value
    if not keys:
        return 0, 0
    usable, used = at(keys + 16).value, at(keys + 24).value
    return (usable, used) if 0 <= usable <= 30 and 0 <= used <= 30 else (0, 0)


def _find_layout() -> _Layout:
    global _layout  # noqa: PLW0603 - found out once
    if (
        sys.implementation.name == "cpython" and _POINTER == 8 and sys.version_info < (3, 16)
    ):  # where nobody has looked, an address may be none
        try:
            _layout = _try_layout()
        except ImportError:  # no ctypes
            pass
    _layout = _layout or _Layout(0, 0)
    return _layout


def _try_layout() -> _Layout:
    """Find the address of a class's keys, which stands behind that of its qualified name, and prove it with instances whose length shows."""
    from ctypes import c_ssize_t

    at = c_ssize_t.from_address

    class Trial:
        def __init__(self) -> None:
            self.first = self.second = None

    name = id(_qualname(Trial))
    places = [place for place in range(0, _basicsize(type) - 8, 8) if at(id(Trial) + place).value == name]
    if len(places) != 1:
        return _Layout(0, 0)
    found = set(_PLACES_OF_DICT)
    for _ in range(3):
        trial = Trial()
        found = {place for place in found if at(id(trial) + place).value == 0}
        length = (_dict_size(trial.__dict__) - _dict_size({})) // _POINTER
        found = {place for place in found if at(id(trial) + place).value == id(trial.__dict__)}
        if not 2 <= length == sum(_counters(Trial, places[0] + 8, at)):
            return _Layout(0, 0)
    return _Layout(places[0] + 8, found.pop() if _IN_OBJECT and found else 0, at)
