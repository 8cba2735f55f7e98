"""Many threads, the collector at work all the time: no error, nothing left over, never two live objects for one key."""

from __future__ import annotations

import gc
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from helpers.kinds import watched
from helpers.mortal import Thing
from helpers.threads import run_threads, switching_often

from safemem import WeakCache


@contextmanager
def collecting_often() -> Iterator[None]:
    """Have the collector run at every fiftieth object."""
    before = gc.get_threshold()
    gc.set_threshold(50)
    try:
        yield
    finally:
        gc.set_threshold(*before)


@pytest.mark.parametrize("maxsize", [0, 5])
def test_creating_dropping_iterating_and_copying(maxsize: int) -> None:
    """Eight threads at once, with values that only the collector can end."""
    cache = watched(WeakCache[int, Thing](maxsize))

    def work(number: int) -> None:
        dice = random.Random(number)
        kept: list[Thing] = []
        for turn in range(1500):
            key = dice.randrange(40)
            thing = cache.get_or_create(key, lambda key=key: Thing(key, cyclic=key % 2 == 0))
            assert thing.name == key
            kept.append(thing)
            del kept[: -dice.randrange(1, 6)]
            if turn % 50 == number:
                assert all(thing.name == key for key, thing in cache.items())
                assert all(thing.name == key for key, thing in cache.copy().items())
            if turn % 7 == 0:
                cache.pop(dice.randrange(40), None)
            if turn % 11 == 0:
                cache[key] = thing
            if turn % 60 == 0:
                cache.resize(dice.choice([0, 3, 5]))

    with collecting_often(), switching_often(1e-5):
        run_threads(8, work)
    cache.resize(0)
    gc.collect()
    assert len(cache) == 0
    assert cache.stats().strong == 0


@pytest.mark.parametrize("maxsize", [0, 2])
def test_never_two_live_objects_for_one_key(maxsize: int) -> None:
    """More than 100,000 racing calls of get_or_create, and as many of setdefault: whoever holds an object for a key holds the one that all others get."""
    cache = watched(WeakCache[int, Thing](maxsize))
    living: list[dict[int, Thing]] = [{} for _ in range(8)]
    lock = threading.Lock()
    wrong: list[object] = []

    def work(number: int) -> None:
        dice = random.Random(number)
        mine = living[number]
        for _ in range(26_000):
            key = dice.randrange(6)
            mine.pop(key, None)
            if dice.random() < 0.5:
                thing = cache.get_or_create(key, lambda key=key: Thing(key, cyclic=key % 2 == 0))
            else:
                thing = cache.setdefault(key, Thing(key, cyclic=key % 2 == 0))
            mine[key] = thing
            if dice.random() < 0.1:
                with lock:
                    others = [held.get(key) for held in living]
                    wrong.extend(other for other in others if other is not None and other is not thing and mine.get(key) is thing)
            if dice.random() < 0.3:
                mine.clear()
            del thing

    with collecting_often(), switching_often(1e-5):
        run_threads(8, work, limit=120)
    assert wrong == []
    stats = cache.stats()
    assert stats.hits + stats.misses == 8 * 26_000
