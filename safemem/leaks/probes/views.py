"""NumPy views that keep a much larger array alive which nobody else uses."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from safemem.leaks.probes.item import Item

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["look"]

# A view is worth a word if its base is this large, and so many times as large as all that can be seen of it.
_LARGE: Final = 256 * 1024
_RATIO: Final = 8

_FIX: Final = "keep a copy of the part you need: view.copy(); bound what is kept with LRUCache(maxsize, getsizeof=...)"


def _count_of_local() -> int:
    local = object()
    return sys.getrefcount(local)


_OURS: Final = _count_of_local()  # the variable's, and until 3.13 the argument's


def look(found: list[Any]) -> Iterator[Item]:
    """Find views whose base is held by views alone."""
    views: dict[int, list[Any]] = {}
    for array in found:
        base = array.base
        if type(base) is type(array) and base.nbytes >= _LARGE:
            views.setdefault(id(base), []).append(array)
    for those in views.values():
        base = those[0].base
        seen = sum(view.nbytes for view in those)
        if seen * _RATIO <= base.nbytes and sys.getrefcount(base) <= len(those) + _OURS:  # a view refers to its base once
            name = f"{seen} bytes seen of {base.nbytes}"
            yield Item(id(those[0]), "growth", "view of a large array", name, _FIX, id(those[0]), bytes=base.nbytes, group="view")
