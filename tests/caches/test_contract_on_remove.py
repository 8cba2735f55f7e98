"""on_remove: one call for one removal, with its cause, in order, when the cache is whole again."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from helpers.clock import Clock
from helpers.kinds import Kind
from helpers.naming import source
from helpers.recorder import Recorder, unraisable

from safemem import RemovalCause


def three(kind: Kind, told: Recorder, **options: Any) -> Any:
    """A full cache of a, b, c."""
    cache = kind.make(3, on_remove=told, **options)
    cache.update(a=1, b=2, c=3)
    assert told.take() == []
    return cache


def refused(operation: Any, *arguments: object) -> None:
    """Run what has to raise KeyError."""
    with pytest.raises(KeyError):
        operation(*arguments)


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (lambda c: c.__delitem__("b"), [("b", 2, "EXPLICIT")]),
        (lambda c: c.pop("b"), [("b", 2, "EXPLICIT")]),
        (lambda c: c.popitem(), [("a", 1, "EXPLICIT")]),
        (lambda c: c.clear(), [("a", 1, "EXPLICIT"), ("b", 2, "EXPLICIT"), ("c", 3, "EXPLICIT")]),
        (lambda c: c.__setitem__("d", 4), [("a", 1, "SIZE")]),
        (lambda c: c.setdefault("d", 4), [("a", 1, "SIZE")]),
        (lambda c: c.get_or_create("d", int), [("a", 1, "SIZE")]),
        (lambda c: c.update(d=4, e=5), [("a", 1, "SIZE"), ("b", 2, "SIZE")]),
        (lambda c: c.evict(2), [("a", 1, "SIZE"), ("b", 2, "SIZE")]),
        (lambda c: c.shrink(1.0), [("a", 1, "SIZE"), ("b", 2, "SIZE"), ("c", 3, "SIZE")]),
        (lambda c: c.resize(1), [("a", 1, "SIZE"), ("b", 2, "SIZE")]),
        (lambda c: c.__setitem__("a", 9), [("a", 1, "REPLACED")]),
        (lambda c: c.update(b=9), [("b", 2, "REPLACED")]),
        (lambda c: c.__ior__({"b": 9}), [("b", 2, "REPLACED")]),
        (lambda c: c.__setitem__("a", c.peek("a")), []),
        (lambda c: c.setdefault("a", 9), []),
        (lambda c: c.get_or_create("a", int), []),
        (lambda c: c.pop("z", None), []),
        (lambda c: (c["a"], c.get("b"), c.peek("c"), list(c), len(c), repr(c)), []),
        (lambda c: c.resize(10), []),
    ],
    ids=source,
)
def test_causes(kind: Kind, told: Recorder, operation: Any, expected: list[tuple[str, int, str]]) -> None:
    """Each operation tells exactly this, in this order, before it returns."""
    cache = three(kind, told)
    operation(cache)
    assert told.take() == expected


def test_expired(timed: Kind, told: Recorder, clock: Clock) -> None:
    """Expired items are told once, when they go: by expire(), len() or the next write, never by a read."""
    cache = three(timed, told, ttl=1, clock=clock)
    clock.tick()
    assert cache.get("a") is None
    assert "a" not in cache
    assert list(iter(cache)) == []  # list(cache) would ask for its length, which expires
    assert told.take() == []
    assert len(cache) == 0
    assert sorted(told.take()) == [("a", 1, "EXPIRED"), ("b", 2, "EXPIRED"), ("c", 3, "EXPIRED")]
    cache["a"] = 1
    clock.tick()
    cache["b"] = 2
    assert told.take() == [("a", 1, "EXPIRED")]
    clock.tick()
    cache.expire()
    cache.expire()
    assert told.take() == [("b", 2, "EXPIRED")]


@pytest.mark.parametrize(
    "operation",
    [
        lambda c: c.__setitem__("a", 9),
        lambda c: c.setdefault("a", 9),
        lambda c: c.get_or_create("a", int),
        lambda c: c.update(a=9),
        lambda c: c.set("a", 9, ttl=5),
        lambda c: c.evict(),
        lambda c: c.shrink(1.0),
        lambda c: c.resize(0),
        lambda c: refused(c.popitem),
        lambda c: refused(c.__delitem__, "a"),
    ],
    ids=["[]=", "setdefault", "get_or_create", "update", "set", "evict", "shrink", "resize", "popitem", "del"],
)
def test_a_dead_item_expired_whatever_removes_it(timed: Kind, told: Recorder, clock: Clock, operation: Any) -> None:
    """An item whose time was over is told as EXPIRED, not as replaced, evicted or deleted."""
    cache = timed.make(3, ttl=1, clock=clock, on_remove=told)
    cache["a"] = 1
    clock.tick()
    operation(cache)
    assert told.take() == [("a", 1, "EXPIRED")]


def test_dead_on_arrival(timed: Kind, told: Recorder, clock: Clock) -> None:
    """A value that is dead on arrival is not stored; what it would have replaced is told as REPLACED."""
    cache = timed.make(3, ttl=5, clock=clock, on_remove=told)
    cache.set("a", 1, ttl=0)
    assert "a" not in cache
    assert told.take() == []
    cache["a"] = 1
    cache.set("a", 2, ttl=0)
    assert "a" not in cache
    assert len(cache) == 0
    assert told.take() == [("a", 1, "REPLACED")]


def test_cause_evicted(kind: Kind) -> None:
    """evicted tells what the cache decided from what the user did."""
    assert {cause.name for cause in RemovalCause} == {"SIZE", "EXPIRED", "EXPLICIT", "REPLACED", "COLLECTED", "PRESSURE"}
    assert {cause.name for cause in RemovalCause if not cause.evicted} == {"EXPLICIT", "REPLACED"}
    causes: list[object] = []
    cache = kind.make(1, on_remove=lambda _key, _value, cause: causes.append(cause))
    cache.update(a=1, b=2)
    assert causes == [RemovalCause.SIZE]
    assert type(causes[0]) is RemovalCause


def test_refused_values_tell_nothing(kind: Kind, told: Recorder) -> None:
    """A value that is too large removes nothing and tells nothing."""
    cache = kind.make(3, getsizeof=lambda value: value, on_remove=told)
    cache["a"] = 3
    for key in ("a", "b"):
        with pytest.raises(ValueError, match="too large"):
            cache[key] = 4
    assert told.take() == []


def test_told_after_the_change(kind: Kind) -> None:
    """When told, the cache already is what it will be: the removed is gone, the new is there, the bound holds."""
    seen: list[tuple[object, ...]] = []
    cache = kind.make(2, on_remove=lambda key, _value, _cause: seen.append((key, key in cache, list(cache), cache.currsize)))
    cache.update(a=1, b=2)
    cache["c"] = 3
    assert seen.pop() == ("a", False, ["b", "c"], 2)
    del cache["b"]
    assert seen.pop() == ("b", False, ["c"], 1)
    cache["c"] = 4
    assert seen.pop() == ("c", True, ["c"], 1)
    cache.clear()
    assert seen.pop() == ("c", False, [], 0)


def test_told_in_the_thread_whose_call_removed(kind: Kind) -> None:
    """The callback runs in the thread that removed the entry, before its call returns."""
    threads: list[int] = []
    cache = kind.make(1, on_remove=lambda *_: threads.append(threading.get_ident()))
    cache["a"] = 1
    worker = threading.Thread(target=lambda: cache.update(b=2))
    worker.start()
    worker.join()
    cache["c"] = 3
    assert threads == [worker.ident, threading.get_ident()]


def test_no_lock_is_held(kind: Kind) -> None:
    """While the callback runs, another thread can use the cache."""
    answers: list[object] = []

    def ask_from_elsewhere(*_: object) -> None:
        worker = threading.Thread(target=lambda: (cache.update(z=26), answers.append(cache.get("z"))))
        worker.start()
        worker.join(10)

    cache = kind.make(3, on_remove=ask_from_elsewhere)
    cache["a"] = 1
    del cache["a"]
    assert answers == [26]


def test_exceptions_are_nobodys(kind: Kind) -> None:
    """An Exception in the callback goes to sys.unraisablehook; the operation succeeds and the others are told."""
    told: list[str] = []

    def fails(key: str, _value: object, _cause: object) -> None:
        told.append(key)
        raise LookupError(key)

    cache = kind.make(2, on_remove=fails)
    cache.update(a=1, b=2)
    with unraisable() as caught:
        cache["c"] = 3
        cache.clear()
    assert told == ["a", "b", "c"]
    assert [str(error) for error in caught] == ["a", "b", "c"]
    assert len(cache) == 0


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_interrupts_reach_the_caller(kind: Kind, error: type[BaseException]) -> None:
    """What is no Exception reaches the caller, after everybody was told; the cache is whole."""
    told: list[str] = []

    def interrupted(key: str, _value: object, _cause: object) -> None:
        told.append(key)
        if key == "a":
            raise error

    cache = kind.make(3, on_remove=interrupted)
    cache.update(a=1, b=2, c=3)
    with pytest.raises(error):
        cache.clear()
    assert told == ["a", "b", "c"]
    assert len(cache) == 0
    cache["d"] = 4
    assert dict(cache) == {"d": 4}


def test_a_callback_that_puts_the_key_back(kind: Kind) -> None:
    """A callback that re-inserts what was evicted neither overfills the cache nor loops for ever."""
    budget = [50]

    def put_back(key: int, value: int, cause: Any) -> None:
        if budget[0] and cause is RemovalCause.SIZE:
            budget[0] -= 1
            cache[key] = value
            assert len(cache) <= 2

    cache = kind.make(2, on_remove=put_back)
    for number in range(6):
        cache[number] = number
        assert len(cache) <= 2
    assert budget == [0]
    cache._check()


def test_a_callback_that_deletes(kind: Kind) -> None:
    """A callback may delete other entries, and all of them."""
    cache = kind.make(3, on_remove=lambda *_: cache.clear())
    cache.update(a=1, b=2, c=3)
    cache["d"] = 4
    assert len(cache) == 0
    cache.update(a=1)
    assert dict(cache) == {"a": 1}


def test_nested_removals_are_told_in_order(kind: Kind) -> None:
    """Removals made from inside the callback are told after those made before them, once each."""
    told: list[tuple[str, str]] = []

    def chain(key: str, _value: object, cause: Any) -> None:
        told.append((key, cause.name))
        if key == "a":
            del cache["c"]

    cache = kind.make(4, on_remove=chain)
    cache.update(a=1, b=2, c=3, d=4)
    cache.evict(2)
    assert told == [("a", "SIZE"), ("b", "SIZE"), ("c", "EXPLICIT")]
    assert list(cache) == ["d"]


def test_the_callback_that_uses_every_operation(kind: Kind) -> None:
    """Every reading operation may be used from inside."""
    seen: list[object] = []

    def look(*_: object) -> None:
        seen.append((len(cache), list(cache.items()), cache.get("b"), cache.peek("c"), repr(cache), cache.stats(), dict(cache.copy())))

    cache = kind.make(2, on_remove=look)
    cache.update(a=1, b=2, c=3)
    assert len(seen) == 1


def test_none_is_no_callback(kind: Kind) -> None:
    """on_remove=None is the same as none."""
    cache = kind.make(1, on_remove=None)
    cache.update(a=1, b=2)
    assert dict(cache) == {"b": 2}


def test_every_stored_value_is_told_once(kind: Kind, told: Recorder) -> None:
    """Over a long run what was stored equals what was removed and what is left."""
    cache = kind.make(7, on_remove=told)
    stored = []
    for number in range(500):
        value = object()
        stored.append(value)
        cache[number * 7919 % 23] = value
        if number % 11 == 0:
            cache.popitem()
        if number % 97 == 0:
            cache.clear()
    gone = [value for _, value, _ in told.take()]
    assert len(gone) == len(set(map(id, gone)))
    assert {id(value) for value in stored} == {id(value) for value in gone} | {id(value) for value in cache.values()}
    assert len(stored) == len(gone) + len(cache)


def test_an_abandoned_cache_tells_nothing(kind: Kind, told: Recorder) -> None:
    """Letting go of the whole cache removes no entry."""
    cache = kind.make(3, on_remove=told)
    cache.update(a=1)
    del cache
    assert told.take() == []
