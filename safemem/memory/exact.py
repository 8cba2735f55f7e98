"""The size of an object with everything it refers to, by looking at all of it."""

from __future__ import annotations

import sys
from sys import getsizeof
from typing import Any, Final

from safemem.memory.kinds import LEAVES, QUIET, SHARED, plan_of

__all__ = ["ONE_DIGIT", "ONE_DIGIT_PADDING", "measure", "of_leaves"]

_STEP: Final = 4096
ONE_DIGIT: Final = getsizeof(1)
ONE_DIGIT_PADDING: Final = -ONE_DIGIT % 8


def measure(obj: Any) -> int:
    """Add up everything, each thing once; takes time and memory in proportion to how many things there are."""
    total, seen, pending = 0, set[int](), [obj]
    while pending:
        members = pending[-_STEP:]
        del pending[-_STEP:]
        fresh = dict(zip(map(id, members), members, strict=True))
        for known in (SHARED, seen):
            if not known.isdisjoint(fresh):
                for address in known.intersection(fresh):
                    del fresh[address]
        seen.update(fresh)
        objects = [*fresh.values()]
        kinds = [*map(id, map(type, objects))]
        leaves = objects if LEAVES.issuperset(kinds) else [each for each, kind in zip(objects, kinds, strict=True) if kind in LEAVES]
        total += of_leaves(leaves)
        if len(leaves) < len(objects):
            for each, kind in zip(objects, kinds, strict=True):
                if kind not in LEAVES and kind not in QUIET:
                    total += _look(each, seen, pending)
    return total


def _look(obj: Any, seen: set[int], pending: list[Any]) -> int:
    plan = plan_of(obj)
    if not plan.counts:
        return 0
    if plan.measure is not None:
        return plan.measure(obj)
    total = 0
    if plan.blocks is not None:
        for place, size in plan.blocks(obj, sys.maxsize):
            if place not in seen:
                seen.add(place)
                total += size
    if plan.look is None:
        return total + plan.size(obj)
    size, found, _ = plan.look(obj, sys.maxsize)
    pending += found
    return total + size


def of_leaves(leaves: list[Any]) -> int:
    """Return the size of objects that refer to nothing.

    `sys.getsizeof` says 28 bytes for an int of one digit, and the interpreter allocates the size of its struct, which is a multiple of eight.
    """
    sizes = [*map(getsizeof, leaves)]
    return sum(sizes) + ONE_DIGIT_PADDING * sizes.count(ONE_DIGIT)
