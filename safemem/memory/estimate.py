"""The size of an object with everything it refers to, estimated in bounded time from samples.

The walk goes level by level. What is met on a level stands for `weight` times as many things: one, until something was too large to be looked at in
full. Plain values are added up in bulk; of the containers on a level a few are opened, and what they hold stands for what all of them hold, in
proportion to their own sizes. Things that are met more than once are shared, and count once; how many such things there are behind a sample in
which some repeat is estimated by the number of those that came once and those that came twice (A. Chao, Nonparametric estimation of the number of
classes in a population, 1984).
"""

from __future__ import annotations

from collections import Counter
from itertools import chain, compress
from sys import getsizeof
from typing import TYPE_CHECKING, Any, Final

from safemem._graph import class_of
from safemem.memory.exact import ONE_DIGIT, ONE_DIGIT_PADDING, of_leaves
from safemem.memory.kinds import CHANGED, LEAVES, QUIET, SHARED, plan_of
from safemem.memory.looks import draw
from safemem.memory.room import is_split

if TYPE_CHECKING:
    from typing import TypeAlias

    from safemem.memory.looks import Samples

    Group: TypeAlias = tuple[float, list[Any]]

__all__ = ["estimate"]

_LOOK: Final = 640  # things that are looked at
_LOOK_MOST: Final = 480  # of them in one container at most,
_LOOK_LEAST: Final = 8  # and at least
_OPEN: Final = 40  # containers that are opened
_OPEN_SHARE: Final = 5  # the part of those left that a level may open,
_OPEN_LEAST: Final = 1  # and how many at least
_FEW: Final = 128  # things that are looked at one by one
_COLUMNS: Final = 64  # what has more is no table
_ROWS: Final = 4  # or fewer of these
_LARGE: Final = 1 << 16  # bytes: more than a container takes that is looked at in full
_HEAD: Final = 3  # as much as so many things is what a container takes itself,
_INSTANCE: Final = 8  # and an instance with what it refers to
_DICT: Final = id(dict)
_SEQUENCES: Final = {id(list), id(tuple)}
_PLAIN: Final = {_DICT, *_SEQUENCES, id(set), id(frozenset)}


def estimate(obj: Any) -> int:
    """Estimate the size of an object with everything it refers to; takes a fraction of a millisecond, however large it is."""
    small = _small(obj)
    if small is not None:
        return small
    walk = _Walk(obj)
    groups = walk.enter(1.0, [obj])
    while groups:
        level: dict[float, list[Any]] = {}
        for weight, members in groups:
            level[weight] = level[weight] + members if weight in level else members
        groups = [found for weight, members in level.items() for found in walk.weigh(weight, members)]
    return round(walk.total)


def _small(obj: Any) -> int | None:
    """Add up a few things one by one, which is exact and takes half the time; None if there are more."""
    total, seen, pending = 0, set[int](), [obj]
    for each in pending:
        address, kind = id(each), id(class_of(each))
        if address in seen or address in SHARED or kind in QUIET:
            continue
        seen.add(address)
        if kind in LEAVES:
            size = getsizeof(each)
            total += size + ONE_DIGIT_PADDING if size == ONE_DIGIT else size
            continue
        own = getsizeof(each) if kind in _PLAIN and kind not in CHANGED else _LARGE
        if own < _LARGE and len(each) <= _FEW and not (kind == _DICT and is_split(each)):
            total += own
            pending += each
            if kind == _DICT:
                pending += each.values()
        else:
            found = _look_into_small(each)
            if found is None:
                return None
            total += found[0]
            pending += found[1]
        if len(pending) > _FEW:
            return None
    return total


def _look_into_small(obj: Any) -> tuple[int, list[Any]] | None:
    plan = plan_of(obj)
    if not plan.counts:
        return 0, []
    if plan.measure is not None or plan.blocks is not None:
        return None
    if plan.look is None:
        return plan.size(obj), []
    size, found, samples = plan.look(obj, _FEW)
    return None if samples else (size, found)


