"""Both cores of a weak cache and a naive model side by side, while values are dropped and found again."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from helpers.models import TooLarge
from helpers.weakmodel import WeakModel
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from safemem import RemovalCause
from safemem.errors import ValueTooLargeError

from .cores import PAIRS, make

KEYS = st.integers(0, 9)
WEIGHTS = st.sampled_from([0, 1, 1, 2, 3, 0.5, 7])
LIVES = st.sampled_from([0, 1, 2, 3, 5, 2.5, math.inf])
SIZES = st.sampled_from([0, 0, 1, 2, 3, 5, 2.5, math.inf])


class Plain:
    """A value that can only be held strongly."""

    __slots__ = ("name", "weight")

    def __init__(self, name: int, weight: float) -> None:
        self.name = name
        self.weight = weight

    def __repr__(self) -> str:
        return f"<{self.name}>"


class Weakable(Plain):
    """A value that can be held weakly."""

    __slots__ = ("__weakref__",)


class Key:
    """A key of which many collide."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __hash__(self) -> int:
        return self.number % 3

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and self.number == other.number

    def __repr__(self) -> str:
        return f"Key({self.number})"


class WeakTwins(RuleBasedStateMachine):
    """A pure and a native cache that are told the same, each with values of its own."""

    weighs = False
    ttl: float | None = None

    @initialize(maxsize=SIZES)
    def begin(self, maxsize: float) -> None:
        self.now = 0.0
        self.names = 0
        self.held: tuple[dict[int, Any], dict[int, Any]] = ({}, {})
        self.model = WeakModel(maxsize, self.held[0].keys())
        self.told: tuple[list[Any], list[Any]] = ([], [])
        self.caches = [self.make_one(cls, maxsize, told) for cls, told in zip(PAIRS["weak"], self.told, strict=True)]

    def make_one(self, cls: Any, maxsize: float, told: list[Any]) -> Any:
        return make(
            cls,
            maxsize,
            weighs=self.weighs,
            on_remove=lambda key, value, cause: told.append((key.number, None if value is None else value.name, cause.name)),
            timer=lambda: self.now,
            step=self.ttl,
        )

    def both(self, operation: Callable[[Any, dict[int, Any]], Any]) -> Any:
        """Do it to both; they must say the same."""
        answers = []
        for cache, held in zip(self.caches, self.held, strict=True):
            try:
                answers.append((repr(operation(cache, held)), None))
            except (KeyError, ValueError) as error:
                answers.append(("None", (type(error), repr(error.args).replace("Pure", "").replace("Native", ""))))
        assert answers[0] == answers[1]
        return answers[0]

    def weight_of(self, weight: float) -> float:
        return weight if self.weighs else 1

    def value(self, name: int, weakable: bool, weight: float, keep: bool, held: dict[int, Any]) -> Any:
        value = (Weakable if weakable else Plain)(name, weight)
        if keep:
            held[name] = value
        return value

    def expect(self, key: int, name: int, weakable: bool, weight: float, life: float) -> bool:
        try:
            self.model.set(key, name, weakable, self.weight_of(weight), life)
        except TooLarge:
            return False
        return True

    @rule(key=KEYS, weight=WEIGHTS, weakable=st.sampled_from([True, True, False]), keep=st.booleans(), life=st.none() | LIVES)
    def store(self, key: int, weight: float, weakable: bool, keep: bool, life: float | None) -> None:
        self.names += 1
        name = self.names
        keep = keep and weakable

        def act(cache: Any, held: dict[int, Any]) -> None:
            value = self.value(name, weakable, weight, keep, held)
            if life is None:
                cache[Key(key)] = value
            else:
                cache._set_for(Key(key), value, life)

        _, error = self.both(act)
        default = math.inf if self.ttl is None else self.ttl
        assert self.expect(key, name, weakable, weight, default if life is None else life) is (error is None)
        assert error is None or error[0] is ValueTooLargeError

    @rule(key=KEYS, which=st.integers(0, 20))
    def store_again(self, key: int, which: int) -> None:
        """What somebody holds is stored once more, perhaps under the same key."""
        if not self.held[0]:
            return
        name = sorted(self.held[0])[which % len(self.held[0])]
        weight = self.held[0][name].weight
        self.both(lambda cache, held: cache.__setitem__(Key(key), held[name]))
        self.expect(key, name, True, weight, math.inf if self.ttl is None else self.ttl)

    @rule(which=st.integers(0, 20))
    def drop(self, which: int) -> None:
        if self.held[0]:
            name = sorted(self.held[0])[which % len(self.held[0])]
            for held in self.held:
                del held[name]

    @rule(key=KEYS)
    def peek(self, key: int) -> None:
        entry = self.model.find(key)
        answer, _ = self.both(lambda cache, _held: (Key(key) in cache, cache.peek(Key(key))))
        assert answer == ("(False, None)" if entry is None else f"(True, <{entry.name}>)")

    @rule(key=KEYS, brackets=st.booleans())
    def read(self, key: int, brackets: bool) -> None:
        name = self.model.get(key)
        answer, _ = self.both(lambda cache, _held: cache[Key(key)] if brackets else cache.get(Key(key)))
        assert answer == ("None" if name is None else f"<{name}>")

    @rule(key=KEYS, pop=st.booleans())
    def take(self, key: int, pop: bool) -> None:
        name = self.model.take(key)
        answer, error = self.both(lambda cache, _held: cache.pop(Key(key)) if pop else cache.__delitem__(Key(key)))
        assert (error is None) is (name is not None)
        assert not pop or answer == ("None" if name is None else f"<{name}>")

    @rule(key=KEYS, weight=WEIGHTS, weakable=st.booleans(), keep=st.booleans())
    def setdefault(self, key: int, weight: float, weakable: bool, keep: bool) -> None:
        self.names += 1
        name = self.names
        keep = keep and weakable
        known = self.model.get(key)
        answer, error = self.both(lambda cache, held: cache.setdefault(Key(key), self.value(name, weakable, weight, keep, held)))
        if known is not None:
            assert answer == f"<{known}>"
        else:
            fits = self.expect(key, name, weakable, weight, math.inf if self.ttl is None else self.ttl)
            assert fits is (error is None)
            assert not fits or answer == f"<{name}>"

    @rule()
    def popitem(self) -> None:
        pair = self.model.popitem()
        answer, _ = self.both(lambda cache, _held: [getattr(item, "number", item) for item in cache.popitem()])
        assert answer == ("None" if pair is None else f"[{pair[0]}, <{pair[1]}>]")

    @rule(limit=st.integers(0, 4))
    def evict(self, limit: int) -> None:
        answer, _ = self.both(lambda cache, _held: cache._evict(limit, RemovalCause.SIZE))
        assert answer == repr(self.model.evict(limit))

    @rule(maxsize=SIZES)
    def resize(self, maxsize: float) -> None:
        self.both(lambda cache, _held: cache._resize(maxsize))
        self.model.resize(maxsize)

    @rule()
    def clear(self) -> None:
        self.both(lambda cache, _held: cache.clear())
        self.model.clear()

    @rule(step=st.sampled_from([1, 1, 2, 5]))
    def pass_time(self, step: int) -> None:
        self.now += step
        self.model.now += step

    @rule()
    def expire(self) -> None:
        answer, _ = self.both(lambda cache, _held: sorted((key.number, value.name) for key, value in cache.expire()))
        assert answer == repr(sorted(self.model.settle()))

    @rule(key=KEYS)
    def life_left(self, key: int) -> None:
        answer, error = self.both(lambda cache, _held: float(cache.ttl_of(Key(key))))
        left = self.model.life_of(key)
        assert (answer if error is None else None) == (None if left is None else repr(left))

    @rule()
    def go_on_with_a_copy(self) -> None:
        """What is exported makes a cache that is the same but for its weak members that nobody holds."""
        alive = [entry for entry in self.model.entries if self.model.alive(entry) and self.model.now < entry.deadline]
        for index, (cls, told) in enumerate(zip(PAIRS["weak"], self.told, strict=True)):
            twin = self.make_one(cls, self.model.maxsize, told)
            twin._import(self.caches[index]._export())
            self.caches[index] = twin
            twin._reset_counters()
            told.clear()
        self.model.entries = alive
        for entry in alive:
            entry.strong = entry.weight <= self.model.maxsize
        while self.model.size() > self.model.maxsize:
            self.model.let_off()
        self.model.told.clear()
        self.model.counts.clear()

    @invariant()
    def same(self) -> None:
        if not hasattr(self, "caches"):
            return
        for cache in self.caches:
            cache._check()
        answer, _ = self.both(lambda cache, _held: [(key.number, value.name) for key, value in cache._iterate_items()])
        assert answer == repr(self.model.items())
        self.both(lambda cache, _held: [key.number for key in reversed(cache)])
        answer, _ = self.both(lambda cache, _held: (len(cache), float(cache.currsize), cache._strong_count(), float(cache.maxsize)))
        self.model.settle()
        strong = [entry.strong for entry in self.model.entries].count(True)
        assert answer == repr((len(self.model.entries), float(self.model.size()), strong, float(self.model.maxsize)))
        counters = [cache._counters() for cache in self.caches]
        assert counters[0] == counters[1]
        counts = self.model.counts
        for name, cause in {"collections": "COLLECTED", "expirations": "EXPIRED", "evictions": "SIZE"}.items():
            assert counters[0][name] == counts[cause], name
        for name in ("hits", "misses", "revived"):
            assert counters[0][name] == counts[name], name
        assert sorted(map(repr, self.told[0])) == sorted(map(repr, self.told[1])) == sorted(map(repr, self.model.told))


def machine(name: str, *, weighs: bool = False, ttl: float | None = None) -> Any:
    """A test of one sort of twins."""
    test = type(name, (WeakTwins,), {"weighs": weighs, "ttl": ttl}).TestCase
    test.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
    return test


TestCounted = machine("Counted")
TestWeighed = machine("Weighed", weighs=True)
TestTimed = machine("Timed", ttl=3)
TestTimedAndWeighed = machine("TimedAndWeighed", weighs=True, ttl=3)
