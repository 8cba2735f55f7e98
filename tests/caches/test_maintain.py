"""maintain(): caches are tended in the background, and what goes wrong in one is no business of the others."""

from __future__ import annotations

import copy
import math
import pickle
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import cachetools
import pytest
from helpers.clock import BrokenClock, Clock
from helpers.collect import no_cyclic_garbage
from helpers.threads import LIMIT, until
from helpers.upkeep import LATE, SOON, Tended, all_end, threads

from safemem import LRUCache, RemovalCause, TTLCache, maintain


@pytest.fixture(autouse=True)
def _all_end() -> Any:
    yield
    all_end()


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """What went to sys.unraisablehook."""
    errors: list[BaseException] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda arguments: errors.append(arguments.exc_value))
    return errors


class TestTending:
    """What it is for."""

    def test_expired_entries_go(self) -> None:
        """They leave the cache without anybody using it, and on_remove hears of it in the background."""
        clock = Clock()
        told: list[Any] = []
        gone = threading.Event()

        def on_remove(key: Any, value: Any, cause: RemovalCause) -> None:
            told.append((key, value, cause, threading.current_thread().name))
            gone.set()

        cache: TTLCache[str, int, float] = TTLCache(10, 5, clock, on_remove=on_remove)
        cache["key"] = 1
        with maintain(SOON, cache):
            assert not gone.wait(0.02)
            clock.tick(5)
            assert gone.wait(LIMIT)
        assert told == [("key", 1, RemovalCause.EXPIRED, "safemem-maintain")]
        assert cache._counters()["expirations"] == 1

    def test_again_and_again(self) -> None:
        """Every interval, all of them, in one thread."""
        caches = [Tended() for _ in range(3)]
        with maintain(SOON, *caches):
            until(lambda: all(cache.rounds > 5 for cache in caches))
        assert len({thread for cache in caches for thread in cache.threads}) == 1

    def test_not_before_it_is_started(self) -> None:
        """Making one starts nothing."""
        cache = Tended()
        upkeep = maintain(SOON, cache)
        assert not upkeep.running
        assert not threads()
        assert cache.rounds == 0

    def test_not_before_the_interval(self) -> None:
        """The first round is after the first interval."""
        cache = Tended()
        with maintain(LATE, cache):
            time.sleep(0.01)
        assert cache.rounds == 0

    def test_what_does_not_expire_catches_up(self) -> None:
        """A cache without `expire()` replays its bookkeeping; one without any is left alone."""

        class Drained:
            drained = 0

            def _drain(self) -> None:
                self.drained += 1

        cache, plain, lru = Drained(), cachetools.LRUCache[int, int](3), LRUCache[int, int](3)
        with maintain(SOON, plain, lru, cache):  # type: ignore[arg-type]
            until(lambda: cache.drained > 2)

    def test_a_cache_of_cachetools(self) -> None:
        """Anything that expires will do."""
        clock = Clock()
        cache: cachetools.TTLCache[str, int] = cachetools.TTLCache(10, 5, clock)
        cache["key"] = 1
        clock.tick(10)
        with maintain(SOON, cache):
            until(lambda: cachetools.Cache.__len__(cache) == 0)

    def test_adding_one(self) -> None:
        """Also while it runs; twice is once."""
        first, second = Tended(), Tended()
        with maintain(SOON, first) as upkeep:
            upkeep.add(second)
            upkeep.add(second)
            until(lambda: first.rounds and second.rounds)
            assert repr(upkeep) == "<maintain: 2 caches every 0.001 s, running>"

    def test_adding_the_first(self) -> None:
        """Started without a cache, it begins when it gets one."""
        with maintain(SOON) as upkeep:
            assert not upkeep.running
            cache = Tended()
            upkeep.add(cache)
            assert upkeep.running
            until(lambda: cache.rounds)

    def test_adding_to_one_that_was_stopped(self) -> None:
        """It stays stopped, and what was added and is gone does not pile up."""
        upkeep = maintain(SOON, Tended())
        upkeep.start()
        upkeep.stop()
        for _ in range(100):
            upkeep.add(Tended())
        assert not upkeep.running
        assert len(upkeep._upkeep._refs) <= 1


