"""maintain(): caches are tended in the background, nothing is kept alive by it, and it always ends."""

from __future__ import annotations

import copy
import gc
import math
import pickle
import sys
import threading
import time
import weakref
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import cachetools
import pytest
from helpers.clock import BrokenClock, Clock
from helpers.collect import no_cyclic_garbage
from helpers.forks import forks, in_child
from helpers.isolate import assert_clean, run_script
from helpers.threads import LIMIT, run_threads, until

from safemem import LRUCache, RemovalCause, TTLCache, maintain
from safemem.caches import maintenance

SOON = 0.001
LATE = 3600


class Tended:
    """Something with an `expire()` that counts its rounds, and can be told to do something in them."""

    def __init__(self, then: Callable[[], object] = int) -> None:
        self.then = then
        self.rounds = 0
        self.threads: set[int] = set()

    def expire(self) -> None:
        self.rounds += 1
        self.threads.add(threading.get_ident())
        self.then()


def threads() -> list[threading.Thread]:
    """The threads that tend caches."""
    return [thread for thread in threading.enumerate() if thread.name == "safemem-maintain"]


def sleeping() -> bool:
    """Whether the thread stands in its loop, and not in a cache."""
    (thread,) = threads()
    return sys._current_frames()[thread.ident or 0].f_code is maintenance._work.__code__


@pytest.fixture(autouse=True)
def _all_end() -> Any:
    yield
    gc.collect()
    until(lambda: not threads())


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


