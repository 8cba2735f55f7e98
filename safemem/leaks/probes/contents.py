"""What is in the heap besides what the collector knows: strings, buffers and arrays, found as what others refer to."""

from __future__ import annotations

import gc
import sys
from collections import deque
from io import BufferedRandom, BufferedReader, BufferedWriter, BytesIO, StringIO, TextIOWrapper
from itertools import chain
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, cast

from safemem._compat import GIL_DISABLED
from safemem._graph import class_of
from safemem.leaks.probes.heap import loaded

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["arrays", "bytes_of", "large_and_arrays", "owner_of", "sizes_of"]

# What is smaller comes from Python's own allocator.
_SMALLEST: Final = 512

# Of these the interpreter itself knows the size; for other classes it is what they say, and saying it is their code.
_OF_TEXT: Final = (bytes, bytearray, str, BytesIO, StringIO, BufferedReader, BufferedWriter, BufferedRandom, TextIOWrapper)
_WEIGHED: Final = frozenset(map(id, (*_OF_TEXT, list, dict, set, frozenset, tuple, deque)))


def arrays() -> list[Any]:
    """Return the NumPy arrays that something refers to which the collector knows; arrays themselves it does not know. 150 ms for 1,000,000 objects."""
    kind = loaded("numpy", "ndarray")
    return [] if kind is None else list(_arrays(_inside(), kind).values())


def owner_of(array: Any) -> Any:
    """Return the array whose memory an array shows: another one if it is a view."""
    return array.base if type(array.base) is type(array) else array


def sizes_of(arrays: Iterable[Any]) -> set[tuple[int, int]]:
    """Return address and size of what arrays show: the next array is often made where the last but one was."""
    return {(id(owner), owner.nbytes) for owner in map(owner_of, arrays)}


def bytes_of(arrays: Iterable[Any]) -> int:
    """Return what arrays hold together, what views show counted once."""
    return sum(size for _, size in sizes_of(arrays))


def large_and_arrays() -> tuple[int, list[Any]]:
    """Return what large objects weigh together, in bytes, and all arrays. 500 ms for 1,000,000 objects."""
    kind = loaded("numpy", "ndarray")
    weighed = _WEIGHED | {id(kind), id(loaded("array", "array"))} - {id(None)}
    size = sys.getsizeof
    seen: dict[int, object] = {id(obj): obj for obj in _inside() if id(type(obj)) in weighed and size(obj) > _SMALLEST}
    found = {} if kind is None else _arrays(_inside(), kind)
    for array in found.values():
        base: object = array.base
        if base is not None and id(class_of(base)) in weighed:
            seen[id(base)] = base
    if GIL_DISABLED:  # all but the data of arrays is in an allocator of Python's own, not in the C library's
        return sum(size(obj) for obj in seen.values() if type(obj) is kind), list(found.values())
    return sum(map(size, seen.values())), list(found.values())


def _inside() -> Iterable[object]:
    """Return an iterator over all objects that the collector knows, and over all that they refer to.

    Modules are not asked: what is in them is in their dicts, and `_asyncio` hands out objects that it has freed (CPython gh-122695, before 3.12.6).
    """
    everything = [obj for obj in cast("list[object]", gc.get_objects()) if type(obj) is not ModuleType]
    return chain(everything, cast("Iterable[object]", chain.from_iterable(map(gc.get_referents, everything))))


def _arrays(objects: Iterable[object], kind: Any) -> dict[int, Any]:
    return {id(obj): obj for obj in objects if type(obj) is kind}
