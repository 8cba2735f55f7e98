"""What an attack on the weak cores broke, and both cores must now do alike."""

from __future__ import annotations

import gc
import weakref
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from .cores import PAIRS, make


class Thing:
    """A value of a weight, alone or in a cycle with itself."""

    def __init__(self, weight: float = 1, *, cyclic: bool = False) -> None:
        self.weight = weight
        self.me = self if cyclic else None


def note(told: list[Any]) -> Any:
    """Return an on_remove that notes keys and causes."""
    return lambda key, _value, cause: told.append((key, cause.name))


@pytest.mark.parametrize("cls", PAIRS["weak"])
def test_a_refused_value_is_named_by_its_class_alone(cls):
    """The text does not depend on how a type in C calls itself."""
    cache = make(cls, 3, strict=True)
    with pytest.raises(TypeError, match="got 'Decimal'"):
        cache[1] = Decimal(1)


@pytest.mark.parametrize("cls", PAIRS["weak"])
def test_a_living_reference_in_the_mailbox_removes_nothing(cls):
    """Who calls the callback of a cache's reference by hand removes no entry whose value lives; its death is noticed all the same."""
    told: list[Any] = []
    cache = make(cls, 0, on_remove=note(told))
    cache[1] = value = Thing()
    (ref,) = weakref.getweakrefs(value)
    assert ref.__callback__ is not None
    ref.__callback__(ref)
    ref.__callback__(ref)
    assert cache.get(1) is value
    assert len(cache) == 1
    assert told == []
    del value
    assert len(cache) == 0
    assert told == [(1, "COLLECTED")]
    assert cache._counters()["collections"] == 1


@pytest.mark.parametrize("listens", [False, True])
@pytest.mark.parametrize("cls", PAIRS["weak"])
def test_clearing_counts_the_dead(cls, listens):
    """What died before clear() was collected: counted, whether anybody is told or not."""
    told: list[Any] = []
    cache = make(cls, 0, on_remove=note(told) if listens else None)
    kept = Thing()
    cache["kept"] = kept
    cache["lost"] = Thing()
    cache.clear()
    assert cache._counters()["collections"] == 1
    assert told == ([("lost", "COLLECTED"), ("kept", "EXPLICIT")] if listens else [])


@pytest.mark.parametrize("cls", PAIRS["weak"])
def test_asking_for_a_life_takes_the_dead_out(cls):
    """ttl_of() does first what every operation does."""
    told: list[Any] = []
    cache = make(cls, 0, on_remove=note(told))
    kept = Thing()
    cache["kept"] = kept
    cache["lost"] = Thing()
    cache.ttl_of("kept")
    assert told == [("lost", "COLLECTED")]


@pytest.mark.parametrize("leave", ["let off", "replaced by a larger one", "removed"])
@pytest.mark.parametrize("cls", PAIRS["weak"])
def test_nothing_held_weighs_nothing(cls, leave):
    """With nothing held strongly the weight is 0, whatever floats have lost; a value as large as the bound still fits."""
    cache = make(cls, 0.6, weighs=True)
    values = [Thing(0.1), Thing(0.2), Thing(0.3 - 1e-16)]
    for number, value in enumerate(values):
        cache[number] = value
    if leave == "let off":
        for _ in range(3):
            cache._evict(1, None)
    else:
        del cache[0], cache[1]
    if leave == "replaced by a larger one":
        cache[2] = large = Thing(9)
        assert cache[2] is large
    elif leave == "removed":
        del cache[2]
    assert cache.currsize == 0
    cache["full"] = full = Thing(0.6)
    assert cache._strong_count() == 1
    assert cache["full"] is full
    cache._check()


@pytest.mark.parametrize("cls", PAIRS["weak"])
def test_a_first_ttl_under_a_timer_of_datetimes(cls):
    """What was stored before never expires, though a datetime cannot be compared with infinity."""
    now = [datetime(2020, 1, 1)]
    cache = make(cls, 3, timer=lambda: now[0])
    cache["old"], cache["mortal"] = old, mortal = Thing(), Thing()
    cache._set_for("mortal", mortal, timedelta(seconds=5))
    cache["new"] = new = Thing()
    assert cache["old"] is old
    assert cache.ttl_of("old") == cache.ttl_of("new") == float("inf")
    now[0] += timedelta(days=9)
    assert cache.get("new") is new
    assert list(cache) == ["old", "new"]
    assert len(cache) == 2
    assert [row[0] for row in cache._export()] == ["old", "new"]
    cache._check()


