"""The containers of the program that `gc.freeze()` hides from `gc.get_objects()`.

Servers that fork their workers set aside what there is by then (`gc.freeze()`), and the dicts and lists that leak in a worker are often older than
that. Nothing lists them, so they are looked for on the ways that lead from the program's modules and running functions.
"""

from __future__ import annotations

import gc
from itertools import chain
from typing import Any, Final

from safemem._graph import class_of
from safemem.leaks.heap import referents_of
from safemem.leaks.roots import boundaries, is_tool

__all__ = ["all_objects", "set_aside"]


def all_objects(aside: list[Any]) -> list[Any]:
    """Return the objects that the collector lists, and those that were set aside: in its own list, for one made of both would be listed, and hold itself."""
    objects = gc.get_objects()
    objects += aside
    return objects


def set_aside() -> list[Any]:
    """Return the objects that were set aside and can be reached; nothing, at no cost, if there are none.

    Who audits a stretch of the program holds them for as long: what was set aside at the start of a program is meant to live. The walk takes one
    to two seconds for a million objects. Ways into tools are not followed, what they hold is theirs.
    """
    if not gc.get_freeze_count():
        return []
    known = set(map(id, gc.get_objects()))
    starts, closed = boundaries()
    seen = {id(obj) for obj in chain(closed, chain.from_iterable(map(referents_of, closed)))}
    of_tools: dict[int, bool] = {}  # by the address of the class
    found: list[Any] = []
    below = {id(obj): obj for obj in starts}
    while below:
        level: list[Any] = []
        for number, obj in below.items():
            if number not in seen and gc.is_tracked(obj):
                seen.add(number)
                kind = class_of(obj)
                if id(kind) not in of_tools:
                    of_tools[id(kind)] = _is_of_tool(kind)
                if not of_tools[id(kind)]:
                    level.append(obj)
        found += [obj for obj in level if id(obj) not in known]
        below = {id(other): other for obj in level for other in referents_of(obj)}
    return found


def _is_of_tool(kind: type) -> bool:
    module: Any = _module_of(kind)
    return class_of(module) is str and is_tool(module)


_module_of: Final[Any] = type.__dict__["__module__"].__get__
