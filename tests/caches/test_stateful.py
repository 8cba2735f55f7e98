"""Random sequences of operations, side by side with models so naive that they cannot be wrong."""

from __future__ import annotations

import copy
import math
from collections import Counter
from typing import Any

import pytest
from helpers.clock import SHARED, shared_clock
from helpers.fuse import FreshKey
from helpers.kinds import LRU, TLRU, TTL, Kind
from helpers.models import Model, TooLarge
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

NUMBERS = st.integers(0, 7)
WEIGHTS = st.sampled_from([0, 1, 1, 2, 3, 5, 0.5, 7, 13])
LIVES = st.sampled_from([0, 1, 2, 3, 5, 8, math.inf])
MAXSIZES = st.sampled_from([0, 1, 2, 3, 5, 8, 2.5, 12, math.inf])
ABSENT = object()


class Value:
    """A value that is itself, with a weight."""

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def __deepcopy__(self, memo: object) -> Value:
        return self


def weight_of(value: Value) -> float:
    """The `getsizeof` of the weighted machines."""
    return value.weight


class Machine(RuleBasedStateMachine):
    """What all machines do; each is told its kind of cache and whether to weigh."""

    kind: Kind
    weighted = False
    life = math.inf

    @initialize(maxsize=MAXSIZES)
    def make(self, maxsize: float) -> None:
        SHARED.jump(1000)
        self.model = Model(maxsize)
        self.model.see(SHARED.now)
        self.told: Counter[tuple[Any, Any, str]] = Counter()
        options = {"getsizeof": weight_of} if self.weighted else {}
        self.cache = self.kind.make(maxsize, ttl=self.life, clock=shared_clock, on_remove=self.remember, **options)

    def remember(self, key: Any, value: Any, cause: Any) -> None:
        self.told[key, value, cause.name] += 1

    def key(self, number: int) -> FreshKey:
        return FreshKey(number)

    def weight(self, value: Value) -> float:
        return value.weight if self.weighted else 1

    def store(self, number: int, weight: float, life: float | None) -> None:
        """Store in both; both refuse or neither."""
        if life != 0 or weight <= self.model.maxsize:  # which of the two reasons not to store comes first is nobody's business
            self.store_value(number, Value(weight), life)

    def store_value(self, number: int, value: Value, life: float | None) -> None:
        key = self.key(number)
        refused = False
        try:
            if life is None:
                self.cache[key] = value
            else:
                self.cache.set(key, value, ttl=life)
        except ValueError:
            refused = True
        try:
            self.model.set(key, value, self.weight(value), self.life if life is None else life)
        except TooLarge:
            assert refused
        else:
            assert not refused

    @rule(number=NUMBERS, weight=WEIGHTS)
    def set_item(self, number: int, weight: float) -> None:
        self.store(number, weight, None)

    @rule(number=NUMBERS)
    def set_same_value(self, number: int) -> None:
        value = self.model.peek(self.key(number))
        if value is not None:
            self.store_value(number, value, None)

    @rule(number=NUMBERS)
    def get(self, number: int) -> None:
        key = self.key(number)
        assert self.cache.get(key) is self.model.get(key)

    @rule(number=NUMBERS)
    def get_item(self, number: int) -> None:
        key = self.key(number)
        expected = self.model.get(key, ABSENT)
        if expected is ABSENT:
            with pytest.raises(KeyError):
                self.cache[key]
        else:
            assert self.cache[key] is expected

    @rule(number=NUMBERS)
    def look(self, number: int) -> None:
        key = self.key(number)
        expected = self.model.peek(key, ABSENT)
        assert self.cache.peek(key, ABSENT) is expected
        assert (key in self.cache) is (expected is not ABSENT)

    @rule(number=NUMBERS, weight=WEIGHTS)
    def setdefault(self, number: int, weight: float) -> None:
        key, value = self.key(number), Value(weight)
        if self.weight(value) > self.model.maxsize and self.model.peek(key) is None:
            return
        found = self.model.get(key)
        if found is None:
            self.model.set(key, value, self.weight(value), self.life)
        assert self.cache.setdefault(key, value) is (value if found is None else found)

    @rule(number=NUMBERS, weight=WEIGHTS)
    def get_or_create(self, number: int, weight: float) -> None:
        key, value = self.key(number), Value(weight)
        found = self.model.get(key)
        if found is None and self.weight(value) <= self.model.maxsize:
            self.model.set(key, value, self.weight(value), self.life)
        assert self.cache.get_or_create(key, lambda: value) is (value if found is None else found)

    @rule(number=NUMBERS)
    def delete(self, number: int) -> None:
        key = self.key(number)
        if self.model.delete(key):
            del self.cache[key]
        else:
            with pytest.raises(KeyError):
                del self.cache[key]

    @rule(number=NUMBERS)
    def pop(self, number: int) -> None:
        key = self.key(number)
        expected = self.model.peek(key, ABSENT)
        if expected is not ABSENT:
            self.model.delete(key)
        assert self.cache.pop(key, ABSENT) is expected

    @rule()
    def popitem(self) -> None:
        expected = self.model.popitem()
        if expected is None:
            with pytest.raises(KeyError):
                self.cache.popitem()
        else:
            assert self.cache.popitem() == expected

    @rule(count=st.integers(0, 4))
    def evict(self, count: int) -> None:
        assert self.cache.evict(count) == self.model.evict(count)

    @rule(maxsize=MAXSIZES)
    def resize(self, maxsize: float) -> None:
        self.cache.resize(maxsize)
        self.model.resize(maxsize)

    @rule(numbers=st.lists(NUMBERS, max_size=4), weight=WEIGHTS)
    def update(self, numbers: list[int], weight: float) -> None:
        value = Value(weight)
        if self.weight(value) > self.model.maxsize:
            return
        self.cache.update([(self.key(number), value) for number in numbers])
        for number in numbers:
            self.model.set(self.key(number), value, self.weight(value), self.life)

    @rule()
    def clear(self) -> None:
        self.cache.expire() if self.kind.timed else None
        self.cache.clear()
        self.model.clear()

    @rule(way=st.sampled_from(["copy", "copy.copy", "deepcopy"]))
    def go_on_with_a_copy(self, way: str) -> None:
        """The copy takes the place of the cache; the original stays as it is and is emptied unheard."""
        self.settle()
        original = self.cache
        before = list(iter(original.items()))
        make = {"copy": lambda: original.copy(), "copy.copy": lambda: copy.copy(original), "deepcopy": lambda: copy.deepcopy(original)}[way]
        self.cache = make()
        self.cache.reset_stats()
        self.model.hits = self.model.misses = 0
        assert len(before) == len(list(iter(original.items())))
        original._check()

    @invariant()
    def same_order_and_values(self) -> None:
        if not hasattr(self, "model"):
            return
        items = list(iter(self.cache.items()))  # a list of the view itself would ask for its length, which expires
        expected = self.model.items()
        assert items == expected
        assert [id(value) for _, value in items] == [id(value) for _, value in expected]
        assert list(reversed(self.cache)) == [key for key, _ in reversed(expected)]
        self.cache._check()

    @rule()
    def settle(self) -> None:
        """Once the dead are gone, sizes and removals agree to the last."""
        if self.kind.timed:
            # Either may have removed some of the dead earlier: which writes do so is not what this is about, `removed` is.
            expired = [(id(key), id(value)) for key, value in self.cache.expire()]
            self.model.expire()
            assert len(set(expired)) == len(expired)
        assert len(self.cache) == len(self.model.entries)
        assert self.cache.currsize == self.model.size()
        assert self.cache.currsize <= self.model.maxsize
        assert self.told == self.model.removed
        stats = self.cache.stats()
        assert (stats.hits, stats.misses, stats.maxsize) == (self.model.hits, self.model.misses, self.model.maxsize)

    def teardown(self) -> None:
        if hasattr(self, "model"):
            self.settle()


