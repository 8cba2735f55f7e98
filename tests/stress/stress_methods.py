"""Cached methods and properties of instances that come and go in many threads, addresses used over and over."""

from __future__ import annotations

import random
from typing import Any

from helpers.stress import stress

from safemem import cached, cached_property


class Owner:
    """With a `__dict__`."""

    def __init__(self, number: int) -> None:
        self.number = number

    @cached(maxsize=3)
    def method(self, x: int) -> tuple[int, int]:
        return self.number, x

    @cached_property
    def value(self) -> list[int]:
        return [self.number]

    @classmethod
    @cached(maxsize=3)
    def of_class(cls, x: int) -> int:
        return x


class Slotted:
    """Without."""

    __slots__ = ("__weakref__", "number")
    __hash__ = None

    def __init__(self, number: int) -> None:
        self.number = number

    @cached(maxsize=3)
    def method(self, x: int) -> tuple[int, int]:
        return self.number, x

    @cached_property
    def value(self) -> list[int]:
        return [self.number]


shared: list[Any] = [Owner(number) for number in range(5)] + [Slotted(number) for number in range(5)]


def work(dice: random.Random) -> None:
    """Use new ones and shared ones."""
    number, x = dice.randrange(10**6), dice.randrange(6)
    for owner in (Owner(number), Slotted(number)):
        assert owner.method(x) == owner.method(x) == (number, x)
        assert owner.value == [number]
    owner = dice.choice(shared)
    assert owner.method(x) == (owner.number, x)
    assert owner.value == [owner.number]
    assert Owner.of_class(x) == x
    what = dice.randrange(30)
    if what == 0:
        owner.method.cache_clear()
    elif what == 1:
        type(owner).method.cache_clear()
    elif what == 2:
        owner.method.cache_remove(x)
    elif what == 3:
        position = dice.randrange(len(shared))
        shared[position] = type(shared[position])(dice.randrange(10**6))
    assert owner.method.cache_info().currsize <= 3


if __name__ == "__main__":
    stress(work)
