"""Picks the inner loops of the audit: the compiled ones where they were built and there is a GIL, else those in Python."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from safemem.core import NATIVE, _heap
from safemem.core._heap import referents_of

__all__ = ["Table", "census", "find_paths", "referents_of"]

if TYPE_CHECKING:
    from safemem.core._heap import Table, census, find_paths
else:
    _native = sys.modules["safemem.core._native"] if NATIVE else None
    Table = Any
    census = getattr(_native, "census", _heap.census)
    find_paths = getattr(_native, "find_paths", _heap.find_paths)
