"""Keys with a `__hash__` or `__eq__` that raises, changes, collides or calls back cannot harm the cache."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
from helpers.fuse import FreshKey
from helpers.kinds import LRU, Kind
from helpers.naming import source

from safemem import cached

OPERATIONS = [
    lambda cache, key: cache[key],
    lambda cache, key: cache.__setitem__(key, "new"),
    lambda cache, key: cache.__delitem__(key),
    lambda cache, key: key in cache,
    lambda cache, key: cache.get(key),
    lambda cache, key: cache.get(key, "default"),
    lambda cache, key: cache.pop(key),
    lambda cache, key: cache.pop(key, "default"),
    lambda cache, key: cache.setdefault(key, "new"),
    lambda cache, key: cache.update({key: "new"}),
    lambda cache, key: cache.update([(key, "new")]),
    lambda cache, key: cache.peek(key),
    lambda cache, key: cache.get_or_create(key, object),
    lambda cache, key: key in cache.keys(),
    lambda cache, key: (key, 1) in cache.items(),
]


class Moody:
    """A key that raises from `__hash__` or `__eq__` when told to; all collide."""

    def __init__(self, name: object = None) -> None:
        self.name = name
        self.hash_error: BaseException | None = None
        self.eq_error: BaseException | None = None

    def __hash__(self) -> int:
        if self.hash_error is not None:
            raise self.hash_error
        return 1

    def __eq__(self, other: object) -> bool:
        if self.eq_error is not None:
            raise self.eq_error
        return isinstance(other, Moody) and self.name == other.name


class Mutable:
    """A key whose hash follows a value that can change."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __hash__(self) -> int:
        return hash(self.number)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mutable) and self.number == other.number


@pytest.mark.parametrize("operation", OPERATIONS, ids=source)
@pytest.mark.parametrize("error", [LookupError, KeyError, MemoryError, KeyboardInterrupt])
def test_hash_raises(kind: Kind, operation: Any, error: type[BaseException]) -> None:
    """What `__hash__` raises reaches the caller of every operation, KeyError too, and changes nothing."""
    cache = kind.make()
    cache.update(a=1, b=2)
    key = Moody()
    key.hash_error = raised = error("from hash")
    with pytest.raises(error) as caught:
        operation(cache, key)
    assert caught.value is raised
    assert list(cache.items()) == [("a", 1), ("b", 2)]
    cache._check()


@pytest.mark.parametrize("operation", OPERATIONS, ids=source)
@pytest.mark.parametrize("error", [LookupError, KeyError, MemoryError, KeyboardInterrupt])
def test_eq_raises(kind: Kind, operation: Any, error: type[BaseException]) -> None:
    """What `__eq__` raises reaches the caller of every operation, KeyError too: it is no miss, and changes nothing."""
    cache = kind.make()
    stored, asked = Moody("stored"), Moody("asked")
    cache["a"] = 1
    cache[stored] = 2
    stored.eq_error = asked.eq_error = raised = error("from eq")
    with pytest.raises(error) as caught:
        operation(cache, asked)
    assert caught.value is raised
    stored.eq_error = asked.eq_error = None
    assert len(cache) == 2
    assert cache.peek(stored) == 2
    assert list(cache)[0] == "a"
    cache._check()


def test_key_error_from_eq_is_no_miss_for_the_decorator() -> None:
    """A KeyError raised by an argument's `__eq__` reaches the caller; the function is not run a second time."""
    calls: list[object] = []

    @cached
    def function(key: object) -> str:
        calls.append(key)
        return "result"

    stored, asked = Moody("stored"), Moody("asked")
    function(stored)
    asked.eq_error = stored.eq_error = KeyError("from eq")
    with pytest.raises(KeyError, match="from eq"):
        function(asked)
    assert calls == [stored] or len(calls) == 1


def test_mutated_hash_never_wedges_the_cache(kind: Kind) -> None:
    """A key whose hash changed is lost to look-ups, but is evicted in its turn: later inserts work and the bound holds."""
    cache = kind.make(3)
    keys = [Mutable(number) for number in range(3)]
    for key in keys:
        cache[key] = key.number
    for key in keys:
        key.number += 1000
    for number in range(100, 120):
        cache[number] = number
        assert len(cache) == cache.currsize <= 3
        cache._check()
    assert list(cache) == [117, 118, 119]


