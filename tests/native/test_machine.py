"""Both cores and a naive model side by side, with keys that collide, raise and call back."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from helpers.models import Model, TooLarge
from helpers.trigger import Fault, Trigger
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from safemem import RemovalCause
from safemem.errors import ValueTooLargeError

from .cores import PAIRS, make

NUMBERS = st.integers(0, 11)
WEIGHTS = st.sampled_from([0, 1, 1, 2, 3, 0.5, 7])
LIVES = st.sampled_from([0, 1, 2, 3, 5, 2.5, math.inf])


class Value:
    """A value that is itself, with a weight."""

    def __init__(self, name: int, weight: float) -> None:
        self.name = name
        self.weight = weight

    def __repr__(self) -> str:
        return f"<{self.name}>"


class Key:
    """A key of which many collide and whose instances are many."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __hash__(self) -> int:
        Trigger.pull()
        return self.number % 3

    def __eq__(self, other: object) -> bool:
        Trigger.pull()
        return isinstance(other, Key) and self.number == other.number

    def __repr__(self) -> str:
        return f"Key({self.number})"


class Twins(RuleBasedStateMachine):
    """A pure and a native cache that are told the same."""

    kind = "lru"
    weighs = False
    unit: Any = 1.0

    @initialize(maxsize=st.sampled_from([0, 1, 2, 3, 5, 8, 2.5, math.inf]))
    def begin(self, maxsize: float) -> None:
        self.now = self.unit * 0
        self.names = 0
        self.model = Model(maxsize)
        self.model.see(0.0)
        self.told: tuple[list[Any], list[Any]] = ([], [])
        self.caches = [self.make_one(cls, maxsize, told) for cls, told in zip(PAIRS[self.kind], self.told, strict=True)]

    def make_one(self, cls: Any, maxsize: float, told: list[Any]) -> Any:
        options: dict[str, Any] = {}
        if self.kind != "lru":
            options["timer"] = lambda: self.now
        if self.kind == "ttl":
            options["step"] = 3
        if self.kind == "tlru":
            options["ttu"] = lambda _key, value, now: now + self.life_of(value)
        return make(
            cls, maxsize, weighs=self.weighs, on_remove=lambda key, value, cause: told.append((key.number, value, cause.name)), **options
        )

    def life_of(self, value: Any) -> Any:
        return 1 + value.name % 4

    def both(self, operation: Callable[[Any], Any]) -> Any:
        """Do it to both; they must say the same."""
        answers = []
        for cache in self.caches:
            try:
                answers.append((operation(cache), None))
            except (KeyError, ValueError, Fault) as error:
                answers.append((None, (type(error), repr(error.args))))
        pure, native = answers
        assert repr(pure).replace("Pure", "") == repr(native).replace("Native", "")
        return pure

    def value(self, weight: float) -> Value:
        self.names += 1
        return Value(self.names, weight)

    def fits(self, value: Value) -> bool:
        return (value.weight if self.weighs else 1) <= self.model.maxsize

    def store(self, number: int, value: Value, life: Any) -> None:
        try:
            self.model.set(number, value, value.weight if self.weighs else 1, life)
        except TooLarge:
            pass

    @rule(number=NUMBERS, weight=WEIGHTS)
    def set_item(self, number: int, weight: float) -> None:
        value = self.value(weight)
        _, error = self.both(lambda cache: cache.__setitem__(Key(number), value))
        assert (error is None) is self.fits(value)
        assert error is None or error[0] is ValueTooLargeError
        life = {"lru": math.inf, "ttl": 3, "tlru": self.life_of(value)}[self.kind]
        self.store(number, value, life)

    @rule(number=NUMBERS, weight=WEIGHTS, life=LIVES)
    def set_for(self, number: int, weight: float, life: Any) -> None:
        if self.kind == "lru":
            return
        value = self.value(weight)
        if life == 0 and not self.fits(value):
            return
        self.both(lambda cache: cache._set_for(Key(number), value, life))
        self.store(number, value, life)

    @rule(number=NUMBERS)
    def read(self, number: int) -> None:
        assert self.both(lambda cache: (Key(number) in cache, cache.peek(Key(number))))[0][1] is self.model.peek(number)
        assert self.both(lambda cache: cache.get(Key(number)))[0] is self.model.get(number)
        self.both(lambda cache: cache[Key(number)])
        self.model.get(number)

    @rule(number=NUMBERS)
    def delete(self, number: int) -> None:
        _, error = self.both(lambda cache: cache.__delitem__(Key(number)))
        assert self.model.delete(number) is (error is None)

    @rule(number=NUMBERS)
    def pop(self, number: int) -> None:
        self.both(lambda cache: cache.pop(Key(number), None))
        self.model.delete(number)

    @rule(number=NUMBERS, weight=WEIGHTS)
    def setdefault(self, number: int, weight: float) -> None:
        value = self.value(weight)
        there, error = self.both(lambda cache: cache.setdefault(Key(number), value))
        known = self.model.get(number)
        if known is None and error is None:
            assert there is value
            life = {"lru": math.inf, "ttl": 3, "tlru": self.life_of(value)}[self.kind]
            self.store(number, value, life)
        elif known is not None:
            assert there is known

    @rule()
    def popitem(self) -> None:
        pair, _ = self.both(lambda cache: [getattr(item, "number", item) for item in cache.popitem()])
        expected = self.model.popitem()
        assert (pair is None) is (expected is None)
        assert pair is None or tuple(pair) == expected

    @rule(count=st.integers(0, 4))
    def evict(self, count: int) -> None:
        assert self.both(lambda cache: cache._evict(count, RemovalCause.SIZE))[0] == self.model.evict(count)

    @rule(maxsize=st.sampled_from([0, 1, 3, 8, 2.5, math.inf]))
    def resize(self, maxsize: float) -> None:
        self.both(lambda cache: cache._resize(maxsize))
        self.model.resize(maxsize)

    @rule(step=st.sampled_from([0, 1, 1, 2, 5]))
    def pass_time(self, step: int) -> None:
        self.now += step * self.unit
        self.model._now += step

    @rule()
    def expire(self) -> None:
        if self.kind != "lru":
            self.both(lambda cache: sorted((key.number, value.name) for key, value in cache.expire()))
            self.model.expire()

    @rule(number=NUMBERS)
    def life_left(self, number: int) -> None:
        if self.kind != "lru":
            self.both(lambda cache: cache.ttl_of(Key(number)))

    @rule()
    def export(self) -> None:
        self.both(lambda cache: [(key.number, *rest) for key, *rest in cache._export()])

    @rule(number=NUMBERS, after=st.integers(0, 3), operation=st.sampled_from(["get", "set", "del", "pop", "setdefault", "in"]))
    def fault(self, number: int, after: int, operation: str) -> None:
        """A key that raises changes nothing, whichever core it is; what has expired may go."""
        value = self.value(1)
        for cache in self.caches:
            key = Key(number)
            before = [(key.number, value) for key, value in cache._iterate_items()]
            Trigger.fail_after(after)
            failed = False
            try:
                if operation == "get":
                    cache.get(key)
                elif operation == "set":
                    cache[key] = value
                elif operation == "del":
                    del cache[key]
                elif operation == "pop":
                    cache.pop(key, None)
                elif operation == "setdefault":
                    cache.setdefault(key, value)
                else:
                    _ = key in cache
            except Fault:
                failed = True
            except (KeyError, ValueError):
                pass
            Trigger.action = None
            if failed:
                assert [(key.number, value) for key, value in cache._iterate_items()] == before
        self.start_anew()

    def start_anew(self) -> None:
        """Forget everything: what the two compare, and how often, is their own affair, so they may differ by now."""
        for cache, told in zip(self.caches, self.told, strict=True):
            cache.clear()
            cache._reset_counters()
            told.clear()
        self.model.entries.clear()
        self.model.removed.clear()
        self.model.hits = self.model.misses = 0

    @rule(
        number=NUMBERS,
        other=NUMBERS,
        inner=st.sampled_from(["set", "pop", "clear", "popitem", "fill", "configure"]),
        operation=st.sampled_from(["get", "set", "pop", "setdefault"]),
    )
    def call_back(self, number: int, other: int, inner: str, operation: str) -> None:
        """A key that changes the cache from inside leaves it whole."""
        for cache in self.caches:

            def act(cache: Any = cache) -> None:
                if inner == "set":
                    cache[Key(other)] = self.value(1)
                elif inner == "pop":
                    cache.pop(Key(other), None)
                elif inner == "clear":
                    cache.clear()
                elif inner == "popitem":
                    cache.popitem()
                elif inner == "fill":
                    for filler in range(6):
                        cache[Key(filler)] = self.value(1)
                else:
                    cache._reset_counters()

            Trigger.action = act
            try:
                if operation == "get":
                    cache.get(Key(number))
                elif operation == "set":
                    cache[Key(number)] = self.value(1)
                elif operation == "pop":
                    cache.pop(Key(number), None)
                else:
                    cache.setdefault(Key(number), self.value(1))
            except (KeyError, ValueError):
                pass
            Trigger.action = None
            cache._check()
        self.start_anew()

    @invariant()
    def same(self) -> None:
        if not hasattr(self, "caches"):
            return
        for cache in self.caches:
            cache._check()
        pure, native = self.caches
        items = [(key.number, value) for key, value in native._iterate_items()]
        assert items == [(key.number, value) for key, value in pure._iterate_items()] == self.model.items()
        assert [key.number for key in reversed(native)] == [key.number for key in reversed(pure)]
        assert self.both(lambda cache: (len(cache), cache.currsize, cache.maxsize))[0][0] == len(items)
        self.model.expire()
        assert pure._counters() == native._counters()
        assert sorted(map(repr, self.told[0])) == sorted(map(repr, self.told[1]))


def machine(name: str, *, kind: str, weighs: bool = False, unit: Any = 1.0) -> Any:
    """A test of one sort of twins."""
    test = type(name, (Twins,), {"kind": kind, "weighs": weighs, "unit": unit}).TestCase
    test.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
    return test


TestLRU = machine("LRU", kind="lru")
TestLRUWeighed = machine("LRUWeighed", kind="lru", weighs=True)
TestTTLFloats = machine("TTLFloats", kind="ttl")
TestTTLIntegers = machine("TTLIntegers", kind="ttl", unit=1)
TestTTLFractions = machine("TTLFractions", kind="ttl", unit=Fraction(1))
TestTTLWeighed = machine("TTLWeighed", kind="ttl", weighs=True)
TestTLRUFloats = machine("TLRUFloats", kind="tlru")
TestTLRUIntegers = machine("TLRUIntegers", kind="tlru", unit=1, weighs=True)
