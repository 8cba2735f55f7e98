"""The collector during a check: it waits until it is asked, and is left as it was found."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Self

__all__ = ["QuietCollector", "save_garbage"]


class QuietCollector:
    """A block in which no collection starts by itself; `was_off` tells whether the program had turned the collector off.

    What the block did to the thresholds stays; else they are as before.
    """

    __slots__ = ("_thresholds", "was_off")

    def __enter__(self) -> Self:
        self._thresholds = gc.get_threshold()
        self.was_off = not gc.isenabled() or not self._thresholds[0]
        gc.set_threshold(0)
        return self

    def __exit__(self, *_: object) -> None:
        if not gc.get_threshold()[0]:
            gc.set_threshold(*self._thresholds)


def save_garbage() -> list[Any]:
    """Run the collector and return what it would have freed, once its finalisers and weak references have been seen to; empty it soon."""
    flags = gc.get_debug()
    known = len(gc.garbage)
    gc.set_debug((flags | gc.DEBUG_SAVEALL) & ~gc.DEBUG_STATS)
    try:
        gc.collect()
    finally:
        gc.set_debug(flags)
    found = gc.garbage[known:]
    del gc.garbage[known:]
    return found
