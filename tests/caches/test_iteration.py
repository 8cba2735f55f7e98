"""Iterating walks a snapshot: it never raises because somebody wrote, never skips the living, never shows the dead."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from helpers.clock import Clock
from helpers.kinds import Kind


def six(kind: Kind, **options: Any) -> Any:
    """A cache of 0..5, room for more."""
    cache = kind.make(50, **options)
    cache.update((number, str(number)) for number in range(6))
    return cache


def test_storing_again_while_iterating(kind: Kind) -> None:
    """Re-setting the keys in the loop shows each once."""
    cache = six(kind)
    seen = []
    for key in cache:
        seen.append(key)
        cache[key] = "new"
    assert seen == [0, 1, 2, 3, 4, 5]


def test_reading_while_iterating(kind: Kind) -> None:
    """Reading, and so promoting, in the loop shows each key once."""
    cache = six(kind)
    seen = []
    for key in cache:
        seen.append(key)
        cache[5 - key]
    assert seen == [0, 1, 2, 3, 4, 5]


def test_adding_while_iterating(kind: Kind) -> None:
    """What is added in the loop is not part of the snapshot, so the loop ends."""
    cache = six(kind)
    seen = []
    for key in cache:
        seen.append(key)
        cache[key + 100] = "more"
    assert seen == [0, 1, 2, 3, 4, 5]


def test_deleting_while_iterating(kind: Kind) -> None:
    """What is deleted before its turn is not shown; nothing else is left out."""
    cache = six(kind)
    seen = []
    for key in cache:
        seen.append(key)
        cache.pop(key + 1, None)
    assert seen == [0, 2, 4]


def test_deleting_the_present_key_while_iterating(kind: Kind) -> None:
    """The key of the moment may be deleted."""
    cache = six(kind)
    for key in cache:
        del cache[key]
    assert len(cache) == 0


def test_clear_while_iterating(kind: Kind) -> None:
    """After clear() nothing of the snapshot is left to show."""
    cache = six(kind)
    seen = []
    for key in cache:
        seen.append(key)
        cache.clear()
    assert seen == [0]


def test_eviction_while_iterating(kind: Kind) -> None:
    """What is evicted before its turn is not shown."""
    cache = six(kind)
    seen = []
    for key in cache:
        seen.append(key)
        cache.resize(3)
    assert seen == [0, 3, 4, 5]


def test_deleted_and_stored_again(kind: Kind) -> None:
    """What was deleted and stored again is alive when its turn comes."""
    cache = six(kind)
    seen = []
    for key, value in cache.items():
        seen.append((key, value))
        if key == 0:
            del cache[3]
            cache[3] = "again"
    assert seen[3] == (3, "again")


def test_items_and_values_show_the_present_value(kind: Kind) -> None:
    """items() and values() show what is stored when the turn comes, not what was when the loop began."""
    cache = six(kind)
    items = iter(cache.items())
    values = iter(cache.values())
    assert next(items) == (0, "0")
    assert next(values) == "0"
    cache[1] = "new"
    assert next(items) == (1, "new")
    assert next(values) == "new"


def test_expiring_while_iterating(timed: Kind, clock: Clock) -> None:
    """What expired since the snapshot is skipped, what lives is not."""
    cache = timed.make(50, ttl=10, clock=clock)
    for number in range(6):
        cache.set(number, number, ttl=1 if number % 2 else 10)
    seen = []
    for key in cache:
        seen.append(key)
        clock.tick(0.5)
    assert seen == [0, 1, 2, 4]


def test_expire_called_while_iterating(timed: Kind, clock: Clock) -> None:
    """Removing the expired in the loop skips nobody who lives."""
    cache = timed.make(50, ttl=10, clock=clock)
    for number in range(6):
        cache.set(number, number, ttl=1 if number % 2 else 10)
    seen = []
    for key in cache:
        seen.append(key)
        clock.tick(0.5)
        cache.expire()
        len(cache)
    assert seen == [0, 1, 2, 4]


def test_time_passes_before_the_first_item(timed: Kind, clock: Clock) -> None:
    """An iterator that has not begun shows nothing that died meanwhile."""
    cache = timed.make(ttl=1, clock=clock)
    cache["a"] = 1
    iterators = [iter(cache), iter(cache.items()), iter(cache.values()), reversed(cache)]
    clock.tick()
    assert [list(iterator) for iterator in iterators] == [[], [], [], []]


@pytest.mark.parametrize(
    "change", [lambda cache: cache.clear(), lambda cache: cache.pop(5), lambda cache: cache.update({9: 9})], ids=["clear", "pop", "update"]
)
def test_changes_before_the_first_next(kind: Kind, change: Any) -> None:
    """Changes between iter() and the first next() raise nothing."""
    cache = six(kind)
    iterator = iter(cache)
    change(cache)
    assert set(iterator) <= set(cache)


def test_an_exhausted_iterator_stays_exhausted(kind: Kind) -> None:
    """After the end there is nothing more, even if the cache grows."""
    cache = six(kind)
    iterator = iter(cache)
    list(iterator)
    cache[99] = "late"
    with pytest.raises(StopIteration):
        next(iterator)


def test_iterators_are_independent(kind: Kind) -> None:
    """Two loops over one cache do not disturb each other."""
    cache = six(kind)
    assert [(one, two) for one in cache for two in cache] == [(one, two) for one in range(6) for two in range(6)]


def test_an_iterator_keeps_no_value_alive(kind: Kind) -> None:
    """A snapshot holds keys, not values: what is deleted is freed although a loop is under way."""
    import weakref

    from helpers.collect import Thing

    cache = kind.make()
    cache.update(a=Thing(), b=Thing())
    iterator = iter(cache.items())
    next(iterator)
    value = weakref.ref(cache["b"])
    del cache["b"]
    assert value() is None
    assert list(iterator) == []


def test_reversed_walks_a_snapshot_too(kind: Kind) -> None:
    """reversed() may be disturbed as little as iter()."""
    cache = six(kind)
    seen = []
    for key in reversed(cache):
        seen.append(key)
        cache[key] = "new"
        cache.pop(key - 1, None)
        cache[key + 100] = "more"
    assert seen == [5, 3, 1]


def test_nested_operations_of_every_kind(kind: Kind) -> None:
    """Any operation is allowed within a loop."""
    cache = six(kind)
    for key in list(cache)[:3]:
        for _ in cache.items():
            cache[key] = "x"
            cache.copy()
            cache.stats()
            repr(cache)
            len(cache)
    assert len(cache) == 6


def test_set_operations_on_views_while_writing(kind: Kind) -> None:
    """Views do not raise when the cache changes between their steps."""
    cache = six(kind)
    keys = cache.keys()
    assert keys & range(3) == {0, 1, 2}
    cache.clear()
    assert not keys & range(3)
    assert list(keys) == []


def test_iterating_while_others_write(kind: Kind) -> None:
    """Loops in one thread neither raise nor miss what stays, while another thread writes as fast as it can."""
    cache = kind.make(1000)
    cache.update((number, number) for number in range(50))
    stop = threading.Event()

    def write() -> None:
        number = 1000
        while not stop.is_set():
            number += 1
            cache[number] = number
            cache.pop(number - 20, None)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    try:
        for _ in range(30):
            keys = [key for key in cache if key < 50]
            assert keys == list(range(50))
            assert all(key == value for key, value in cache.items())
    finally:
        stop.set()
        writer.join(10)
    assert not writer.is_alive()


def test_items_of_a_subclass_with_missing(kind: Kind) -> None:
    """__missing__ is never asked while iterating, comparing or looking for a value."""

    def missing(_self: object, key: object) -> None:
        msg = f"__missing__ was called with {key!r}"
        raise AssertionError(msg)

    cache = kind.subclass({"__missing__": missing}).make()
    cache.update(a=1, b=2)
    items = iter(cache.items())
    del cache["b"]
    assert list(items) == [("a", 1)]
    assert ("b", 2) not in cache.items()
    assert cache == {"a": 1}
