"""Copies and pickles are whole, independent, in order, and know how long their items have left."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from helpers.clock import SHARED, Clock, shared_clock
from helpers.kinds import KINDS, LRU, TIMED, TLRU, TTL, Kind, LivesFor, for_ever, watched
from helpers.recorder import Recorder

from safemem import LRUCache, TLRUCache, TTLCache

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def pickled(protocol: int) -> Callable[[Any], Any]:
    """A way to copy: through a pickle."""

    def through(cache: Any) -> Any:
        return pickle.loads(pickle.dumps(cache, protocol))

    through.__name__ = f"pickle{protocol}"
    return through


WAYS: list[Callable[[Any], Any]] = [lambda cache: cache.copy(), copy.copy, copy.deepcopy, *(pickled(protocol) for protocol in PROTOCOLS)]
NAMES = ["copy", "copy.copy", "deepcopy", *(f"pickle{protocol}" for protocol in PROTOCOLS)]


@pytest.fixture(params=WAYS, ids=NAMES)
def duplicate(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    """Every way to copy a cache."""

    def way(cache: Any) -> Any:
        return watched(request.param(cache))

    return way


def weigh(value: Any) -> int:
    """How long a value is; counts its calls."""
    weigh.calls += 1
    return len(value)


weigh.calls = 0


class CountingLRU(LRUCache[Any, Any]):
    """A subclass with its own constructor and attributes."""

    def __init__(self, name: str, *, size: int = 3) -> None:
        super().__init__(size)
        self.name = name
        self.notes: list[str] = []


class CountingTTL(TTLCache):
    """A subclass with its own constructor and attributes."""

    def __init__(self, name: str, *, size: int = 3) -> None:
        super().__init__(size, 10, shared_clock)
        self.name = name
        self.notes: list[str] = []


class CountingTLRU(TLRUCache):
    """A subclass with its own constructor and attributes."""

    def __init__(self, name: str, *, size: int = 3) -> None:
        super().__init__(size, LivesFor(10), shared_clock)
        self.name = name
        self.notes: list[str] = []


class SlottedLRU(LRUCache[Any, Any]):
    """A subclass with a slot."""

    __slots__ = ("extra",)


SUBCLASSES = [CountingLRU, CountingTTL, CountingTLRU]


def test_same_class_pairs_order_and_bound(kind: Kind, duplicate: Callable[[Any], Any]) -> None:
    """A copy has the class, the pairs, the order of use and the bound."""
    cache = kind.make(5)
    cache.update(a=1, b=2, c=3)
    cache["a"]
    twin = duplicate(cache)
    assert type(twin) is kind.cls
    assert twin is not cache
    assert list(twin.items()) == [("b", 2), ("c", 3), ("a", 1)]
    assert (twin.maxsize, twin.currsize) == (5, 3)
    assert list(cache.items()) == list(twin.items())
    twin._check()


def test_independent(kind: Kind, duplicate: Callable[[Any], Any]) -> None:
    """Neither the copy nor the original sees what happens to the other; both keep their bound."""
    cache = kind.make(3)
    cache.update(a=1, b=2)
    twin = duplicate(cache)
    twin.update((number, number) for number in range(5))
    cache["c"] = 3
    del cache["a"]
    assert list(twin) == [2, 3, 4]
    assert list(cache) == ["b", "c"]
    assert (twin.currsize, cache.currsize) == (3, 2)


def test_empty_and_infinite(kind: Kind, duplicate: Callable[[Any], Any]) -> None:
    """An empty, unbounded cache copies too."""
    twin = duplicate(kind.make(math.inf))
    assert (len(twin), twin.maxsize) == (0, math.inf)
    twin["a"] = 1
    assert twin["a"] == 1


def test_weights_are_kept_not_weighed_again(kind: Kind, duplicate: Callable[[Any], Any]) -> None:
    """A copy takes over the weights as they were stored; getsizeof goes on weighing what is stored later."""
    cache = kind.make(10, getsizeof=weigh)
    value = [1, 2, 3]
    cache["a"] = value
    value.append(4)
    weighed = weigh.calls
    twin = duplicate(cache)
    assert weigh.calls == weighed
    assert twin.currsize == 3
    twin["b"] = [1]
    assert twin.currsize == 4
    del twin["a"]
    assert twin.currsize == 1


def test_resized_cache(kind: Kind, duplicate: Callable[[Any], Any]) -> None:
    """The bound of a copy is the present one, not that of the constructor."""
    cache = kind.make(5)
    cache.resize(2)
    assert duplicate(cache).maxsize == 2


@pytest.mark.parametrize("cls", SUBCLASSES)
def test_subclass_with_own_constructor(cls: type[Any], duplicate: Callable[[Any], Any]) -> None:
    """A subclass is copied without calling its constructor; its attributes come along."""
    cache = cls("mine", size=2)
    cache.notes.append("first")
    cache.update(a=1, b=2, c=3)
    twin = duplicate(cache)
    assert type(twin) is cls
    assert (twin.name, twin.notes) == ("mine", ["first"])
    assert list(twin.items()) == [("b", 2), ("c", 3)]
    twin["d"] = 4
    assert list(twin) == ["c", "d"]


def test_slots_of_a_subclass(duplicate: Callable[[Any], Any]) -> None:
    """Slots of a subclass come along, with every protocol that knows slots."""
    cache = SlottedLRU(3)
    cache.extra = "e"
    cache["a"] = 1
    twin = duplicate(cache)
    assert twin.extra == "e"
    assert dict(twin) == {"a": 1}


def test_shallow_copies_share_the_values(kind: Kind) -> None:
    """copy() and copy.copy() hold the very same values, deepcopy() copies of them."""
    cache = kind.make()
    value = [1]
    cache["a"] = value
    assert cache.copy()["a"] is value
    assert copy.copy(cache)["a"] is value
    deep = copy.deepcopy(cache)["a"]
    assert deep == value
    assert deep is not value


def test_deepcopy_keeps_identities_inside(kind: Kind) -> None:
    """Two keys with one value have one value in the deep copy too."""
    cache = kind.make()
    cache["a"] = cache["b"] = [1]
    twin = copy.deepcopy(cache)
    assert twin["a"] is twin["b"]


@pytest.mark.parametrize("way", [copy.deepcopy, *(pickled(protocol) for protocol in PROTOCOLS)])
def test_a_cache_in_itself(kind: Kind, way: Callable[[Any], Any]) -> None:
    """A cache that holds itself, directly or inside a value, copies to one that holds itself."""
    cache = kind.make()
    cache["self"] = cache
    cache["list"] = [cache]
    twin = way(cache)
    assert twin["self"] is twin
    assert twin["list"][0] is twin
    cache.clear()
    twin.clear()


def test_functions_are_taken_by_reference(duplicate: Callable[[Any], Any]) -> None:
    """timer, ttu and getsizeof of a copy are the same functions."""
    cache = watched(TLRUCache(5, for_ever, shared_clock, weigh))
    twin = duplicate(cache)
    assert twin.ttu is for_ever
    assert twin.getsizeof is weigh
    SHARED.jump(1234)
    assert twin.timer() == 1234
    twin["a"] = "abc"
    assert twin.currsize == 3


@pytest.mark.parametrize("kind", TIMED, ids=str)
def test_remaining_life(kind: Kind, duplicate: Callable[[Any], Any]) -> None:
    """Items of a copy have as long left as those of the original, wherever the clock stands by then."""
    SHARED.jump(100)
    cache = kind.make(ttl=10, clock=shared_clock)
    cache["a"] = 1
    SHARED.tick(4)
    cache["b"] = 2
    cache.set("c", 3, ttl=2)
    cache.set("d", 4, ttl=math.inf)
    twin = duplicate(cache)
    assert [twin.ttl_of(key) for key in "abcd"] == [6, 10, 2, math.inf]
    SHARED.tick(2)
    assert list(iter(twin)) == ["a", "b", "d"]
    SHARED.tick(4)
    assert [key for key, _ in twin.expire()] == ["c", "a"]
    SHARED.tick(1000)
    assert list(twin) == ["d"]


@pytest.mark.parametrize("kind", TIMED, ids=str)
def test_pickled_deadlines_mean_remaining_time(kind: Kind) -> None:
    """A pickle loaded where the clock reads something else gives the items the time they had left when it was made."""
    for later in (0.0, 5.0, 1e9):
        SHARED.jump(1000)
        cache = kind.make(ttl=10, clock=shared_clock)
        cache["a"] = 1
        SHARED.tick(7)
        data = pickle.dumps(cache)
        SHARED.jump(later)
        twin = pickle.loads(data)
        assert twin.ttl_of("a") == 3
        SHARED.tick(2.5)
        assert twin["a"] == 1
        SHARED.tick(0.5)
        assert "a" not in twin
        twin["b"] = 2
        assert twin.ttl_of("b") == 10


@pytest.mark.parametrize("kind", TIMED, ids=str)
def test_expired_items_are_not_brought_back_by_a_copy(kind: Kind, duplicate: Callable[[Any], Any]) -> None:
    """What is dead in the original is dead in the copy."""
    SHARED.jump(0)
    cache = kind.make(ttl=10, clock=shared_clock)
    cache["a"] = 1
    SHARED.tick(10)
    twin = duplicate(cache)
    assert "a" not in twin
    assert len(twin) == twin.currsize == 0


def test_ttl_of_the_copy(duplicate: Callable[[Any], Any]) -> None:
    """The ttl of a TTLCache comes along."""
    assert duplicate(TTLCache(5, 12, shared_clock)).ttl == 12


def test_copying_tells_nobody_and_counts_nothing(kind: Kind, told: Recorder) -> None:
    """Copying removes nothing and changes no statistics of the original."""
    cache = kind.make(on_remove=told)
    cache.update(a=1, b=2)
    before = cache.stats()
    cache.copy()
    copy.copy(cache)
    assert cache.stats() == before
    assert told.take() == []


def test_on_remove_of_the_copy(kind: Kind, told: Recorder) -> None:
    """A copy tells the same callback of its own removals."""
    cache = kind.make(on_remove=told)
    cache["a"] = 1
    twin = cache.copy()
    del twin["a"]
    assert told.take() == [("a", 1, "EXPLICIT")]
    assert "a" in cache


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_what_cannot_be_pickled_says_so(kind: Kind) -> None:
    """A lambda as getsizeof is refused by pickle with an error that names what and why, and the cache is unharmed."""
    cache = kind.make(getsizeof=lambda _value: 1)
    cache["a"] = 1
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError), match=r"lambda|getsizeof"):
        pickle.dumps(cache)
    assert dict(cache) == {"a": 1}


def test_values_that_cannot_be_pickled(kind: Kind) -> None:
    """An unpicklable value raises what pickle raises."""
    cache = kind.make()
    cache["a"] = lambda: 1
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
        pickle.dumps(cache)


def test_many_entries_do_not_recurse(kind: Kind) -> None:
    """Copying and pickling do not go deeper with the number of entries."""
    cache = kind.make(math.inf)
    cache.update((number, number) for number in range(5000))
    for twin in (copy.deepcopy(cache), pickle.loads(pickle.dumps(cache))):
        assert list(twin) == list(range(5000))


def test_the_clock_of_a_copy_counts_from_the_same_moment(clock: Clock) -> None:
    """A copy does not wait for a clock that ran backwards any more than the original does."""
    for kind in (TTL, TLRU):
        clock.jump(100)
        cache = kind.make(ttl=10, clock=clock)
        cache["a"] = 1
        clock.back(50)
        twin = cache.copy()
        clock.tick(10)
        assert "a" not in cache
        assert "a" not in twin


def test_classes_are_pickled_by_their_public_name() -> None:
    """A pickle names safemem.LRUCache and no private module, so it can be loaded whatever core runs there."""
    data = pickle.dumps(LRU.make(2), protocol=0)
    assert b"safemem\nLRUCache" in data
    for private in (b"_pure", b"_native", b"safemem.core", b"safemem.caches"):
        assert private not in data