class TimedMachine(Machine):
    """With a clock that goes where it likes."""

    life = 5

    @rule(number=NUMBERS, weight=WEIGHTS, life=LIVES)
    def set_with_life(self, number: int, weight: float, life: float) -> None:
        self.store(number, weight, life)

    @rule(seconds=st.sampled_from([0.5, 1, 1, 2, 3, 10]))
    def tick(self, seconds: float) -> None:
        SHARED.tick(seconds)
        self.model.see(SHARED.now)
        self.cache.timer()
        assert list(iter(self.cache)) == [key for key, _ in self.model.items()]

    @rule(seconds=st.sampled_from([0.5, 1, 5, 1000]))
    def back(self, seconds: float) -> None:
        SHARED.back(seconds)
        self.model.see(SHARED.now)
        assert list(iter(self.cache)) == [key for key, _ in self.model.items()]

    @rule(number=NUMBERS)
    def ttl_of(self, number: int) -> None:
        key = self.key(number)
        entry = self.model._live(key)
        if entry is None:
            with pytest.raises(KeyError):
                self.cache.ttl_of(key)
        else:
            assert self.cache.ttl_of(key) == pytest.approx(entry.deadline - self.model._now)

    @precondition(lambda self: getattr(self, "model", None) is not None)
    @rule()
    def len_expires(self) -> None:
        self.model.expire()
        assert len(self.cache) == len(self.model.entries)


class LRUMachine(Machine):
    kind = LRU


class WeightedLRUMachine(Machine):
    kind = LRU
    weighted = True


class TTLMachine(TimedMachine):
    kind = TTL


class WeightedTTLMachine(TimedMachine):
    kind = TTL
    weighted = True


class TLRUMachine(TimedMachine):
    kind = TLRU


class WeightedTLRUMachine(TimedMachine):
    kind = TLRU
    weighted = True


SETTINGS = settings(
    max_examples=80,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
MACHINES = [LRUMachine, WeightedLRUMachine, TTLMachine, WeightedTTLMachine, TLRUMachine, WeightedTLRUMachine]
for machine in MACHINES:
    machine.TestCase.settings = SETTINGS

TestLRU = LRUMachine.TestCase
TestWeightedLRU = WeightedLRUMachine.TestCase
TestTTL = TTLMachine.TestCase
TestWeightedTTL = WeightedTTLMachine.TestCase
TestTLRU = TLRUMachine.TestCase
TestWeightedTLRU = WeightedTLRUMachine.TestCase