class TestStartAndStop:
    """From any thread, any number of times."""

    def test_twice(self) -> None:
        """Starting twice starts one thread, stopping twice is no error, and it may be started again."""
        cache = Tended()
        upkeep = maintain(SOON, cache)
        for _ in range(3):
            upkeep.start()
            upkeep.start()
            assert len(threads()) == 1
            assert upkeep.running
            before = cache.rounds
            until(lambda before=before: cache.rounds > before)
            assert upkeep.stop() is True
            assert not threads()
            assert upkeep.stop() is True
            assert not upkeep.running

    def test_stop_is_quick(self) -> None:
        """It does not wait for the next round."""
        upkeep = maintain(LATE, cache := Tended())
        upkeep.start()
        assert upkeep.stop() is True
        assert not threads()
        del cache

    def test_never_started(self) -> None:
        """There is nothing to stop."""
        assert maintain(LATE, Tended()).stop() is True

    def test_many_threads(self) -> None:
        """All starting and stopping at once end with what was said last, and with one thread at most."""
        cache = Tended()
        upkeep = maintain(SOON, cache)

        def work(number: int) -> None:
            for turn in range(20):
                (upkeep.start if (turn + number) % 2 else upkeep.stop)()
                assert repr(upkeep)

        run_threads(8, work)
        upkeep.start()
        assert upkeep.running
        assert upkeep.stop() is True
        assert not threads()

    def test_from_within(self) -> None:
        """A callback may stop what called it; it does not wait for itself."""
        results: list[bool] = []
        cache = Tended(lambda: results.append(upkeep.stop()))
        upkeep = maintain(SOON, cache)
        upkeep.start()
        until(lambda: results)
        until(lambda: not threads())
        assert results == [False]
        assert cache.rounds == 1

    def test_starting_again_from_within(self) -> None:
        """A callback may also start it again: the old thread ends and a new one goes on."""
        seen: set[int] = set()

        def then() -> None:
            seen.add(threading.get_ident())
            if len(seen) == 1:
                upkeep.stop()
                upkeep.start()

        cache = Tended(then)
        upkeep = maintain(SOON, cache)
        with upkeep:
            until(lambda: len(cache.threads) == 2)
            until(lambda: len(threads()) == 1)

    def test_a_callback_that_does_not_end(self) -> None:
        """Stopping waits for it, but not for ever; the thread goes when it can, and a new one does not wait for it."""
        entered, leave = threading.Event(), threading.Event()

        def then() -> None:
            entered.set()
            leave.wait(LIMIT)

        cache = Tended(then)
        upkeep = maintain(SOON, cache)
        upkeep.start()
        assert entered.wait(LIMIT)
        assert upkeep.stop(timeout=0.001) is False
        assert not upkeep.running
        upkeep.start()
        assert upkeep.running
        leave.set()
        assert upkeep.stop() is True
        until(lambda: not threads())

    def test_when_no_thread_can_be_started(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The error comes out and the next start works."""

        def refuse(_thread: object) -> None:
            raise RuntimeError("can't start new thread")

        cache = Tended()
        upkeep = maintain(SOON, cache)
        with monkeypatch.context() as patch, no_cyclic_garbage():
            patch.setattr(threading.Thread, "start", refuse)
            with pytest.raises(RuntimeError, match="can't start"):
                upkeep.start()
        assert not upkeep.running
        with upkeep:
            until(lambda: cache.rounds)


class TestLettingGo:
    """It keeps nothing alive, and does not outlive its purpose."""

    def test_caches_are_held_weakly(self) -> None:
        """A cache goes with its last reference, between two rounds and right after one."""
        for interval in (LATE, SOON):
            cache, other = Tended(), Tended()
            watched = weakref.ref(cache)
            with maintain(interval, cache, other):
                if interval == SOON:
                    until(lambda cache=cache: cache.rounds > 3)
                    del cache
                    until(lambda watched=watched: watched() is None)
                else:
                    del cache
                    assert watched() is None

    def test_the_last_one_while_it_sleeps(self) -> None:
        """The thread does not hold the one it tended last."""
        cache = Tended()
        watched = weakref.ref(cache)
        upkeep = maintain(0.05, cache)
        with upkeep:
            until(lambda held=watched: held().rounds > 1)
            until(sleeping)
            del cache
            assert watched() is None

    def test_when_all_are_gone(self) -> None:
        """The thread ends by itself, at once, and begins again with the next cache."""
        upkeep = maintain(LATE, *(caches := [Tended(), Tended()]))
        with upkeep:
            caches.pop()
            assert upkeep.running
            caches.pop()
            until(lambda: not threads())
            assert not upkeep.running
            cache = Tended()
            upkeep.add(cache)
            assert upkeep.running

    def test_when_it_is_dropped(self) -> None:
        """Without `stop()` the thread ends, at once, and was not what kept the object."""
        cache = Tended()
        upkeep = maintain(LATE, cache)
        watched = weakref.ref(upkeep)
        upkeep.start()
        with no_cyclic_garbage():
            del upkeep
            assert watched() is None
            until(lambda: not threads())

    def test_dropped_by_the_collector_anywhere(self) -> None:
        """Its end takes no lock: the collector may find it inside its own thread, or in any other."""
        cache = Tended(gc.collect)
        for _ in range(5):
            upkeep = maintain(SOON, cache)
            upkeep.start()
            circle: list[Any] = [upkeep]
            circle.append(circle)
            del upkeep, circle
            rounds = cache.rounds
            until(lambda rounds=rounds: cache.rounds > rounds or not gc.collect())

    def test_a_cache_that_dies_in_its_own_round(self) -> None:
        """What it takes with it goes in the background."""
        caches = [Tended(lambda: caches.clear())]
        watched = weakref.ref(caches[0])
        upkeep = maintain(SOON, *caches)
        with upkeep:
            until(lambda: watched() is None)
            until(lambda: not threads())

    def test_no_garbage(self) -> None:
        """Making, starting, stopping and dropping leave nothing for the collector."""
        cache = Tended()
        with no_cyclic_garbage():
            upkeep = maintain(SOON, cache)
            upkeep.start()
            rounds = cache.rounds
            until(lambda: cache.rounds > rounds + 2)
            upkeep.stop()
            upkeep.start()
            upkeep.stop()
            with upkeep:
                pass
            del upkeep


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


@forks
class TestFork:
    """In the child it is not running."""

    @pytest.mark.parametrize("interval", [SOON, LATE])
    def test_a_running_one(self, interval: float) -> None:
        """It can be stopped and started there; the parent's goes on."""
        cache = Tended()
        upkeep = maintain(interval, cache)

        def child() -> None:
            assert not upkeep.running
            assert repr(upkeep).endswith("stopped>")
            assert upkeep.stop() is True
            later = Tended()
            upkeep.add(later)
            assert not upkeep.running
            upkeep.start()
            assert upkeep.running
            if interval == SOON:
                until(lambda: later.rounds)
            assert upkeep.stop() is True

        with upkeep:
            assert in_child(child) == 0
            assert upkeep.running

    def test_started_without_being_stopped(self) -> None:
        """A child may also start it right away, or drop it and its caches."""
        cache = Tended()

        def child() -> None:
            kept[0].start()
            assert kept[0].running
            rounds = cache.rounds
            until(lambda: cache.rounds > rounds)
            kept.clear()
            until(lambda: not threads())

        kept = [maintain(SOON, cache)]
        kept[0].start()
        assert in_child(child) == 0
        assert in_child(kept.clear) == 0
        kept[0].stop()

    def test_from_within(self) -> None:
        """A callback that forks leaves a child in which nothing is tended."""
        statuses: list[int] = []

        def child() -> None:
            assert not upkeep.running
            assert upkeep.stop() is True

        def then() -> None:
            if not statuses:
                statuses.append(in_child(child))

        upkeep = maintain(SOON, cache := Tended(then))
        with upkeep:
            until(lambda: statuses)
        assert statuses == [0]
        del cache


class TestProcess:
    """What it does to a program."""

    def test_the_end_of_the_program(self, tmp_path: Any) -> None:
        """A running one is silent and holds nothing up, in the middle of a round too."""
        script = tmp_path / "ends.py"
        script.write_text(
            "import time\n"
            "from safemem import TTLCache, maintain\n"
            "caches = [TTLCache(10, 0.0005, on_remove=lambda *_: time.sleep(0.001)) for _ in range(5)]\n"
            "running = [maintain(0.001, *caches), maintain(3600, *caches)]\n"
            "for upkeep in running:\n"
            "    upkeep.start()\n"
            "for number in range(100):\n"
            "    caches[number % 5][number] = number\n"
            "time.sleep(0.02)\n"
        )
        assert_clean(run_script(script, limit=LIMIT))

    def test_threading_is_imported_by_who_uses_it(self, tmp_path: Any) -> None:
        """Making one does not need it."""
        script = tmp_path / "imports.py"
        script.write_text(
            "import sys\n"
            "from safemem import LRUCache, maintain\n"
            "cache = LRUCache(3)\n"
            "before = 'threading' in sys.modules\n"
            "upkeep = maintain(1, cache)\n"
            "assert ('threading' in sys.modules) == before\n"
        )
        assert_clean(run_script(script, limit=LIMIT))

    def test_sleeps_are_limited(self) -> None:
        """The system's limit for one wait is not the limit of an interval."""
        assert maintenance._LONGEST_SLEEP < threading.TIMEOUT_MAX
