"""What the death of a value reports: read in time, never mistaken for that of another, and never what keeps anything alive."""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

import pytest

from .cores import PAIRS, make


class Thing:
    """A value, alone or in a cycle with itself."""

    def __init__(self, *, cyclic: bool = False) -> None:
        self.me = self if cyclic else None


@pytest.mark.parametrize("cls", PAIRS["weak"])
def test_a_cache_dropped_with_unread_deaths_leaves_nothing(cls):
    """Deaths that the collector reported and nobody read are forgotten with the cache: no memory, no cyclic garbage."""

    def live_and_die() -> None:
        cache = make(cls, 0)
        for number in range(50):
            cache[number] = Thing(cyclic=True)
        gc.collect()

    for _ in range(3):
        live_and_die()
    assert gc.collect() == 0
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(100):
            live_and_die()
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] - before < 100_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("cls", PAIRS["weak"])
def test_what_expired_and_died_is_not_in_the_list_of_the_expired(cls):
    """expire() lists what was alive when its time was over; a dead value is told as collected."""
    now = [0.0]
    told: list[Any] = []
    cache = make(cls, 0, timer=lambda: now[0], step=5, on_remove=lambda key, value, cause: told.append((key, value, cause.name)))
    kept = Thing()

    class Key:
        """Lets go of the other value when it is looked for, in the middle of expire()."""

        def __init__(self, lose: list[Thing]) -> None:
            self.lose = lose

        def __hash__(self) -> int:
            return 1

        def __eq__(self, other: object) -> bool:
            self.lose.clear()
            return self is other

    lost = [Thing()]
    cache["first"] = kept
    cache[Key(lost)] = lost[0]
    now[0] = 5.0
    cache.expire()
    assert cache.expire() == []
    assert ("first", kept, "EXPIRED") in told
    assert len(told) == 2


@pytest.mark.parametrize("cls", PAIRS["weak"])
def test_rows_that_expire_teach_a_cache_time(cls):
    """A cache without a sense of time gets one from what is imported with a limited life."""
    now = [0.0]
    cache = make(cls, 10, timer=lambda: now[0])
    cache._import([("a", 1, 1, None), ("b", 2, 1, 5), ("c", 3, 1, float("inf"))])
    assert cache.ttl_of("b") == 5
    assert cache.ttl_of("a") == cache.ttl_of("c") == float("inf")
    now[0] = 5.0
    assert list(cache) == ["a", "c"]
    cache._check()
