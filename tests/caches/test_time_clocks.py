"""Clocks that run backwards, jump, stand still, fail, stop on purpose, or read dates."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from helpers.clock import BrokenClock, Clock
from helpers.kinds import Kind, LivesFor, watched
from helpers.naming import source

from safemem import TLRUCache, TTLCache


@pytest.mark.parametrize("seconds", [1, 100, 1e9])
def test_a_clock_that_runs_backwards_hides_nothing(timed: Kind, seconds: float) -> None:
    """An item stored after the clock was set back is not hidden behind those stored before: each lives its own ttl."""
    clock = Clock(1e10)
    cache = timed.make(ttl=10, clock=clock)
    cache["a"] = 1
    clock.back(seconds)
    cache["b"] = 2
    clock.tick(5)
    cache["c"] = 3
    clock.tick(5)
    assert list(cache) == ["c"]
    assert len(cache) == 1
    clock.tick(5)
    assert len(cache) == 0


def test_a_clock_that_runs_backwards_freezes_nothing(timed: Kind) -> None:
    """Setting the clock back does not prolong lives: what is left is counted by steps forward."""
    clock = Clock(1000)
    cache = timed.make(ttl=10, clock=clock)
    cache["a"] = 1
    clock.tick(4)
    assert cache.ttl_of("a") == 6
    clock.back(500)
    assert cache.ttl_of("a") == 6
    clock.tick(5)
    assert cache.ttl_of("a") == 1
    clock.tick(1)
    assert "a" not in cache


def test_a_clock_that_runs_backwards_revives_nothing(timed: Kind) -> None:
    """What expired stays expired, also while nobody has removed it yet."""
    clock = Clock(1000)
    cache = timed.make(ttl=10, clock=clock)
    cache["a"] = 1
    clock.tick(10)
    assert "a" not in cache
    clock.back(10)
    assert "a" not in cache
    assert cache.get("a") is cache.peek("a") is None
    assert list(cache) == []
    assert len(cache) == 0


def test_a_clock_that_is_set_back_again_and_again(timed: Kind) -> None:
    """However often it is set back, items expire after their ttl of forward steps."""
    clock = Clock(1e6)
    cache = timed.make(ttl=10, clock=clock)
    cache["a"] = 1
    for step in range(10):
        assert "a" in cache, step
        clock.back(1000)
        assert "a" in cache
        clock.tick(1)
    assert "a" not in cache


def test_a_clock_that_jumps_forward(timed: Kind, clock: Clock) -> None:
    """A jump forward ends all lives that it covers, and new items live as usual."""
    cache = timed.make(ttl=10, clock=clock)
    cache["a"] = 1
    clock.jump(1e15)
    assert "a" not in cache
    cache["b"] = 2
    clock.tick(9)
    assert "b" in cache
    clock.tick(1)
    assert len(cache) == 0


def test_a_clock_that_stands_still(timed: Kind, clock: Clock) -> None:
    """Nothing expires while the clock stands; the order of the deadlines is that of storing."""
    cache = timed.make(1000, ttl=1, clock=clock)
    for number in range(1000):
        cache[number] = number
    assert len(cache) == 1000
    clock.tick()
    assert [key for key, _ in cache.expire()] == list(range(1000))


def test_a_clock_that_reads_negative(timed: Kind) -> None:
    """Timers may read less than 0."""
    clock = Clock(-1e6)
    cache = timed.make(ttl=10, clock=clock)
    cache["a"] = 1
    clock.tick(9)
    assert "a" in cache
    clock.tick()
    assert "a" not in cache


def test_a_clock_of_whole_numbers(timed: Kind) -> None:
    """Timers may count in whole numbers, larger than floats tell apart."""
    clock = Clock(0)
    clock.now = start = 2**60
    cache = timed.make(ttl=3, clock=clock)
    cache["a"] = 1
    clock.now = start + 2
    assert cache.ttl_of("a") == 1
    clock.now = start + 3
    assert "a" not in cache


def test_a_clock_that_reads_nan(timed: Kind, clock: Clock) -> None:
    """While the timer reads NaN no time passes; items go on living and dying when it reads numbers again."""
    cache = timed.make(ttl=10, clock=clock)
    cache["a"] = 1
    clock.tick(4)
    assert cache.ttl_of("a") == 6
    clock.jump(math.nan)
    assert "a" in cache
    assert cache["a"] == 1
    assert len(cache) == 1
    clock.jump(4)
    assert cache.ttl_of("a") == 6
    clock.tick(6)
    assert "a" not in cache
    cache._check()


@pytest.mark.parametrize(
    "operation",
    [
        lambda cache: cache["a"],
        lambda cache: cache.get("a"),
        lambda cache: "a" in cache,
        lambda cache: cache.peek("a"),
        lambda cache: cache.__setitem__("a", 2),
        lambda cache: cache.__setitem__("new", 2),
        lambda cache: cache.setdefault("new", 2),
        lambda cache: cache.set("a", 2, ttl=3),
        lambda cache: cache.pop("a"),
        lambda cache: cache.popitem(),
        lambda cache: cache.expire(),
        lambda cache: cache.ttl_of("a"),
        len,
        list,
        lambda cache: cache.evict(),
        lambda cache: cache.copy(),
        lambda cache: cache.get_or_create("new", int),
    ],
    ids=source,
)
def test_a_clock_that_raises(timed: Kind, operation: Any) -> None:
    """What the timer raises reaches the caller, and the cache is as it was before."""
    clock = BrokenClock()
    cache = timed.make(ttl=10, clock=clock)
    cache.update(a=1, b=2)
    clock.error = OSError("the clock is broken")
    try:
        operation(cache)
    except OSError as error:
        assert str(error) == "the clock is broken"  # noqa: PT017
        clock.error = None
        assert dict(cache) == {"a": 1, "b": 2}
    clock.error = None
    cache._check()
    cache["c"] = 3
    clock.tick(10)
    assert len(cache) == 0


def test_frozen_time(timed: Kind, clock: Clock) -> None:
    """Within `with cache.timer` the time stands still for this cache, nested or not, and it reads as it did at the start."""
    cache = timed.make(ttl=2, clock=clock)
    cache["a"] = 1
    with cache.timer as now:
        assert now == cache.timer() == 0
        clock.tick(5)
        assert cache.timer() == 0
        assert cache["a"] == 1
        with cache.timer as again:
            assert again == 0
            clock.tick(5)
            assert len(cache) == 1
        assert cache["a"] == 1
    assert cache.timer() == 10
    assert "a" not in cache


def test_frozen_time_ends_with_an_exception(timed: Kind, clock: Clock) -> None:
    """The time runs again however the block ends."""
    cache = timed.make(ttl=2, clock=clock)
    with pytest.raises(LookupError), cache.timer:
        raise LookupError
    clock.tick(7)
    assert cache.timer() == 7


def test_the_timer_passes_attributes_through(timed: Kind, clock: Clock) -> None:
    """cache.timer has the attributes of the timer it was given, and calls it."""
    cache = timed.make(clock=clock)
    cache.timer.tick(3)
    assert clock.now == 3
    assert cache.timer() == cache.timer.now == 3
    with pytest.raises(AttributeError):
        _ = cache.timer.no_such_thing


def test_one_look_at_the_clock_for_one_operation(timed: Kind) -> None:
    """An operation cannot see an item alive at first and dead later: a timer that moves with each reading does no harm."""

    class Restless(Clock):
        def __call__(self) -> float:
            self.now += 1
            return super().__call__()

    cache = timed.make(5, ttl=2, clock=Restless())
    for operation in (
        lambda: cache["a"],
        lambda: cache.get("a"),
        lambda: cache.pop("a"),
        lambda: cache.setdefault("a", 2),
        lambda: cache.peek("a"),
    ):
        cache["a"] = 1
        assert operation() == 1


def test_datetime_timer() -> None:
    """A timer may return datetimes, with a timedelta as ttl."""
    now = [datetime(2026, 3, 1, tzinfo=UTC)]
    cache = watched(TTLCache(5, timedelta(minutes=10), lambda: now[0]))
    cache["a"] = 1
    now[0] += timedelta(minutes=4)
    assert cache.ttl_of("a") == timedelta(minutes=6)
    cache.set("b", 2, ttl=timedelta(minutes=1))
    now[0] += timedelta(minutes=1)
    assert list(iter(cache)) == ["a"]
    now[0] -= timedelta(days=1)
    assert list(iter(cache)) == ["a"]
    now[0] += timedelta(minutes=5)
    assert list(iter(cache)) == []
    assert list(cache.expire()) == [("b", 2), ("a", 1)]


def test_datetime_ttu() -> None:
    """A ttu may return datetimes too; an infinite life can be given to one item."""
    now = [datetime(2026, 3, 1)]
    cache = watched(TLRUCache(5, lambda _key, value, time: time + timedelta(minutes=value), lambda: now[0]))
    cache.update(a=5, b=1)
    cache.set("c", 3, ttl=math.inf)
    now[0] += timedelta(minutes=1)
    assert list(iter(cache)) == ["a", "c"]
    now[0] += timedelta(days=10000)
    assert list(iter(cache)) == ["c"]
    assert [key for key, _ in cache.expire()] == ["b", "a"]


def test_expire_of_a_datetime_cache() -> None:
    """expire(time) takes what the timer returns."""
    now = datetime(2026, 3, 1)
    cache = watched(TTLCache(5, timedelta(minutes=10), lambda: now))
    cache["a"] = 1
    assert list(cache.expire(now + timedelta(minutes=9))) == []
    assert list(cache.expire(now + timedelta(minutes=10))) == [("a", 1)]


def test_ttl_as_timedelta_with_a_numeric_timer(clock: Clock) -> None:
    """A timedelta means seconds where the timer counts numbers."""
    cache = watched(TTLCache(5, timedelta(minutes=1), clock))
    cache["a"] = 1
    assert cache.ttl_of("a") == 60
    clock.tick(60)
    assert "a" not in cache


def test_the_default_timer_is_monotonic() -> None:
    """Without a timer the caches use time.monotonic."""
    import time

    for cache in (TTLCache(5, 100), TLRUCache(5, LivesFor(100))):
        before = time.monotonic()
        assert before <= cache.timer() <= time.monotonic()
        cache["a"] = 1
        assert 0 < cache.ttl_of("a") <= 100