@pytest.mark.parametrize("first", ["_set_for", "__delitem__", "pop", "__setitem__", "setdefault"])
@pytest.mark.parametrize("cls", PAIRS["weak"])
def test_a_first_ttl_in_the_middle_of_an_operation(cls, first):
    """A key's comparison gives the cache its sense of time, with a timer of datetimes; the operation goes on."""
    cache = make(cls, 5, timer=lambda: datetime(2020, 1, 1))
    values = [Thing() for _ in range(4)]
    armed: list[int] = []

    class Key:
        def __hash__(self) -> int:
            return 7

        def __eq__(self, other: object) -> bool:
            if armed:
                armed.clear()
                cache._set_for("timed", values[0], timedelta(seconds=5))
            return self is other

    one, other = Key(), Key()
    cache[one] = values[1]
    cache[other] = values[2]
    armed.append(1)
    if first == "_set_for":
        cache._set_for(other, values[3], timedelta(seconds=50))
    elif first in ("__setitem__", "setdefault"):
        getattr(cache, first)(Key(), values[3])
    else:
        getattr(cache, first)(other)
    assert "timed" in cache
    assert cache.ttl_of(one) == float("inf")
    cache._check()


@pytest.mark.parametrize("weighs", [False, True])
@pytest.mark.parametrize("cls", PAIRS["weak"])
def test_a_row_that_cannot_be_held_weakly_is_left_out(cls, weighs):
    """What a deep copy made of a large value may not be weakly referenceable: the import goes on without it."""
    cache = make(cls, 0, weighs=weighs)
    kept = Thing()
    cache._import([("number", 3, 5, None), ("thing", kept, 5, None)])
    assert list(cache) == ["thing"]
    cache._check()


@pytest.mark.parametrize("cls", PAIRS["weak"])
def test_a_cache_brought_back_lets_go_of_its_value(cls):
    """The collector has killed the reference to a value that its finaliser brought back with the cache: another is made."""
    back: list[Any] = []

    class Value:
        def __init__(self, cache: Any) -> None:
            self.cache = cache

        def __del__(self) -> None:
            back.append(self)

    cache = make(cls, 1)
    value = Value(cache)
    cache["value"] = value
    cache._evict(1, None)
    assert cache["value"] is value
    del cache, value
    gc.collect()
    (value,) = back
    cache = value.cache
    cache._evict(1, None)
    assert cache.currsize == 0
    assert cache["value"] is value
    cache._check()
    cache.clear()


@pytest.mark.parametrize("cls", PAIRS["weak"])
def test_a_value_that_stores_itself_when_it_dies(cls):
    """A finaliser that puts the value back under its key has done so: the new entry stays while somebody holds the value."""
    kept: list[Any] = []
    cache = make(cls, 0)

    class Phoenix:
        def __del__(self) -> None:
            kept.append(self)
            cache["phoenix"] = self

    cache["phoenix"] = Phoenix()
    assert cache.get("phoenix") is kept[0]
    cache._check()
    kept.clear()
    assert len(cache) == 0
    cache._check()


@pytest.mark.parametrize("cls", [*PAIRS["lru"], *PAIRS["ttl"], *PAIRS["weak"]])
@pytest.mark.parametrize("skipped", range(5))
def test_a_store_in_the_middle_of_taking_a_store_back(cls, skipped):
    """A comparison empties the cache while an entry is stored, and a hash after that stores the same key anew: nobody waits for ever."""
    cache = make(cls, 5)
    values = [Thing() for _ in range(3)]
    at_eq: list[Any] = []
    at_hash: list[Any] = []

    class Key:
        def __init__(self, name: str) -> None:
            self.name = name

        def __hash__(self) -> int:
            if at_hash:
                at_hash.pop(0)()
            return 7

        def __eq__(self, other: object) -> bool:
            if at_eq:
                at_eq.pop(0)()
            return isinstance(other, Key) and self.name == other.name

    again = Key("key")

    def nothing() -> None: ...

    def store() -> None:
        cache[again] = values[2]

    def empty() -> None:
        waiting = at_eq[:]
        at_eq.clear()
        try:
            while True:
                cache.popitem()
        except KeyError:
            pass
        at_eq[:] = waiting
        at_hash.append(store)

    cache[Key("there")] = values[0]
    at_eq[:] = [nothing] * skipped + [empty]
    cache[Key("key")] = values[1]
    at_eq.clear()
    at_hash.clear()
    assert any(cache.get(again) is value for value in values)
    cache._check()
