"""The keys that operations are measured with: which are stored beforehand, and which are asked for, in what order."""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable
from typing import NamedTuple, TypeAlias

__all__ = [
    "BLOCK",
    "KeyMaker",
    "Keys",
    "Thing",
    "absent",
    "equal",
    "hot",
    "nothing",
    "number",
    "once",
    "pair",
    "same",
    "text",
    "thing",
    "turnover",
    "unstored",
]

# Keys are asked for in blocks of this many, so that a sample can be cut to length whatever the number of entries.
BLOCK = 100

_ORDER = 20_26


class Keys(NamedTuple):
    """The keys stored beforehand, and the blocks of keys that samples go through, round and round."""

    stored: list[Hashable]
    asked: list[list[Hashable]]


KeyMaker: TypeAlias = Callable[[int], Keys]
MakeOne: TypeAlias = Callable[[int], Hashable]


def text(number: int) -> str:
    return f"key-{number:07}"


def number(number: int) -> int:
    return 1_000_000 + number


class Thing:
    """What a weak container may hold: an object that can be weakly referenced."""

    __slots__ = ("__weakref__", "number")

    def __init__(self, number: int) -> None:
        self.number = number


def thing(number: int) -> Thing:
    return Thing(number)


def pair(number: int) -> tuple[str, int]:
    return (f"user-{number:07}", number)


def same(make: MakeOne) -> KeyMaker:
    """Ask for all that is stored, in random order, with the very objects."""

    def keys(n: int) -> Keys:
        stored = [make(i) for i in range(n)]
        return Keys(stored, _blocks([stored[i] for i in _shuffled(n)]))

    return keys


def equal(make: MakeOne) -> KeyMaker:
    """Ask for all that is stored, in random order, with objects that are equal but not identical."""
    return lambda n: Keys([make(i) for i in range(n)], _blocks([make(i) for i in _shuffled(n)]))


def hot(make: MakeOne) -> KeyMaker:
    """Ask for a hundred of what is stored, in random order, with the very objects."""

    def keys(n: int) -> Keys:
        stored = [make(i) for i in range(n)]
        return Keys(stored, _blocks([stored[i] for i in _shuffled(n)[:BLOCK]]))

    return keys


def absent(make: MakeOne) -> KeyMaker:
    """Ask for as many keys as are stored, none of which is."""
    return lambda n: Keys([make(i) for i in range(n)], _blocks([make(n + i) for i in _shuffled(n)]))


def turnover(make: MakeOne) -> KeyMaker:
    """Ask for twice as many keys as fit, one after the other: each went more than `n` keys ago, and is new again."""

    def keys(n: int) -> Keys:
        pool = [make(i) for i in range(-(-2 * n // BLOCK) * BLOCK)]
        return Keys(pool[-n:], _blocks(pool))

    return keys


def once(make: MakeOne) -> KeyMaker:
    """Ask one thing of the whole, with no key."""
    return lambda n: Keys([make(i) for i in range(n)], [[None]])


def nothing(_n: int) -> Keys:
    """Store nothing, and ask with no key."""
    return Keys([], [[None]])


def unstored(make: MakeOne) -> KeyMaker:
    """Store nothing, and use a hundred objects in turn."""
    return lambda _n: Keys([], [[make(i) for i in range(BLOCK)]])


def _shuffled(n: int) -> list[int]:
    order = list(range(n))
    random.Random(_ORDER).shuffle(order)
    return order


def _blocks(keys: list[Hashable]) -> list[list[Hashable]]:
    return [keys[start : start + BLOCK] for start in range(0, len(keys), BLOCK)]
