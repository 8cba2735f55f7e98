"""maintain() keeps nothing alive and always ends: when it is stopped, dropped, interrupted or forked, and with the program."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from typing import Any

import pytest
from helpers.collect import no_cyclic_garbage
from helpers.flights import tried
from helpers.forks import forks, in_child
from helpers.interject import Striker
from helpers.isolate import assert_clean, run_script
from helpers.threads import LIMIT, run_threads, until
from helpers.upkeep import LATE, SOON, Tended, all_end, sleeping, threads

from safemem import maintain
from safemem.caches import maintenance
from safemem.core import _background

FILES = {maintenance.__file__, _background.__file__}


@pytest.fixture(autouse=True)
def _all_end() -> Any:
    yield
    all_end()


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


class TestInterruptedAnywhere:
    """An interrupt between any two instructions of ours."""

    @pytest.mark.parametrize("interval", [SOON, LATE])
    def test_starting_and_stopping(self, interval: float) -> None:
        """No thread goes on that the next `stop()` does not end, and it can be started again."""
        Striker(sys.maxsize, files=FILES).run(lambda: maintain(LATE, Tended()).stop())
        struck, at = True, 0
        while struck:
            cache = Tended()
            upkeep = maintain(interval, cache)
            striker = Striker(at, files=FILES)
            tried(striker.run, lambda upkeep=upkeep: (upkeep.start(), upkeep.stop()))
            struck, at = striker.struck, at + 1
            upkeep.stop()
            assert not upkeep.running, at
            until(lambda: not threads())
            upkeep.start()
            assert upkeep.running, at
            assert upkeep.stop() is True, at
        assert at > 20


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
        assert _background.LONGEST_SLEEP < threading.TIMEOUT_MAX
