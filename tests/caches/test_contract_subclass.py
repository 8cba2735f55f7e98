"""Subclasses in the way of cachetools: __missing__, and popitem, __delitem__, expire that see every removal."""

from __future__ import annotations

from typing import Any

import pytest
from helpers.clock import Clock
from helpers.kinds import LRU, TIMED, WEAK, Kind, watched
from helpers.recorder import Recorder

from safemem import LRUCache, TTLCache

# Those that remove an entry to keep their bound; a WeakCache only stops keeping its value alive, and nobody is asked.
REMOVING = [kind for kind in (LRU, *TIMED) if kind is not WEAK]
removing = pytest.mark.parametrize("kind", REMOVING, ids=str)


def test_missing_is_called_by_item_access_only(kind: Kind) -> None:
    """`[]` calls __missing__; get, pop, setdefault, in, peek and get_or_create do not."""
    asked: list[str] = []

    def missing(_self: object, key: str) -> str:
        asked.append(key)
        return key.upper()

    cache = kind.subclass({"__missing__": missing}).make()
    assert cache["a"] == "A"
    assert asked == ["a"]
    assert "a" not in cache
    assert cache.get("b") is None
    assert cache.pop("c", 1) == 1
    with pytest.raises(KeyError):
        cache.pop("c")
    assert cache.setdefault("d", 4) == 4
    assert cache.peek("e") is None
    assert cache.get_or_create("f", int) == 0
    assert asked == ["a"]


def test_missing_may_store(kind: Kind) -> None:
    """__missing__ may store into the cache, which stays bounded."""

    def missing(self: Any, key: int) -> int:
        self[key] = value = key * key
        return value

    cache = kind.subclass({"__missing__": missing}).make(3)
    assert [cache[number] for number in range(6)] == [0, 1, 4, 9, 16, 25]
    assert list(cache) == [3, 4, 5]


def test_missing_answers_for_an_expired_item(timed: Kind, clock: Clock) -> None:
    """An expired item is missing."""
    cache = timed.subclass({"__missing__": lambda _self, key: f"no {key}"}).make(ttl=1, clock=clock)
    cache["a"] = 1
    assert cache["a"] == 1
    clock.tick()
    assert cache["a"] == "no a"


def test_missing_may_raise(kind: Kind) -> None:
    """What __missing__ raises reaches the caller."""

    def missing(_self: object, key: str) -> None:
        raise LookupError(key)

    with pytest.raises(LookupError, match="nothing") as caught:
        kind.subclass({"__missing__": missing}).make()["nothing"]
    assert not isinstance(caught.value, KeyError)


@removing
def test_popitem_override_sees_evictions(kind: Kind, told: Recorder) -> None:
    """A subclass that overrides popitem sees each eviction, and on_remove is still told that it was for SIZE."""
    seen: list[tuple[str, int]] = []

    def popitem(self: Any) -> Any:
        pair = kind.cls.popitem(self)
        seen.append(pair)
        return pair

    cache = kind.subclass({"popitem": popitem}).make(2, on_remove=told)
    cache.update(a=1, b=2, c=3, d=4)
    assert seen == [("a", 1), ("b", 2)]
    assert list(cache) == ["c", "d"]
    assert told.take() == [("a", 1, "SIZE"), ("b", 2, "SIZE")]
    assert cache.stats().evictions == 2
    cache.popitem()
    assert seen.pop() == ("c", 3)
    assert told.take() == [("c", 3, "EXPLICIT")]


@removing
def test_popitem_override_may_choose_the_victim(kind: Kind) -> None:
    """A popitem that evicts the hottest instead makes an MRU cache."""

    def popitem(self: Any) -> Any:
        key = next(reversed(self), None)
        if key is None:
            msg = "empty"
            raise KeyError(msg)
        return key, self.pop(key)

    cache = kind.subclass({"popitem": popitem}).make(3)
    cache.update(a=1, b=2, c=3, d=4, e=5)
    assert list(cache) == ["a", "b", "e"]


