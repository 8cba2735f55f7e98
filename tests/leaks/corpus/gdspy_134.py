"""heitzmann/gdspy, issue 134: a table of the module with objects as keys keeps all of them."""

from __future__ import annotations

import weakref

KINDS = ["growth", "cache"]
HOLDER = ["_bounding_boxes"]
FIX = ["WeakIdentityDict", "LRUCache"]


class Cell:
    def box(self, table: "dict[Cell, tuple[int, int]] | weakref.WeakKeyDictionary[Cell, tuple[int, int]]") -> None:
        table[self] = (0, 1)


_bounding_boxes: dict[Cell, tuple[int, int]] = {}
_weak_boxes: weakref.WeakKeyDictionary[Cell, tuple[int, int]] = weakref.WeakKeyDictionary()


def leak() -> None:
    Cell().box(_bounding_boxes)


def mended() -> None:
    Cell().box(_weak_boxes)
