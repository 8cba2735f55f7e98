"""Eight threads that connect, emit, drop and end while the collector runs all the time; forks; interrupted lock holders."""

from __future__ import annotations

import gc
import random
import threading
import weakref

import pytest
from helpers.forks import forks, forks_while_locked, in_child
from helpers.listeners import EMITTERS, Emitter, Listener
from helpers.recorder import unraisable
from helpers.threads import run_threads, switching_often

from safemem import Signal


class Cyclic(Listener):
    """Only the collector frees it."""

    def __init__(self, name=None):
        super().__init__(name)
        self.me = self


@pytest.fixture(autouse=True)
def _collecting():
    threshold = gc.get_threshold()
    gc.set_threshold(50)
    with unraisable() as caught, switching_often(1e-5):
        yield
    gc.set_threshold(*threshold)
    assert caught == []


@pytest.mark.parametrize("replay", [False, True])
def test_eight_threads_on_one_signal(replay):
    """No error anywhere; nobody is called after it was disconnected in the same thread; nothing is left over."""
    changed = Signal(replay=replay)
    steady = Listener()
    changed.connect(steady.hear)
    emitted = [0] * 8

    def work(number):
        dice = random.Random(number)
        mine = []
        for _ in range(150):
            listener = Cyclic() if dice.random() < 0.5 else Listener()
            connection = changed.connect(listener.hear, priority=dice.randrange(3))
            mine.append((listener, connection))
            changed.connect(lambda value, held=listener: None, owner=listener)
            changed.connect(lambda value: None, once=True)
            changed.emit(number)
            emitted[number] += 1
            if len(mine) > 5:
                gone, ended = mine.pop(dice.randrange(5))
                if dice.random() < 0.5:
                    assert ended.disconnect() or not ended.connected
                    heard = len(gone.heard)
                    changed.emit_from(gone, number)
                    emitted[number] += 1
                    assert len(gone.heard) <= heard + 8  # an emission of another thread may have been at it
                del gone, ended
            if dice.random() < 0.1:
                len(changed), repr(changed), changed.connections()
                with connection.block(), changed.connect(print, sender=listener):
                    pass
        mine.clear()

    run_threads(8, work)
    gc.collect()
    assert len(steady.heard) == sum(emitted)
    changed.emit(0)
    assert len(changed) == 1
    assert len(changed._links) == 1


@pytest.mark.parametrize("kind", EMITTERS)
def test_the_first_use_of_a_signal_in_many_threads(kind):
    """All get the same signal."""
    for _ in range(20):
        emitter = kind()
        found = [None] * 8

        def work(number, emitter=emitter, found=found):
            found[number] = emitter.changed

        run_threads(8, work)
        assert len({id(signal) for signal in found}) == 1


def test_no_connection_is_lost():
    """However many connect at once, in the order of priority."""
    changed = Signal()
    called = []

    def work(number):
        for step in range(50):
            changed.connect(lambda entry=(number, step): called.append(entry), priority=-(step % 3))

    run_threads(8, work)
    changed.emit()
    assert len(called) == len(set(called)) == 8 * 50
    assert [step % 3 for _, step in called] == sorted(step % 3 for _, step in called)
    for number in range(8):
        mine = [step for owner, step in called if owner == number and step % 3 == 0]
        assert mine == sorted(mine)


def test_once_is_called_once_by_many_threads():
    """Exactly once, in plain emissions and those that return results."""
    changed = Signal()
    called = []
    for round_number in range(50):
        changed.connect(lambda number=round_number: called.append(number), once=True)

    def work(number):
        for _ in range(20):
            if number % 2:
                changed.emit()
            else:
                changed.send()

    run_threads(8, work)
    assert sorted(called) == list(range(50))


def test_connections_made_in_one_thread_and_ended_in_another():
    """One of the threads that end it is told so; blocking meanwhile revives nothing."""
    for _ in range(100):
        changed = Signal()
        listener = Listener()
        connection = changed.connect(listener.hear)

        def work(number, connection=connection):
            if number % 2:
                with connection.block(), connection.block():
                    pass
            else:
                connection.disconnect()

        run_threads(4, work)
        changed.emit(1)
        assert listener.heard == []
        assert not connection.connected


def test_muting_and_pausing_in_many_threads():
    """Every emission that is not lost comes once, and the signal is plain again in the end."""
    changed = Signal()
    told = []
    changed.connect(told.append)

    def work(number):
        for step in range(50):
            with changed.paused():
                changed.emit((number, step))
                with changed.paused():
                    changed.emit((number, step, "inner"))
            changed.emit((number, step, "outside"))

    run_threads(8, work)
    assert len(told) == len(set(told)) == 8 * 50 * 3
    assert changed._special is None

    def mute(number):
        for _ in range(200):
            with changed.muted():
                changed.emit("lost")

    run_threads(8, mute)
    assert "lost" not in told
    assert changed._special is None


def test_emitters_that_come_and_go():
    """Thousands of them with signals in use, all freed."""
    watches = []

    def work(number):
        for _ in range(100):
            emitter, listener = random.choice(EMITTERS)(), Cyclic()
            emitter.changed.connect(listener.hear)
            emitter.changed.connect(lambda value, held=listener: None)
            emitter.changed.emit(1)
            assert listener.heard == [1]
            watches.append(weakref.ref(emitter))

    run_threads(8, work)
    gc.collect()
    assert not any(watch() for watch in watches)


@forks
@forks_while_locked
def test_a_forked_child_can_use_what_another_thread_was_changing():
    """Whoever held the lock at the fork is not there to give it back."""
    changed = Signal()
    emitter = Emitter()
    stop = threading.Event()

    def churn():
        while not stop.is_set():
            changed.connect(print).disconnect()

    thread = threading.Thread(target=churn)
    thread.start()
    try:

        def child():
            changed.clear()
            for _ in range(20):
                changed.connect(print).disconnect()
                emitter.changed.connect(print)
            heard = []
            changed.connect(heard.append)
            changed.emit(1)
            assert heard == [1]

        for _ in range(10):
            assert in_child(child) == 0
    finally:
        stop.set()
        thread.join()
