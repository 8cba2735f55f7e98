"""What is held strongly and what weakly, and the one order of use over both."""

from __future__ import annotations

from typing import Any

import pytest
from helpers.kinds import watched
from helpers.mortal import Thing
from helpers.recorder import Recorder

from safemem import WeakCache
from safemem.errors import ValueTooLargeError


def weigh(thing: Thing) -> float:
    """What a thing says."""
    return thing.weight


def three(maxsize: float = 1, **options: Any) -> tuple[Any, list[Thing]]:
    """A cache of a, b, c, and the three things, which somebody holds."""
    things = [Thing(name) for name in "abc"]
    cache = watched(WeakCache(maxsize, **options))
    for thing in things:
        cache[thing.name] = thing
    return cache, things


def test_what_others_hold_is_found_beyond_the_bound(told: Recorder) -> None:
    """Letting off tells nobody and is no eviction: everything is there, the very same object."""
    cache, things = three(1, on_remove=told)
    assert [cache.peek(name) for name in "abc"] == things
    assert (len(cache), cache.currsize, cache.stats().strong, cache.stats().evictions) == (3, 1, 1, 0)
    assert told.take() == []


def test_the_hottest_are_kept_alive() -> None:
    """When nobody else holds them, as many as the bound allows live on, the most recently used ones."""
    cache, things = three(3)
    cache["a"]
    cache.resize(2)
    things.clear()
    assert list(cache) == ["c", "a"]
    assert cache.stats().collections == 1


def test_a_hit_makes_an_entry_strong_and_the_hottest() -> None:
    """It takes the place of the coldest one that was held strongly."""
    cache, things = three(1)
    assert cache["a"] is things[0]
    assert list(cache) == ["b", "c", "a"]
    assert cache.stats().revived == 1
    things.clear()
    assert list(cache.items()) == [("a", cache.peek("a"))]


def test_order_is_one() -> None:
    """Iteration is coldest first over both tiers, `reversed` hottest first, popitem takes the coldest of all."""
    cache, things = three(1)
    assert list(cache) == ["a", "b", "c"]
    assert list(reversed(cache)) == ["c", "b", "a"]
    assert cache.popitem() == ("a", things[0])
    assert list(cache.values()) == things[1:]


def test_sizes_and_letting_go_are_about_the_strong_tier() -> None:
    """evict, shrink and resize count what is no longer kept alive; nothing that others hold is removed."""
    cache, things = three(3)
    assert cache.shrink(0.5) == 2
    assert (cache.currsize, len(cache)) == (1, 3)
    assert cache.evict(5) == 1
    assert cache.shrink(1.0) == 0
    assert (cache.currsize, len(cache)) == (0, 3)
    assert cache["b"] is things[1]
    cache.resize(0)
    assert (cache.currsize, len(cache)) == (0, 3)


def test_without_a_bound_of_its_own_128() -> None:
    """The default keeps 128 values alive."""
    cache = watched(WeakCache[int, Thing]())
    for number in range(200):
        cache[number] = Thing(number)
    assert len(cache) == cache.currsize == cache.maxsize == 128


def test_unweakable_values_live_in_the_strong_tier_only(told: Recorder) -> None:
    """They are evicted as in any other cache."""
    cache = watched(WeakCache[str, Any](2, on_remove=told))
    cache["a"], cache["b"], cache["c"] = 1, "two", (3,)
    assert told.take() == [("a", 1, "SIZE")]
    assert cache.stats().evictions == 1
    assert cache.evict(1) == 1
    assert told.take() == [("b", "two", "SIZE")]
    cache["none"] = None
    assert cache["none"] is None
    assert "none" in cache


@pytest.mark.parametrize("value", [1, "text", (1,), [1], {1: 2}, None, 1.5, object()], ids=lambda value: type(value).__name__)
def test_an_unweakable_value_that_can_never_fit(value: object) -> None:
    """It is refused with the words of the other caches, and get_or_create returns it all the same."""
    cache = watched(WeakCache[str, Any](0))
    with pytest.raises(ValueTooLargeError, match=r"value too large: its size must be <= maxsize \(0\), got 1"):
        cache["a"] = value
    assert cache.get_or_create("a", lambda: value) is value
    assert len(cache) == 0


def test_unweakable_raise_names_the_type() -> None:
    """`unweakable="raise"` refuses them, in every way to store."""
    cache = watched(WeakCache[str, Any](5, unweakable="raise"))
    for store in (
        lambda: cache.__setitem__("a", 5),
        lambda: cache.setdefault("a", 5),
        lambda: cache.set("a", 5, ttl=5),
        lambda: cache.update(a=5),
        lambda: cache.get_or_create("a", lambda: 5),
    ):
        with pytest.raises(TypeError, match="value must be weakly referenceable with unweakable='raise', got 'int'"):
            store()
    cache["a"] = Thing()
    assert cache.unweakable == "raise"


@pytest.mark.parametrize(("wrong", "error"), [("weak", ValueError), ("", ValueError), (None, TypeError), (True, TypeError)])
def test_unweakable_is_one_of_two_words(wrong: Any, error: type[Exception]) -> None:
    """Anything else is named in the error."""
    with pytest.raises(error, match="unweakable must be 'strong' or 'raise', got"):
        WeakCache(5, unweakable=wrong)


def test_a_large_value_is_held_weakly_from_the_start(told: Recorder) -> None:
    """It takes nobody's place, counts for nothing, and a hit does not change that."""
    cache = watched(WeakCache[str, Thing](5, weigh, on_remove=told))
    cache["small"] = Thing(weight=5)
    cache["large"] = large = Thing(weight=6)
    assert cache["large"] is large
    assert (cache.currsize, cache.stats().strong, cache.stats().revived) == (5, 1, 1)
    del large
    assert list(cache) == ["small"]
    assert told.take() == [("large", None, "COLLECTED")]


def test_weights_are_asked_once() -> None:
    """A value is weighed when it is stored, not when it changes its tier."""
    asked: list[object] = []

    def weigh_once(thing: Thing) -> float:
        asked.append(thing.name)
        return 2

    cache, things = three(4, getsizeof=weigh_once)
    assert cache.currsize == 4
    assert cache["a"] is things[0]
    assert cache.currsize == 4
    cache.resize(6)
    assert asked == ["a", "b", "c"]
