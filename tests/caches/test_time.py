"""Time: whatever the clock does, an item lives as long as it was given, and no longer."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest
from helpers.clock import Clock
from helpers.kinds import TLRU, TTL, Kind, LivesFor, watched
from helpers.recorder import Recorder

from safemem import TLRUCache, TTLCache


def test_an_item_lives_for_its_ttl(timed: Kind, clock: Clock) -> None:
    """An item is there until its time is over, to the tick: it expires when the timer reads its deadline."""
    cache = timed.make(ttl=10, clock=clock)
    cache["a"] = 1
    clock.tick(9.999)
    assert cache["a"] == cache.get("a") == cache.peek("a") == 1
    assert "a" in cache
    clock.jump(10)
    assert "a" not in cache
    assert cache.get("a") is cache.peek("a") is None
    with pytest.raises(KeyError):
        cache["a"]


def test_reading_does_not_prolong(timed: Kind, clock: Clock) -> None:
    """Only writing gives a new life."""
    cache = timed.make(ttl=2, clock=clock)
    cache["a"] = 1
    clock.tick()
    cache["a"]
    cache.get("a")
    cache.setdefault("a", 2)
    cache.get_or_create("a", int)
    clock.tick()
    assert "a" not in cache


def test_writing_gives_a_new_life(timed: Kind, clock: Clock) -> None:
    """A replaced item starts over, the same object stored again too."""
    cache = timed.make(ttl=2, clock=clock)
    value = object()
    cache["a"] = value
    clock.tick()
    cache["a"] = value
    clock.tick()
    assert cache["a"] is value
    clock.tick()
    assert "a" not in cache


def test_reads_remove_nothing(timed: Kind, clock: Clock, told: Recorder) -> None:
    """A read that finds an expired item leaves it; len(), repr(), currsize, expire() and writes remove it."""
    for removes in (len, repr, lambda cache: cache.currsize, lambda cache: cache.expire(), lambda cache: cache.__setitem__("z", 1)):
        cache = timed.make(ttl=2, clock=clock, on_remove=told)
        cache["a"] = 1
        clock.tick(2)
        _ = cache.get("a"), "a" in cache, cache.peek("a"), list(iter(cache)), list(iter(cache.values())), list(iter(cache.items()))
        assert told.take() == []
        removes(cache)
        assert told.take() == [("a", 1, "EXPIRED")]


def test_expire_returns_what_expired(timed: Kind, clock: Clock) -> None:
    """expire() returns the pairs that it removed, those whose time was over first at the front."""
    cache = timed.make(ttl=10, clock=clock)
    cache["a"] = 1
    clock.tick()
    cache["b"] = 2
    cache.set("c", 3, ttl=5)
    clock.tick(10)
    assert list(cache.expire()) == [("c", 3), ("a", 1), ("b", 2)]
    assert list(cache.expire()) == []


def test_expire_at_a_given_time(timed: Kind, clock: Clock) -> None:
    """expire(time) removes what would have expired by then and leaves the clock of the cache alone."""
    cache = timed.make(ttl=10, clock=clock)
    cache["a"] = 1
    clock.tick(5)
    cache["b"] = 2
    assert list(cache.expire(9.5)) == []
    assert list(cache.expire(10)) == [("a", 1)]
    assert cache.ttl_of("b") == 10
    assert list(cache.expire(14.5)) == []
    assert list(cache.expire(1e9)) == [("b", 2)]
    cache["c"] = 3
    assert cache.ttl_of("c") == 10


def test_pop_of_an_expired_item(timed: Kind, clock: Clock) -> None:
    """pop() of an expired item is that of a missing one."""
    cache = timed.make(ttl=1, clock=clock)
    cache["a"] = 1
    clock.tick()
    assert cache.pop("a", "default") == "default"
    with pytest.raises(KeyError):
        cache.pop("a")
    assert len(cache) == 0


def test_del_of_an_expired_item(timed: Kind, clock: Clock, told: Recorder) -> None:
    """del of an expired item removes it and raises KeyError, as in cachetools."""
    cache = timed.make(ttl=1, clock=clock, on_remove=told)
    cache["a"] = 1
    clock.tick()
    with pytest.raises(KeyError):
        del cache["a"]
    assert told.take() == [("a", 1, "EXPIRED")]
    clock.back()
    assert "a" not in cache


def test_popitem_passes_over_the_dead(timed: Kind, clock: Clock) -> None:
    """popitem() removes the coldest that is alive."""
    cache = timed.make(ttl=2, clock=clock)
    cache["a"] = 1
    clock.tick()
    cache["b"] = 2
    clock.tick()
    assert cache.popitem() == ("b", 2)
    with pytest.raises(KeyError):
        cache.popitem()


def test_the_dead_make_room_before_the_living(timed: Kind, clock: Clock, told: Recorder) -> None:
    """A write first lets go of what expired, so that nothing alive is evicted in its place."""
    cache = timed.make(2, ttl=2, clock=clock, on_remove=told)
    cache["old"] = 1
    clock.tick()
    cache["young"] = 2
    cache["old"]
    clock.tick()
    cache["new"] = 3
    assert told.take() == [("old", 1, "EXPIRED")]
    assert list(cache) == ["young", "new"]


def test_ttl_for_one_item(timed: Kind, clock: Clock) -> None:
    """set(ttl=) gives one item its own life, shorter or longer; without ttl it is the cache's."""
    cache = timed.make(ttl=10, clock=clock)
    cache.set("short", 1, ttl=2)
    cache.set("long", 2, ttl=50)
    cache.set("ever", 3, ttl=math.inf)
    cache.set("delta", 4, ttl=timedelta(seconds=3))
    cache.set("plain", 5)
    assert [cache.ttl_of(key) for key in cache] == [2, 50, math.inf, 3, 10]
    for moment, left in (
        (2, ["long", "ever", "delta", "plain"]),
        (3, ["long", "ever", "plain"]),
        (10, ["long", "ever"]),
        (50, ["ever"]),
        (1e12, ["ever"]),
    ):
        clock.jump(moment)
        assert list(cache) == left
        assert len(cache) == len(left)


