"""What a leak script needs: exact counts of references, and memory that must stay flat."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Callable, Iterable
from typing import Any

ROUNDS = 10_000
ALLOWED_BYTES = 8_000


class Unique:
    """An object that is not interned, not immortal, not cached by the interpreter, and counts how many of it there are."""

    __slots__ = ("__weakref__", "number")
    alive = 0

    def __init__(self, number: int = 0) -> None:
        self.number = number
        Unique.alive += 1

    def __del__(self) -> None:
        Unique.alive -= 1

    def __reduce__(self) -> tuple[type[Unique], tuple[int]]:
        return Unique, (self.number,)


def unique_keys(count: int) -> list[str]:
    """Keys that no table of interned strings holds."""
    return [f"key {number} {object()}" for number in range(count)]


def counts(objects: Iterable[object]) -> list[int]:
    """The reference count of each object."""
    return [sys.getrefcount(item) for item in objects]


def same_counts(objects: list[Any], work: Callable[[], object], rounds: int = 50) -> None:
    """Fail unless `work`, done many times, leaves every reference count where it was; the collector stays off."""
    work()
    gc.collect()
    gc.disable()
    before = counts(objects)
    for _ in range(rounds):
        work()
    after = counts(objects)
    gc.enable()
    assert after == before, f"reference counts changed by {[late - early for early, late in zip(before, after, strict=True)]}"


def flat(work: Callable[[int], object], rounds: int = ROUNDS) -> None:
    """Fail if memory grows over `rounds` calls of `work(number)`, with the collector off, after as many to warm up."""
    warm = rounds // 4
    for number in range(warm):
        work(number)
    gc.collect()
    gc.disable()
    tracemalloc.start()
    for number in range(warm, warm + 100):
        work(number)
    alive = Unique.alive
    start = tracemalloc.get_traced_memory()[0]
    for number in range(warm + 100, warm + 100 + rounds):
        work(number)
    garbage = gc.collect()  # the interpreter's own free lists count as memory until then
    grown = tracemalloc.get_traced_memory()[0] - start
    tracemalloc.stop()
    gc.enable()
    assert garbage < rounds // 100, f"{garbage} objects were left to the collector after {rounds} rounds"
    assert grown < ALLOWED_BYTES, f"{grown} bytes more after {rounds} rounds"
    assert Unique.alive <= alive + rounds // 100, f"{Unique.alive - alive} objects more after {rounds} rounds"


def ignore(work: Callable[[], object], *errors: type[BaseException]) -> None:
    """Do it; these errors are expected."""
    try:
        work()
    except errors:
        pass