def test_mutated_hash_leaks_nothing(kind: Kind) -> None:
    """The lost keys and their values are freed when they are evicted, cleared or popped."""
    for let_go in (
        lambda cache: cache.evict(2),
        lambda cache: cache.clear(),
        lambda cache: (cache.popitem(), cache.popitem()),
        lambda cache: cache.resize(0),
    ):
        cache = kind.make(2)
        keys = [Mutable(1), Mutable(2)]
        watch = [weakref.ref(key) for key in keys]
        for key in keys:
            cache[key] = 1
            key.number += 1000
        del keys, key
        let_go(cache)
        gc.collect()
        assert [reference() for reference in watch] == [None, None]
        assert len(cache) == cache.currsize == 0


def test_mutated_hash_with_weights(kind: Kind) -> None:
    """The weights of lost entries are given back."""
    cache = kind.make(10, getsizeof=lambda value: value)
    key = Mutable(1)
    cache[key] = 6
    key.number = 2
    cache["a"] = 8
    assert list(cache.items()) == [("a", 8)]
    assert cache.currsize == 8


def test_mutated_hash_expires(timed: Kind, clock: Any) -> None:
    """A lost entry expires."""
    cache = timed.make(10, ttl=1, clock=clock)
    key = Mutable(1)
    cache[key] = "value"
    key.number = 2
    clock.tick()
    assert [value for _, value in cache.expire()] == ["value"]
    assert len(cache) == 0


def test_mutated_hash_and_the_decorator() -> None:
    """A cached function survives arguments whose hash changes."""

    @cached(maxsize=2)
    def function(key: Mutable) -> int:
        return key.number

    for number in range(20):
        key = Mutable(number)
        assert function(key) == number
        key.number += 1000
    assert function.cache_info().currsize <= 2


def test_mutated_hash_stored_again(kind: Kind) -> None:
    """Storing under a key whose hash changed makes a second entry, as in a dict; both go in their turn."""
    cache = kind.make(3)
    key = Mutable(1)
    cache[key] = "first"
    key.number = 2
    cache[key] = "second"
    assert cache[key] == "second"
    cache.update(a=1, b=2, c=3)
    assert list(cache) == ["a", "b", "c"]
    cache._check()


def test_equal_hashes_are_different_keys(kind: Kind) -> None:
    """-1 and -2 have one hash and are two keys for every operation."""
    assert hash(-1) == hash(-2)
    cache = kind.make()
    cache[-1] = "one"
    assert -2 not in cache
    assert cache.pop(-2, None) is None
    cache[-2] = "two"
    assert (cache[-1], cache[-2]) == ("one", "two")
    del cache[-1]
    assert dict(cache) == {-2: "two"}
    cache[-1] = "again"
    del cache[-2]
    assert dict(cache) == {-1: "again"}


def test_equal_hashes_and_eviction(kind: Kind) -> None:
    """Eviction takes the coldest, not one that collides with it."""
    cache = kind.make(2)
    cache[-2] = "cold"
    cache[-1] = "hot"
    cache["x"] = 1
    assert list(cache) == [-1, "x"]


def test_equal_keys_of_different_types_are_one_key(kind: Kind) -> None:
    """1, 1.0 and True are one key, as in a dict."""
    cache = kind.make()
    cache[1] = "int"
    assert cache[1.0] == cache[True] == "int"
    cache[True] = "bool"
    assert (len(cache), cache[1]) == (1, "bool")
    assert list(cache) == [1]
    assert type(next(iter(cache))) is int


def test_all_keys_collide(kind: Kind) -> None:
    """With one hash for all keys everything still works."""
    cache = kind.make(10)
    for number in range(30):
        cache[Moody(number)] = number
    assert [value for _, value in cache.items()] == list(range(20, 30))
    for number in range(20, 30):
        assert cache[Moody(number)] == number
    for number in range(20, 30, 2):
        del cache[Moody(number)]
    assert len(cache) == 5


def test_equal_but_not_identical_keys(kind: Kind) -> None:
    """Keys are compared, not identified."""
    cache = kind.make(10)
    for number in range(10):
        cache[FreshKey(number)] = number
    assert [cache[FreshKey(number)] for number in range(10)] == list(range(10))


def test_identity_comes_before_equality(kind: Kind) -> None:
    """A key that is not even equal to itself is found by identity, as in a dict."""
    nan = float("nan")
    cache = kind.make()
    cache[nan] = 1
    assert nan in cache
    assert cache[nan] == 1
    assert float("nan") not in cache
    del cache[nan]
    assert len(cache) == 0


