"""Random sequences of operations on caches of every class in a budget, side by side with a sum so naive that it cannot be wrong."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest
from helpers.clock import Clock
from helpers.kinds import KINDS
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from safemem import MemoryBudget, RemovalCause
from safemem.memory.measuring import key_bytes, own_bytes

NUMBERS = st.integers(0, 9)
SIZES = st.sampled_from([0, 1, 10, 100, 100, 250, 999, 5_000])
CACHES = st.integers(0, len(KINDS) - 1)
CAUSES = {cause.name for cause in RemovalCause}


class Value:
    """A value that is itself, of so many bytes, and that nobody but a cache holds."""

    __slots__ = ("__weakref__", "bytes")

    def __init__(self, nbytes: int) -> None:
        self.bytes = nbytes


def size(value: Value) -> int:
    """The size function of all caches."""
    return value.bytes


class Machine(RuleBasedStateMachine):
    """Four caches in one budget; nothing may ever be charged twice, forgotten, or left behind."""

    limit = 10**9

    @initialize(floors=st.lists(st.sampled_from([0, 0, 300, 900]), min_size=len(KINDS), max_size=len(KINDS)))
    def make(self, floors: list[int]) -> None:
        self.clock = Clock()
        self.budget = MemoryBudget(self.limit)
        self.other = MemoryBudget(10**9)
        self.told: Counter[str] = Counter()
        self.floors = floors
        self.caches = [kind.make(5, ttl=10, clock=self.clock, on_remove=self.tell) for kind in KINDS]
        for cache, floor in zip(self.caches, floors, strict=True):
            assert self.budget.attach(cache, size=size, min_bytes=floor) is cache

    def tell(self, _key: object, _value: object, cause: RemovalCause) -> None:
        self.told[cause.name] += 1

    def expected(self, cache: Any) -> int:
        """What the entries of a cache cost, added up."""
        if hasattr(cache, "expire"):
            cache.expire()
        items = list(iter(cache.items()))
        return sum(value.bytes + own_bytes(cache) + key_bytes(key) for key, value in items)

    def something_may_go(self) -> bool:
        """Whether any cache has an entry without which it would still have what it may keep."""
        return any(
            cache._charged - value.bytes - own_bytes(cache) - key_bytes(key) >= floor
            for cache, floor in zip(self.caches, self.floors, strict=True)
            for key, value in cache.items()
        )

    @rule(which=CACHES, number=NUMBERS, nbytes=SIZES)
    def store(self, which: int, number: int, nbytes: int) -> None:
        self.caches[which][number] = Value(nbytes)

    @rule(which=CACHES, number=NUMBERS)
    def store_the_same(self, which: int, number: int) -> None:
        value = self.caches[which].peek(number)
        if value is not None:
            self.caches[which][number] = value

    @rule(which=CACHES, number=NUMBERS, nbytes=SIZES)
    def setdefault(self, which: int, number: int, nbytes: int) -> None:
        self.caches[which].setdefault(number, Value(nbytes))

    @rule(which=CACHES, number=NUMBERS, nbytes=SIZES)
    def load(self, which: int, number: int, nbytes: int) -> None:
        self.caches[which].get_or_create(number, lambda: Value(nbytes))

    @rule(which=st.integers(1, len(KINDS) - 1), number=NUMBERS, nbytes=SIZES, life=st.sampled_from([0, 1, 5, math.inf]))
    def store_for(self, which: int, number: int, nbytes: int, life: float) -> None:
        self.caches[which].set(number, Value(nbytes), ttl=life)

    @rule(which=CACHES, number=NUMBERS)
    def use(self, which: int, number: int) -> None:
        self.caches[which].get(number)

    @rule(which=CACHES, number=NUMBERS)
    def remove(self, which: int, number: int) -> None:
        self.caches[which].pop(number, None)

    @rule(which=CACHES)
    def popitem(self, which: int) -> None:
        try:
            self.caches[which].popitem()
        except KeyError:
            pass

    @rule(which=CACHES, count=st.integers(0, 3))
    def evict(self, which: int, count: int) -> None:
        self.caches[which].evict(count)

    @rule(which=CACHES, maxsize=st.sampled_from([0, 1, 3, 5, 5, 5, 100]))
    def resize(self, which: int, maxsize: int) -> None:
        self.caches[which].resize(maxsize)
        self.caches[which].resize(max(maxsize, 1))

    @rule(which=CACHES)
    def clear(self, which: int) -> None:
        self.caches[which].clear()

    @rule(seconds=st.sampled_from([1, 3, 20]))
    def tick(self, seconds: float) -> None:
        self.clock.tick(seconds)

    @rule(which=CACHES)
    def detach_and_attach(self, which: int) -> None:
        cache = self.caches[which]
        before = self.budget.used
        charged = cache._charged
        self.budget.detach(cache)
        assert self.budget.used == before - charged
        self.other.attach(cache, size=size)
        with pytest.raises(ValueError, match="cache is in another budget"):
            self.budget.attach(cache)
        self.other.detach(cache)
        assert self.other.used == 0
        self.budget.attach(cache, size=size, min_bytes=self.floors[which])

    @rule(which=CACHES)
    def attach_again(self, which: int) -> None:
        self.budget.attach(self.caches[which], size=size, min_bytes=self.floors[which])

    @rule(which=CACHES)
    def begin_with_another(self, which: int) -> None:
        kind = KINDS[which]
        self.caches[which] = kind.make(5, ttl=10, clock=self.clock, on_remove=self.tell)
        self.budget.attach(self.caches[which], size=size, min_bytes=self.floors[which])

    @rule(nbytes=st.sampled_from([0, 1, 200, 2_000]))
    def reclaim(self, nbytes: int) -> None:
        before = self.budget.used
        floors = [min(cache._charged, floor) for cache, floor in zip(self.caches, self.floors, strict=True)]
        freed = self.budget.reclaim(nbytes)
        assert before - self.budget.used == freed
        assert freed >= nbytes or not self.something_may_go()
        assert all(cache._charged >= floor for cache, floor in zip(self.caches, floors, strict=True))

    @invariant()
    def adds_up(self) -> None:
        if not hasattr(self, "budget"):
            return
        assert self.budget.used == sum(cache._charged for cache in self.caches)
        for cache in self.caches:
            expected = self.expected(cache)
            assert cache._charged == expected
            assert cache._account is self.budget._ledger
            cache._check()
        assert self.budget.used == sum(cache._charged for cache in self.caches)
        assert self.budget.stats().reclaimable == self.budget.used
        assert set(self.told) <= CAUSES

    @invariant()
    def is_within_its_limit(self) -> None:
        if hasattr(self, "budget"):
            assert self.budget.used <= self.limit or not self.something_may_go()


class TightMachine(Machine):
    """The same with room for some of it only."""

    limit = 2_000


class NoRoomMachine(Machine):
    """The same with room for nothing but what is protected."""

    limit = 0


SETTINGS = settings(
    max_examples=40,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
for machine in (Machine, TightMachine, NoRoomMachine):
    machine.TestCase.settings = SETTINGS

TestWide = Machine.TestCase
TestTight = TightMachine.TestCase
TestNoRoom = NoRoomMachine.TestCase
