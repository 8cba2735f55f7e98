"""The two inner loops of the audit: how much each container holds, and by which way objects are reached. No code of the objects is run."""

from __future__ import annotations

import gc
from itertools import chain
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from safemem._graph import class_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Table", "census", "find_paths", "referents_of"]

Table: TypeAlias = Any  # what one census knows, for the next one; made of numbers only

_COUNTED: Final[tuple[Any, ...]] = (tuple, list, dict, set, frozenset, str, bytes, bytearray)
_LENGTHS: Final[dict[int, Callable[[Any], int]]] = {id(cls): cls.__len__ for cls in _COUNTED}
_TAG = 16  # bits that tell types apart
_LATER = 1 << _TAG  # was missing in the first census


def census(objects: list[Any], before: Table = None, *, fresh: bool = False) -> tuple[Table, list[Any], list[Any]]:
    """Count what each of `objects` holds, and return `(table, grown, new)`.

    `grown` are those that hold more than they did in the census `before`; `new`, if `fresh` is true, those that were missing in the first of all
    censuses that followed each other. What an object holds is the number of its referents and what these hold if they are plain containers
    or texts, which an owner may replace by larger ones. Dicts that the collector does not know of are found through their owners.

    The table is made of addresses and numbers: it keeps nothing alive, and an address may by now be that of another object of the type.
    """
    table: dict[int, int] = {}
    grown: list[Any] = []
    new: list[Any] = []
    for obj in chain(objects, _hidden_dicts(objects)):
        number = id(obj)
        value = _mass(obj) << _TAG + 1 | (id(class_of(obj)) >> 4 & _LATER - 1)
        if before is not None:
            known = before.get(number)
            if known is None or (known ^ value) & _LATER - 1:
                value |= _LATER
            else:
                value |= known & _LATER
                if value > known:
                    grown.append(obj)
            if fresh and value & _LATER:
                new.append(obj)
        table[number] = value
    return table, grown, new


_space_of: Final[Any] = vars(ModuleType)["__dict__"].__get__


def referents_of(obj: Any) -> list[Any]:
    """Return what an object refers to; of a module only its dict, as `_asyncio` names objects that are freed (CPython gh-122695, before 3.12.6)."""
    if class_of(obj) is not ModuleType:
        return gc.get_referents(obj)
    space = _space_of(obj)
    return [] if space is None else [space]


def _mass(obj: Any) -> int:
    referents = referents_of(obj)
    mass = len(referents)
    for other in referents:
        kind = id(class_of(other))
        if kind in _LENGTHS:
            mass += _LENGTHS[kind](other)
    return mass


def _hidden_dicts(objects: Iterable[Any]) -> list[Any]:
    found: dict[int, Any] = {}
    is_tracked = gc.is_tracked
    for obj in objects:
        for other in referents_of(obj):
            if class_of(other) is dict and not is_tracked(other):
                found[id(other)] = other
    return list(found.values())


def find_paths(groups: list[list[Any]], targets: list[Any], avoid: list[Any]) -> list[list[Any] | None]:
    """Return for each of `targets` a shortest way to it from one of the roots, as the objects on it; None if there is none.

    The roots come in groups: those of a later group are only tried for what no earlier one leads to. What is in `avoid` is not passed.
    """
    wanted = set(map(id, targets))
    parents: dict[int, Any] = {id(obj): None for obj in avoid}
    blocked = wanted & parents.keys()
    wanted -= blocked
    for group in groups:
        if not wanted:
            break
        level: list[Any] = []
        for obj in group:
            if id(obj) not in parents:
                parents[id(obj)] = None
                wanted.discard(id(obj))
                level.append(obj)
        while level and wanted:
            level = _next_level(level, parents, wanted)
    reached = parents.keys()
    return [_way_to(obj, parents) if id(obj) in reached and id(obj) not in blocked else None for obj in targets]


def _next_level(level: list[Any], parents: dict[int, Any], wanted: set[int]) -> list[Any]:
    below: list[Any] = []
    for obj in level:
        for other in referents_of(obj):
            number = id(other)
            if number not in parents:
                parents[number] = obj
                below.append(other)
                if number in wanted:
                    wanted.discard(number)
    return below


def _way_to(obj: Any, parents: dict[int, Any]) -> list[Any]:
    way = [obj]
    while (parent := parents[id(way[-1])]) is not None:
        way.append(parent)
    way.reverse()
    return way