class TestTrouble:
    """What goes wrong in one cache is no business of the others."""

    @pytest.mark.parametrize("kind", [ZeroDivisionError, SystemExit, KeyboardInterrupt])
    def test_one_that_raises(self, kind: type[BaseException], reported: list[BaseException]) -> None:
        """It is reported, every time, and the others are tended."""

        def then() -> None:
            raise kind("on purpose")

        bad, good = Tended(then), Tended()
        with maintain(SOON, bad, good) as upkeep:
            until(lambda: good.rounds > 3 and bad.rounds > 3)
            assert upkeep.running
        assert {type(error) for error in reported} == {kind}
        assert len(reported) >= 3

    def test_a_timer_that_raises(self, reported: list[BaseException]) -> None:
        """So is a timer of the user's."""
        clock = BrokenClock()
        cache: TTLCache[str, int, float] = TTLCache(10, 5, clock)
        good = Tended()
        clock.error = OSError("no clock")
        with maintain(SOON, cache, good):
            until(lambda: len(reported) > 2 and good.rounds > 2)
        assert {type(error) for error in reported} == {OSError}

    def test_an_attribute_that_raises(self, reported: list[BaseException]) -> None:
        """Even looking for `expire` may fail."""

        class Sour(Tended):
            @property
            def expire(self) -> Any:
                if ripe:
                    raise LookupError
                return int

        ripe: list[int] = []
        cache, good = Sour(), Tended()
        with maintain(SOON, cache, good):
            ripe.append(1)
            until(lambda: reported and good.rounds > 2)

    def test_what_a_report_keeps(self, reported: list[BaseException]) -> None:
        """A report leaves no cyclic garbage."""

        def then() -> None:
            raise ZeroDivisionError

        upkeep = maintain(SOON)
        with no_cyclic_garbage():
            cache = Tended(then)
            upkeep.add(cache)
            upkeep.start()
            until(lambda: reported)
            upkeep.stop()
            del cache
            reported.clear()


class TestInput:
    """Wrong arguments, and what it is as an object."""

    @pytest.mark.parametrize(
        ("interval", "seconds"),
        [(5, 5.0), (0.25, 0.25), (timedelta(minutes=1), 60.0), (Fraction(1, 2), 0.5), (Decimal("1.5"), 1.5), (1e300, 1e300)],
    )
    def test_intervals(self, interval: Any, seconds: float) -> None:
        """Any finite length of time, in seconds."""
        upkeep = maintain(interval, cache := Tended())
        assert upkeep.interval == seconds
        upkeep.start()
        assert upkeep.stop() is True
        del cache

    @pytest.mark.parametrize(
        "interval",
        [0, -1, -0.0, math.nan, math.inf, -math.inf, 10**400, timedelta(0), timedelta(days=-1)],
        ids=lambda value: str(value)[:9],
    )
    def test_bad_intervals(self, interval: Any) -> None:
        """The message names the argument, the rule and the offender."""
        with pytest.raises(ValueError, match="^interval must be finite and > 0, got ") as caught:
            maintain(interval)
        assert str(caught.value).endswith(repr(interval))

    @pytest.mark.parametrize("interval", ["5", None, True, [5], 1j, int, timedelta, b"bytes"])
    def test_no_intervals(self, interval: Any) -> None:
        """So does that of something that is no length of time."""
        with pytest.raises(TypeError, match="^interval must be a number of seconds or a timedelta, got "):
            maintain(interval)

    @pytest.mark.parametrize("cache", [3, "name", {}, None, object(), Tended, TTLCache, Clock()], ids=lambda cache: type(cache).__name__)
    def test_no_caches(self, cache: Any) -> None:
        """What is not a cache is named; a class is not one."""
        with pytest.raises(TypeError) as caught:
            maintain(1, cache)
        assert str(caught.value) == f"caches must be caches or have an expire() method, got {cache!r}"
        with pytest.raises(TypeError):
            maintain(1).add(cache)

    def test_what_cannot_be_weakly_referenced(self) -> None:
        """It could only be kept alive."""

        class Slotted:
            __slots__ = ()

            def expire(self) -> None:
                raise AssertionError

            def __repr__(self) -> str:
                return "<slotted>"

        with pytest.raises(TypeError, match="^caches must be weakly referable, got <slotted>$"):
            maintain(1, Slotted())

    @pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps], ids=lambda function: function.__name__)
    def test_copies(self, copied: Callable[[Any], Any]) -> None:
        """There are none, and the message says why."""
        with pytest.raises(TypeError, match="cannot copy or pickle 'maintain' object: its thread cannot be copied"):
            copied(maintain(1))

    def test_as_an_object(self) -> None:
        """Its name is the public one, its interval cannot be changed, and it says how it is."""
        upkeep = maintain(timedelta(seconds=90), cache := Tended())
        assert maintain.__module__ == "safemem"
        assert repr(upkeep) == "<maintain: 1 cache every 90 s, stopped>"
        with pytest.raises(AttributeError):
            upkeep.interval = 3  # type: ignore[misc]
        del cache

    def test_entering(self) -> None:
        """`with` hands out the object and stops it however the block ends."""
        cache = Tended()
        with pytest.raises(ZeroDivisionError), maintain(LATE, cache) as upkeep:
            assert upkeep.running
            raise ZeroDivisionError
        assert not upkeep.running
