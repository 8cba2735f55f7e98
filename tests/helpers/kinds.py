"""One description of each cache class, so that a contract is written once and run for all of them."""

from __future__ import annotations

import gc
import math
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from safemem import LRUCache, TLRUCache, TTLCache, WeakCache

from .clock import Clock

_made: list[weakref.ref[Any]] = []


def for_ever(_key: object, _value: object, _now: float) -> float:
    """A `ttu` after which nothing expires."""
    return math.inf


class LivesFor:
    """A `ttu` that gives every item the same life: a TLRUCache with it is a TTLCache."""

    def __init__(self, ttl: float) -> None:
        self.ttl = ttl

    def __call__(self, _key: object, _value: object, now: float) -> float:
        return now + self.ttl


@dataclass(frozen=True)
class Kind:
    """A cache class and how to make one."""

    cls: type[Any]

    @property
    def name(self) -> str:
        """The name of the class."""
        return self.cls.__name__

    @property
    def timed(self) -> bool:
        """Whether its items can expire."""
        return self.cls is not LRUCache

    def arguments(self, ttl: float = math.inf, clock: Callable[[], float] | None = None) -> dict[str, Any]:
        """The keywords that this class needs beside those that every class has."""
        if not self.timed:
            return {}
        life = {"ttl": ttl} if self.cls is not TLRUCache else {"ttu": for_ever if ttl == math.inf else LivesFor(ttl)}
        return {**life, "timer": clock or Clock()}

    def required(self) -> list[Any]:
        """Those of them that can be given by position, after `maxsize`."""
        return [] if self.cls is WeakCache else list(self.arguments().values())

    def make(self, maxsize: float = 100, *, ttl: float = math.inf, clock: Callable[[], float] | None = None, **options: Any) -> Any:
        """Make a cache; a test that ends with an inconsistent one fails."""
        cache = self.cls(maxsize, **self.arguments(ttl, clock), **options)
        return watched(cache)

    def subclass(self, body: dict[str, Any]) -> Kind:
        """The same kind, with a subclass that has `body`."""
        return SubKind(type(f"My{self.name}", (self.cls,), body), self)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class SubKind(Kind):
    """A user's subclass of a cache class."""

    base: Kind

    @property
    def timed(self) -> bool:
        """Whether its items can expire."""
        return self.base.timed

    def arguments(self, ttl: float = math.inf, clock: Callable[[], float] | None = None) -> dict[str, Any]:
        """What the class below needs."""
        return self.base.arguments(ttl, clock)


LRU = Kind(LRUCache)
TTL = Kind(TTLCache)
TLRU = Kind(TLRUCache)
WEAK = Kind(WeakCache)
KINDS = (LRU, TTL, TLRU, WEAK)
TIMED = (TTL, TLRU, WEAK)


def watched(cache: Any) -> Any:
    """Have `cache` checked when the test is over, if it still exists then."""
    _made.append(weakref.ref(cache))
    return cache


def check_all() -> None:
    """Check the inner structure of every cache made since the last call."""
    made, _made[:] = _made[:], []
    for reference in made:
        cache = reference()
        if cache is not None:
            cache._check()


def settle() -> None:
    """Let the collector finish what a test left."""
    gc.collect()