@removing
def test_popitem_override_that_raises(kind: Kind) -> None:
    """What an overridden popitem raises reaches who stores; the bound holds and the cache is whole."""

    def popitem(_self: object) -> None:
        msg = "not now"
        raise LookupError(msg)

    cache = kind.subclass({"popitem": popitem}).make(2)
    cache.update(a=1, b=2)
    with pytest.raises(LookupError, match="not now"):
        cache["c"] = 3
    assert len(cache) <= 2
    cache._check()


def test_popitem_override_that_puts_back(kind: Kind) -> None:
    """A popitem that re-inserts what it took cannot make the cache loop for ever or grow."""
    left = [20]

    def popitem(self: Any) -> Any:
        key, value = kind.cls.popitem(self)
        if left[0]:
            left[0] -= 1
            self[key] = value
        return key, value

    cache = kind.subclass({"popitem": popitem}).make(2)
    for number in range(5):
        cache[number] = number
        assert len(cache) <= 2
    cache._check()


@removing
def test_delitem_override_sees_evictions(kind: Kind) -> None:
    """A subclass that overrides __delitem__ sees evictions, popitem() and pop()."""
    seen: list[str] = []

    def delitem(self: Any, key: str) -> None:
        seen.append(key)
        kind.cls.__delitem__(self, key)

    cache = kind.subclass({"__delitem__": delitem}).make(2)
    cache.update(a=1, b=2, c=3)
    assert seen == ["a"]
    cache.popitem()
    cache.pop("c")
    assert seen == ["a", "b", "c"]
    assert len(cache) == 0


def test_expire_override_sees_expirations(timed: Kind, clock: Clock) -> None:
    """A subclass that overrides expire sees what expires in len() and in writes."""
    seen: list[tuple[str, int]] = []

    def expire(self: Any, time: Any = None) -> Any:
        items = timed.cls.expire(self, time)
        seen.extend(items)
        return items

    cache = timed.subclass({"expire": expire}).make(5, ttl=1, clock=clock)
    cache["a"] = 1
    clock.tick()
    cache["b"] = 2
    assert seen == [("a", 1)]
    clock.tick()
    assert len(cache) == 0
    assert seen == [("a", 1), ("b", 2)]


def test_setitem_override_sees_writes(kind: Kind) -> None:
    """update(), |= and fromkeys-like filling go through an overridden __setitem__."""
    seen: list[str] = []

    def setitem(self: Any, key: str, value: int) -> None:
        seen.append(key)
        kind.cls.__setitem__(self, key, value)

    cache = kind.subclass({"__setitem__": setitem}).make(5)
    cache["a"] = 1
    cache.update(b=2)
    cache |= {"c": 3}
    assert seen == ["a", "b", "c"]
    assert dict(cache) == {"a": 1, "b": 2, "c": 3}


def test_subclass_of_a_subclass(kind: Kind) -> None:
    """super() works through several levels."""

    class First(kind.cls):
        def __setitem__(self, key: str, value: int) -> None:
            super().__setitem__(key, value + 1)

    class Second(First):
        def __setitem__(self, key: str, value: int) -> None:
            super().__setitem__(key, value * 10)

    cache = watched(Second(3, **kind.arguments()))
    cache["a"] = 1
    assert cache["a"] == 11


def test_mixin_with_slots_and_attributes() -> None:
    """Subclasses may have slots, attributes and further bases."""

    class Named:
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.name = "n"

    class Slotted(Named, LRUCache[str, int]):
        __slots__ = ("extra",)

    cache = Slotted(2)
    cache.extra = "e"
    cache.update(a=1, b=2, c=3)
    assert (cache.name, cache.extra, list(cache)) == ("n", "e", ["b", "c"])


def test_constructor_arguments_of_a_subclass() -> None:
    """A subclass may fix arguments and pass others on."""

    class Sessions(TTLCache[str, int]):
        def __init__(self, clock: Clock) -> None:
            super().__init__(maxsize=2, ttl=5, timer=clock, getsizeof=len)

    clock = Clock()
    cache = Sessions(clock)
    cache["a"] = "xx"
    clock.tick(5)
    assert (cache.maxsize, cache.ttl, len(cache)) == (2, 5, 0)
