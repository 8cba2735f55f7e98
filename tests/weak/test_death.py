"""What happens when a value dies: told once, as COLLECTED, and never for somebody else's entry."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from helpers.clock import Clock
from helpers.kinds import watched
from helpers.mortal import Thing
from helpers.recorder import Recorder

from safemem import WeakCache

LOOKS: dict[str, Callable[[Any], object]] = {
    "get": lambda cache: cache.get("z"),
    "in": lambda cache: "z" in cache,
    "peek": lambda cache: cache.peek("z"),
    "len": len,
    "iter": list,
    "store": lambda cache: cache.__setitem__("z", Thing),
    "pop": lambda cache: cache.pop("z", None),
    "expire": lambda cache: cache.expire(),
    "stats": lambda cache: cache.stats(),
    "clear": lambda cache: cache.clear(),
    "evict": lambda cache: cache.evict(),
    "repr": repr,
}


@pytest.mark.parametrize("cyclic", [False, True])
@pytest.mark.parametrize("look", LOOKS)
def test_told_by_the_next_operation(look: str, cyclic: bool, told: Recorder) -> None:
    """Whatever it is; with None for a value, and counted."""
    cache = watched(WeakCache[str, Thing](0, on_remove=told))
    cache["a"] = Thing(cyclic=cyclic)
    gc.collect()
    LOOKS[look](cache)
    assert ("a", None, "COLLECTED") in told.take()
    assert cache.stats().collections == 1
    assert told.take() == []


@pytest.mark.parametrize(
    "operation",
    [lambda c: c["a"], lambda c: c.pop("a"), lambda c: c.__delitem__("a"), lambda c: c.ttl_of("a")],
    ids=["[]", "pop", "del", "ttl_of"],
)
def test_a_dead_value_is_a_missing_key(operation: Any) -> None:
    """KeyError, as if it had never been there."""
    cache = watched(WeakCache[str, Thing](0))
    cache["a"] = Thing()
    with pytest.raises(KeyError, match="a"):
        operation(cache)


@pytest.mark.parametrize("maxsize", [0, 5])
def test_a_key_stored_anew_survives_the_old_death(maxsize: int, told: Recorder) -> None:
    """The death of the old value, read after the new one is there, removes nothing."""
    cache = watched(WeakCache[Any, Thing](maxsize, on_remove=told))
    old = [Thing("old", cyclic=True)]
    new = Thing("new")

    class Key:
        """Lets the old value die while the store looks for the key."""

        def __hash__(self) -> int:
            return 1

        def __eq__(self, other: object) -> bool:
            old.clear()
            gc.collect()
            return isinstance(other, Key)

    cache[Key()] = old[0]
    cache.evict()
    cache[Key()] = new
    assert list(cache.values()) == [new]
    gc.collect()
    assert list(cache.values()) == [new]
    assert [cause for _key, _value, cause in told.take()] == ["COLLECTED"]


def test_many_reused_addresses_find_no_stranger() -> None:
    """A value that gets the address of a dead one is not found under the dead one's key."""
    cache = watched(WeakCache[int, Thing](0))
    for number in range(5000):
        cache[number] = Thing(number)
        kept = Thing("stranger")
        assert cache.get(number) is None
        del kept
    assert len(cache) == 0


def test_the_same_key_again_and_again() -> None:
    """Store, die, store: each time there is one entry, the living one."""
    cache = watched(WeakCache[str, Thing](0))
    for number in range(1000):
        thing = Thing(number, cyclic=number % 3 == 0)
        cache["a"] = thing
        assert cache["a"] is thing
        assert len(cache) == 1


def test_replacing_tells_what_was_replaced(told: Recorder) -> None:
    """The old value if it lives, COLLECTED if it does not, nothing if it is the same."""
    cache = watched(WeakCache[str, Thing](0, on_remove=told))
    old = Thing("old")
    cache["a"] = old
    cache["a"] = old
    assert told.take() == []
    cache["a"] = new = Thing("new")
    assert told.take() == [("a", old, "REPLACED")]
    del new
    cache["a"] = old
    assert told.take() == [("a", None, "COLLECTED")]


def test_expiry_of_both_tiers(clock: Clock, told: Recorder) -> None:
    """A living value has expired, a dead one was collected; the list of expire() has the living."""
    cache = watched(WeakCache[str, Thing](1, ttl=5, timer=clock, on_remove=told))
    weak, strong = Thing("weak"), Thing("strong")
    cache["dead"] = Thing()
    cache["weak"] = weak
    cache["strong"] = strong
    clock.tick(5)
    assert "weak" not in cache
    assert cache.expire() == [("weak", weak), ("strong", strong)]
    assert sorted(cause for _key, _value, cause in told.take()) == ["COLLECTED", "EXPIRED", "EXPIRED"]
    assert (cache.stats().expirations, cache.stats().collections) == (2, 1)


def test_ttl_of_one_entry_without_one_of_the_cache(clock: Clock) -> None:
    """`set(ttl=)` works without a ttl; others never expire; a copy keeps what is left."""
    cache = watched(WeakCache[str, Thing](10, timer=clock))
    cache["ever"] = Thing()
    assert cache.expire() == []
    cache.set("soon", Thing(), ttl=5)
    clock.tick(2)
    twin = watched(cache.copy())
    assert (cache.ttl_of("soon"), twin.ttl_of("soon"), cache.ttl_of("ever")) == (3, 3, float("inf"))
    assert cache.ttl is None
    clock.tick(3)
    assert (list(cache), list(twin)) == (["ever"], ["ever"])


def test_a_cache_keeps_nothing_alive_and_is_not_kept() -> None:
    """Neither an iterator that rests nor a letter of death holds a value or the cache."""
    cache: Any = WeakCache[str, Thing](0)
    things = {name: Thing(name) for name in "ab"}
    cache.update(things)
    walks = [iter(cache), iter(cache.values()), iter(cache.items())]
    for walk in walks:
        next(walk)
    watch = [weakref.ref(thing) for thing in things.values()]
    things.clear()
    assert [reference() for reference in watch] == [None, None]
    assert [list(walk) for walk in walks] == [[], [], []]
    reference = weakref.ref(cache)
    del cache, walks, walk
    assert reference() is None


def test_a_store_during_a_load_that_has_died_when_it_ends() -> None:
    """The load's value is kept then: who holds it is handed the only one. A store that lives wins, as in every cache."""
    cache = watched(WeakCache[str, Thing](0))
    winner = Thing("winner")

    def load(stored: Thing) -> Thing:
        cache["a"] = stored
        return Thing("loaded")

    loaded = cache.get_or_create("a", lambda: load(Thing("dead")))
    assert loaded.name == "loaded"
    assert cache.get("a") is loaded
    del cache["a"]
    assert cache.get_or_create("a", lambda: load(winner)) is winner