class _Walk:
    """One walk: what was met, what it adds up to, and how much more may be looked at."""

    __slots__ = ("look", "open", "seen", "total")

    def __init__(self, obj: Any) -> None:
        self.total = 0.0
        self.seen = {id(obj)}
        self.look = _LOOK
        self.open = _OPEN

    def weigh(self, weight: float, members: list[Any]) -> list[Group]:
        """Add up things each of which stands for as many as the weight says, and return what they refer to."""
        self.look -= len(members)
        if weight > 1.0:  # things that differ, as far as that can be told
            if not SHARED.isdisjoint(map(id, members)):
                members = [each for each in members if id(each) not in SHARED]
        else:
            members = self._unseen(members)
        kinds = [*map(id, map(type, members))]
        present = {*kinds}
        if present <= LEAVES:
            self.total += weight * of_leaves(members)
            return []
        if not (LEAVES.isdisjoint(present) and QUIET.isdisjoint(present)):
            self.total += weight * of_leaves([*compress(members, map(LEAVES.__contains__, kinds))])
            present -= LEAVES | QUIET
            members = [*compress(members, map(present.__contains__, kinds))]
        return self.enter(weight, members) if members else []

    def _unseen(self, members: list[Any]) -> list[Any]:
        fresh = dict(zip(map(id, members), members, strict=True))
        for known in (SHARED, self.seen):
            if not known.isdisjoint(fresh):
                for address in known.intersection(fresh):
                    del fresh[address]
        self.seen.update(fresh)
        return [*fresh.values()]

    def enter(self, weight: float, containers: list[Any]) -> list[Group]:
        """Open as many containers as may be, and let them stand for the others."""
        sampled = weight > 1.0
        number = min(max(self.open // _OPEN_SHARE, _OPEN_LEAST), self.open)
        if not sampled and len(containers) <= self.open // 2:
            number = len(containers)
        chosen = containers
        if len(containers) > number:
            if not number:
                self.total += weight * sum(plan_of(each).size(each) for each in containers)
                return []
            chosen = draw(containers.__getitem__, len(containers), number, number)
            weight *= _amount(containers) / _amount(chosen)
        if sampled:
            chosen = self._unseen(chosen)
        self.open -= len(chosen)
        room = min(max(self.look // (len(chosen) or 1), _LOOK_LEAST), _LOOK_MOST)
        groups: list[Group] = []
        lists: list[list[Any]] = []
        for each, kind in zip(chosen, map(id, map(type, chosen)), strict=True):
            own = getsizeof(each) if kind in _PLAIN and kind not in CHANGED else _LARGE
            if own < _LARGE and len(each) <= room and not (kind == _DICT and is_split(each)):
                self.total += weight * own
                found = [*each, *each.values()] if kind == _DICT else [*each]
            else:
                found, samples = self._look(weight, each, room)
                for factor, drawn in samples:
                    groups += _spread(weight * factor, drawn)
            if len(found) > 2 * room:  # the collector knows no part of an object
                groups += _spread(weight * len(found) / room, draw(found.__getitem__, len(found), room))
            elif found:
                lists.append(found)
        if lists:
            groups += _columns(weight, lists)
        return groups

    def _look(self, weight: float, obj: Any, room: int) -> tuple[list[Any], Samples]:
        plan = plan_of(obj)
        if not plan.counts:
            return [], ()
        if plan.measure is not None:
            self.total += weight * plan.measure(obj)
            return [], ()
        if plan.blocks is not None:
            for place, size in plan.blocks(obj, room):
                if place not in self.seen:
                    self.seen.add(place)
                    self.total += weight * size
        if plan.look is None:
            self.total += weight * plan.size(obj)
            return [], ()
        size, found, samples = plan.look(obj, room)
        self.total += weight * size
        return found, samples


def _amount(containers: list[Any]) -> int:
    """Return how much is in containers, in no particular unit: by the number of things, where it is known without asking."""
    kinds = [*map(id, map(type, containers))]
    if _PLAIN.issuperset(kinds):
        return sum(map(len, containers)) + _HEAD * len(containers)
    return sum(len(each) + _HEAD if kind in _PLAIN else _INSTANCE for each, kind in zip(containers, kinds, strict=True))


def _columns(weight: float, lists: list[list[Any]]) -> list[Group]:
    """Return what containers hold in groups: if they are like the rows of a table, each column has its own way of repeating itself."""
    if weight <= 1.0 or len(lists) < _ROWS:
        return [(weight, [each for found in lists for each in found])]
    counts = Counter(map(id, chain.from_iterable(lists)))
    shared: list[Any] = []
    unique: list[Any] = []
    if len({*map(len, lists)}) > 1 or len(lists[0]) > _COLUMNS:
        for each in chain.from_iterable(lists):
            (unique if counts[id(each)] == 1 else shared).append(each)
        return [(1.0, shared), (weight, unique)]
    pooled: list[Any] = []
    for column in zip(*lists, strict=True):
        most = max(map(counts.__getitem__, map(id, column)))
        if most == 1:
            unique += column
        elif most >= len(column) and len({*map(id, column)}) == 1:
            shared.append(column[0])
        else:
            pooled += column
    return [(1.0, shared), (weight, unique), *_spread(weight, pooled)]


def _spread(weight: float, drawn: list[Any]) -> list[Group]:
    """Return what was drawn in two groups: what came once stands for others, what came again and again for itself."""
    if len({*map(id, drawn)}) == len(drawn):
        return [(weight, drawn)]
    counts = Counter(map(id, drawn))
    if len(counts) == 1:
        return [(1.0, drawn[:1])]
    found = dict(zip(map(id, drawn), drawn, strict=True))
    often = [found.pop(address) for address, count in counts.items() if count > 1]
    once = [*found.values()]
    pairs = [*counts.values()].count(2)
    if pairs:
        weight = min(weight, 1 + len(once) / (2 * pairs))
    return [(1.0, often), (weight, once)]