def test_eq_with_a_strange_result(kind: Kind) -> None:
    """What `__eq__` returns is asked for its truth, which may raise."""

    class Strange:
        def __init__(self, answer: object) -> None:
            self.answer = answer

        def __hash__(self) -> int:
            return 5

        def __eq__(self, other: object) -> Any:
            return self.answer

    class Untrue:
        def __bool__(self) -> bool:
            msg = "no truth"
            raise LookupError(msg)

    cache = kind.make()
    cache[Strange([1])] = "found"
    assert cache.get(Strange([1])) == "found"
    cache.clear()
    cache[Strange(Untrue())] = 1
    with pytest.raises(LookupError, match="no truth"):
        cache.get(Strange(Untrue()))
    assert len(cache) == 1


@pytest.mark.parametrize("operation", OPERATIONS, ids=source)
def test_eq_that_calls_back(kind: Kind, operation: Any) -> None:
    """A key whose `__eq__` reads, stores and deletes in the same cache neither hangs nor breaks it."""
    cache = kind.make(4)
    entered: list[int] = []
    meddling = iter(range(10))  # a comparison that changes the table each and every time would keep a dict busy for ever, too

    class Nosy:
        def __init__(self, name: int) -> None:
            self.name = name

        def __hash__(self) -> int:
            return 3

        def __eq__(self, other: object) -> bool:
            if not entered and next(meddling, None) is not None:
                entered.append(1)
                cache.get("x")
                cache["y"] = 1
                cache.pop("z", None)
                cache.update({number: number for number in range(5)})
                entered.pop()
            return isinstance(other, Nosy) and self.name == other.name

    for name in range(3):
        cache[Nosy(name)] = name
    try:
        operation(cache, Nosy(1))
    except KeyError:
        assert len(cache) <= 4
    assert len(cache) <= 4
    cache._check()


def test_eq_that_deletes_what_is_being_looked_for() -> None:
    """A comparison that removes the entry under comparison makes the look-up a hit or a miss, and nothing worse."""
    cache = LRU.make(10)

    class Vanishing:
        armed = False

        def __hash__(self) -> int:
            return 9

        def __eq__(self, other: object) -> bool:
            if Vanishing.armed:
                Vanishing.armed = False
                cache.clear()
            return True

    for operation in OPERATIONS:
        cache.clear()
        cache[Vanishing()] = 1
        Vanishing.armed = True
        try:
            operation(cache, Vanishing())
        except KeyError:
            pass
        Vanishing.armed = False
        cache._check()
        assert len(cache) <= 1


@pytest.mark.parametrize("inner", ["clear", "pop", "evict", "replace", "popitem and refill"])
@pytest.mark.parametrize("store", ["[]=", "update", "setdefault", "get_or_create"])
def test_a_store_is_never_lost(kind: Kind, store: str, inner: str) -> None:
    """A comparison that changes the cache in the middle of a store does not make the store vanish: the value is there afterwards."""
    armed: list[int] = []

    class Meddler:
        def __init__(self, name: int) -> None:
            self.name = name

        def __hash__(self) -> int:
            return 5

        def __eq__(self, other: object) -> bool:
            if armed:
                armed.pop()
                meddle()
            return isinstance(other, Meddler) and self.name == other.name

    def meddle() -> None:
        if inner == "clear":
            cache.clear()
        elif inner == "pop":
            cache.pop(key, None)
        elif inner == "evict":
            cache.evict(5)
        elif inner == "replace":
            cache[key] = "from inside"
        else:
            cache.popitem()
            cache.update((number, number) for number in range(5))

    cache = kind.make(5, ttl=10)
    key = Meddler(1)
    cache[key] = "old"
    cache[Meddler(2)] = "other"
    armed.append(1)
    if store == "[]=":
        cache[Meddler(1)] = "new"
    elif store == "update":
        cache.update([(Meddler(1), "new")])
    elif store == "setdefault":
        assert cache.setdefault(Meddler(1), "new") is not None
    else:
        assert cache.get_or_create(Meddler(1), lambda: "new") is not None
    assert not armed
    cache._check()
    if store in {"[]=", "update"}:
        assert cache.peek(Meddler(1)) == "new"
    assert len(cache) == len(list(cache)) <= 5


def test_unorderable_keys_in_timed_caches(timed: Kind, clock: Any) -> None:
    """Equal deadlines never make the cache compare keys or values with `<`."""
    cache = timed.make(ttl=1, clock=clock)
    for number in range(20):
        cache[complex(number)] = object()
    clock.tick()
    assert len(cache.expire()) == 20
