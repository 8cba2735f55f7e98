"""Waiting for one emission, in threads and in tasks."""

from __future__ import annotations

import asyncio
import math
import threading
import time

import pytest
from helpers.aio import in_loop, turns
from helpers.listeners import Listener
from helpers.threads import run_threads, until

from safemem import Signal


def waiters(changed):
    """How many wait."""
    special = changed._special
    return 0 if special is None or special.waiters is None else len(special.waiters)


def test_wait_returns_the_arguments_of_one_emission():
    """Of whatever sender."""
    changed = Signal()
    got = []

    def work(number):
        if number:
            got.append(changed.wait(20))
        else:
            until(lambda: waiters(changed) == 3)
            changed.emit_from(changed, 1, 2, key=3)

    run_threads(4, work)
    assert got == [(1, 2)] * 3
    assert changed._special is None


def test_wait_without_arguments():
    """An empty tuple is an answer too."""
    changed = Signal()
    got = []
    thread = threading.Thread(target=lambda: got.append(changed.wait()))
    thread.start()
    until(lambda: waiters(changed))
    changed.emit()
    thread.join(20)
    assert got == [()]


def test_wait_gives_up_in_time():
    """With a message that names the signal; nothing is left behind."""
    changed = Signal(name="changed")
    for timeout in (0, 0.01):
        with pytest.raises(TimeoutError, match=f"signal 'changed' was not emitted within {timeout} s"):
            changed.wait(timeout)
    assert changed._special is None


@pytest.mark.parametrize(("timeout", "error"), [("1", TypeError), (-1, ValueError), (math.nan, ValueError)])
def test_bad_timeouts(timeout, error):
    """Refused at once."""
    with pytest.raises(error, match="timeout must be"):
        Signal().wait(timeout)


def test_any_length_of_time_will_do():
    """Also more than a lock can be waited for."""
    changed = Signal()
    got = []
    threads = [threading.Thread(target=lambda limit=limit: got.append(changed.wait(limit))) for limit in (math.inf, 1e300)]
    for thread in threads:
        thread.start()
    until(lambda: waiters(changed) == 2)
    changed.emit(1)
    for thread in threads:
        thread.join(20)
    assert got == [(1,), (1,)]


def test_waiting_and_emission_race():
    """Whoever waits gets an emission or gives up, and never hangs."""
    changed = Signal()
    done = threading.Event()
    got = []

    def work(number):
        if number == 0:
            while not done.is_set():
                changed.emit(1)
                time.sleep(0)
            return
        for _ in range(100):
            try:
                got.append(changed.wait(0.0005))
            except TimeoutError:
                got.append(None)
        if number == 1:
            done.set()

    run_threads(3, work)
    assert set(got) <= {None, (1,)}
    assert waiters(changed) == 0


def test_a_muted_signal_wakes_nobody_and_a_paused_one_later():
    """What has not happened is not waited for."""
    changed = Signal()
    got = []
    thread = threading.Thread(target=lambda: got.append(changed.wait(20)))
    thread.start()
    until(lambda: waiters(changed))
    with changed.muted():
        changed.emit(1)
    with changed.paused():
        changed.emit(2)
        assert got == []
    thread.join(20)
    assert got == [(2,)]


@in_loop
async def test_next_waits_without_blocking_the_loop():
    """Several tasks get the same emission."""
    changed = Signal()
    tasks = [asyncio.create_task(changed.next()) for _ in range(3)]
    await turns()
    changed.emit(1, 2)
    assert await asyncio.gather(*tasks) == [(1, 2)] * 3
    assert changed._special is None


@in_loop
async def test_next_is_woken_by_another_thread():
    """At once, also if the loop sleeps."""
    changed = Signal()

    def emit():
        until(lambda: waiters(changed))
        changed.emit(5)

    thread = threading.Thread(target=emit)
    thread.start()
    assert await asyncio.wait_for(changed.next(), 20) == (5,)
    thread.join()


@in_loop
async def test_a_cancelled_next_leaves_nothing_behind():
    """And does not disturb the others."""
    changed = Signal()
    one, two = asyncio.create_task(changed.next()), asyncio.create_task(changed.next())
    await turns()
    one.cancel()
    await turns()
    assert waiters(changed) == 1
    changed.emit(1)
    assert await two == (1,)
    with pytest.raises(asyncio.CancelledError):
        await one
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(changed.next(), 0.001)
    assert changed._special is None


@in_loop
async def test_an_emission_after_the_wait_was_cancelled():
    """The answer that is already on its way finds nobody, and that is all."""
    changed = Signal()
    task = asyncio.create_task(changed.next())
    await turns()
    changed.emit(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await turns()


def test_a_loop_that_is_closed_is_not_woken():
    """An emission does not fail for somebody who is gone."""
    changed = Signal()
    listener = Listener()
    changed.connect(listener.hear)
    loop = asyncio.new_event_loop()
    coroutine = changed.next()
    task = loop.create_task(coroutine)
    loop.run_until_complete(asyncio.sleep(0))
    assert waiters(changed) == 1
    loop.close()
    changed.emit(1)
    assert listener.heard == [1]
    task._log_destroy_pending = False
    coroutine.close()
    assert changed._special is None