def test_a_new_value_has_a_new_ttl(timed: Kind, clock: Clock) -> None:
    """A plain write after set(ttl=) gives the cache's own life again, and the other way round."""
    cache = timed.make(ttl=10, clock=clock)
    cache.set("a", 1, ttl=100)
    cache["a"] = 2
    assert cache.ttl_of("a") == 10
    cache.set("a", 3, ttl=1)
    assert cache.ttl_of("a") == 1
    clock.tick()
    assert "a" not in cache


def test_set_is_a_write_like_any_other(timed: Kind, told: Recorder) -> None:
    """set() weighs, promotes, evicts and refuses as `[]=` does."""
    cache = timed.make(5, getsizeof=lambda value: value, on_remove=told)
    cache.update(a=2, b=3)
    cache.set("a", 1, ttl=5)
    assert list(cache) == ["b", "a"]
    cache.set("c", 4, ttl=5)
    assert list(cache) == ["a", "c"]
    with pytest.raises(ValueError, match="too large"):
        cache.set("d", 6, ttl=5)
    assert told.take() == [("a", 2, "REPLACED"), ("b", 3, "SIZE")]


def test_ttl_of(timed: Kind, clock: Clock) -> None:
    """ttl_of() tells what is left of an item's life, promotes nothing, and raises KeyError for the missing and the dead."""
    cache = timed.make(ttl=10, clock=clock)
    cache.update(a=1, b=2)
    clock.tick(4)
    assert cache.ttl_of("a") == 6
    assert list(cache) == ["a", "b"]
    clock.tick(6)
    for key in ("a", "z"):
        with pytest.raises(KeyError) as caught:
            cache.ttl_of(key)
        assert caught.value.args == (key,)
    assert cache.stats().hits == cache.stats().misses == 0


def test_infinite_ttl(timed: Kind, clock: Clock) -> None:
    """With an infinite ttl nothing ever expires."""
    cache = timed.make(ttl=math.inf, clock=clock)
    cache["a"] = 1
    assert cache.ttl_of("a") == math.inf
    clock.jump(1e300)
    assert cache["a"] == 1
    assert list(cache.expire()) == []


def test_ttl_zero_keeps_nothing(timed: Kind) -> None:
    """A life of 0 is over at once."""
    cache = timed.make(ttl=0)
    cache["a"] = 1
    assert "a" not in cache
    assert (len(cache), cache.currsize) == (0, 0)


def test_dead_on_arrival_still_must_fit(clock: Clock) -> None:
    """What ttu declares dead is not stored, even over a living value, and evicts nobody."""
    lives = {"value": 5.0}
    cache = watched(TLRUCache(2, lambda _key, _value, now: now + lives["value"], clock))
    cache.update(a=1, b=2)
    lives["value"] = -3.0
    cache["c"] = 3
    assert list(cache) == ["a", "b"]
    cache["a"] = 4
    assert list(cache) == ["b"]


def test_ttu_sees_key_value_and_the_raw_timer(clock: Clock) -> None:
    """ttu is asked once for each stored value, with what the timer reads, backwards or not."""
    asked: list[tuple[str, int, float]] = []

    def ttu(key: str, value: int, now: float) -> float:
        asked.append((key, value, now))
        return now + 5

    cache = watched(TLRUCache(5, ttu, clock))
    clock.jump(100)
    cache["a"] = 1
    clock.back(30)
    cache["b"] = 2
    assert asked == [("a", 1, 100), ("b", 2, 70)]
    assert cache.ttl_of("b") == 5


def test_ttu_by_value() -> None:
    """Items with lives of their own expire in the order of their deadlines, not of their insertion."""
    clock = Clock()
    cache = watched(TLRUCache(10, lambda _key, value, now: now + value, clock))
    for life in (5, 1, 4, 2, 3):
        cache[life] = life
    gone = []
    for _ in range(5):
        clock.tick()
        gone += [key for key, _ in cache.expire()]
    assert gone == [1, 2, 3, 4, 5]


def test_ttl_attribute() -> None:
    """ttl is what was given; ttu and timer too."""
    assert TTLCache(5, 7).ttl == 7
    assert TTLCache(5, timedelta(days=1)).ttl == timedelta(days=1)
    lives = LivesFor(3)
    assert TLRUCache(5, lives).ttu is lives


@pytest.mark.parametrize("kind", [TTL, TLRU], ids=str)
def test_many_rewrites_do_not_grow(kind: Kind, clock: Clock) -> None:
    """Replacing and deleting items again and again leaves no dead deadlines behind."""
    import sys
    import tracemalloc

    cache = kind.make(10, ttl=1e9, clock=clock)
    for number in range(2000):
        cache[number % 5] = None
    tracemalloc.start()
    try:
        start = tracemalloc.get_traced_memory()[0]
        for number in range(20000):
            cache[number % 5] = None
            if number % 3 == 0:
                del cache[number % 5]
            cache.set(number % 5, None, ttl=1e6 + number % 7)
        grown = tracemalloc.get_traced_memory()[0] - start
    finally:
        tracemalloc.stop()
    assert grown < 20000, f"{grown} bytes more, on {sys.version}"
