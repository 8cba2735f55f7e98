"""The thread of a budget and the stores: who does the work, who waits for whom and for how long, and what is done once it is over."""

from __future__ import annotations

import threading
import time
from collections import Counter
from itertools import pairwise

import pytest
from helpers.threads import until

from safemem import LRUCache, MemoryBudget
from safemem.memory import ledger, sources
from safemem.memory.limits import Limit
from safemem.memory.pressure import Readings

MB = 1 << 20


class World:
    """What signals say: so much is in use beside what a cache holds, of 100 MB; and who asked."""

    def __init__(self):
        self.other = 20 * MB
        self.cache = None
        self.asked = []
        self.membership = b""
        self.limits = [Limit(100 * MB, "a limit of the tests", "cgroup", lambda: 0)]

    def read(self):
        self.asked.append(threading.current_thread().name)
        used = self.other + (self.cache._charged if self.cache is not None else 0)
        return Readings(used / (100 * MB), used, 100 * MB, "a limit of the tests")


@pytest.fixture
def world(monkeypatch):
    """A process that may use 100 MB, of which 20 are in use."""
    world = World()
    monkeypatch.setattr(sources, "Signals", lambda: world)
    monkeypatch.setattr(sources, "find_limits", lambda: world.limits)
    return world


def filled(budget, world, **options):
    """A cache of 10 kB entries, almost as many as the budget has room for."""
    world.cache = cache = LRUCache(10**9, budget=budget, **options)
    for number in range(5_500):
        cache[number] = bytes(10_000)
    return cache


def test_looks_more_often_the_less_room_there_is(world):
    """However fast the application takes memory, the thread looks before there is none; with much room it sleeps."""
    budget = MemoryBudget()
    pauses = []
    for used in (0, 20, 60, 80, 86, 90):
        world.other = used * MB
        pauses.append(budget._ledger.watch())
    assert pauses == sorted(pauses, reverse=True)
    assert pauses[0] <= ledger.LONGEST_PAUSE
    assert pauses[-1] == ledger.SHORTEST_PAUSE
    assert all(
        pause * ledger.RATE <= max((88 - used) * MB, ledger.SHORTEST_PAUSE * ledger.RATE)
        for used, pause in zip((0, 20, 60, 80, 86, 90), pauses, strict=True)
    )


def test_stores_leave_looking_to_the_thread(world):
    """While the thread comes as often as it said, stores do not look at the level; when it has stopped they do."""
    now = [0.0]
    budget = MemoryBudget(timer=lambda: now[0])
    filled(budget, world)
    pause = budget._ledger.watch()
    world.asked.clear()
    for number in range(300):
        world.cache["more", number] = bytes(10_000)
    assert world.asked == []
    now[0] += pause + 2 * ledger.LATE
    for number in range(300):
        world.cache["late", number] = bytes(10_000)
    assert world.asked
    budget._ledger.watch()
    world.asked.clear()
    budget._ledger.unwatch()
    for number in range(300):
        world.cache["alone", number] = bytes(10_000)
    assert world.asked


def test_a_store_waits_for_the_thread_that_lets_go(world):
    """Who stores while another thread lets go waits for a while, and does not do its work."""
    let_go, may_go_on = threading.Event(), threading.Event()
    by = Counter()

    def on_remove(_key, _value, _cause):
        by[threading.current_thread().name] += 1
        if threading.current_thread().name == "safemem-budget":
            let_go.set()
            may_go_on.wait(20)

    budget = MemoryBudget()
    cache = filled(budget, world, on_remove=on_remove)
    waited = []
    world.other += 20 * MB

    def store(key):
        start = time.monotonic()
        cache[key] = bytes(200_000)  # more than what goes beyond what is asked for, with what lies in the last region
        waited.append(time.monotonic() - start)

    budget.start()
    try:
        assert let_go.wait(30)
        # It does not come: a store waits for a moment, and those after it not at all.
        store("first")
        first = budget._ledger._given_up_on
        store("second")
        assert first is not None
        assert budget._ledger._given_up_on is first
        assert waited[0] >= ledger.PATIENT * 0.9
    finally:
        may_go_on.set()
    until(lambda: budget.pressure().state != "hard")
    assert budget.stop()
    assert by["MainThread"] <= 2  # for what it stored itself
    assert by["safemem-budget"] > 100
    assert budget._ledger._letting_go is None


def test_a_store_does_not_grow_what_another_thread_brings_down(world):
    """What is used does not become more than when the other thread began, however much is stored meanwhile."""
    let_go, may_go_on = threading.Event(), threading.Event()

    def on_remove(_key, _value, _cause):
        if threading.current_thread().name == "safemem-budget":
            let_go.set()
            may_go_on.wait(20)

    budget = MemoryBudget()
    cache = filled(budget, world, on_remove=on_remove)
    world.other += 20 * MB
    before = budget.used
    budget.start()
    try:
        assert let_go.wait(30)
        for number in range(200):
            cache["new", number] = bytes(10_000)
            assert budget.used <= before
        assert budget.used > before - 10 * MB
    finally:
        may_go_on.set()
    assert budget.stop()


def test_gives_back_what_is_left_when_it_is_over(world, monkeypatch):
    """While the caches grow again the thread gives free memory back, for it counts as in use; ever less often if that is little."""
    trims = []
    monkeypatch.setattr(ledger, "trim", lambda: trims.append(clock[0]) or 0)
    clock = [0.0]
    monkeypatch.setattr(ledger, "monotonic", lambda: clock[0])
    now = [0.0]
    budget = MemoryBudget(timer=lambda: now[0])
    cache = filled(budget, world)
    watch = budget._ledger.watch
    world.other += 40 * MB
    for _ in range(50):
        watch()
    assert budget.pressure().state != "hard"
    world.other -= 40 * MB
    trims.clear()
    for number in range(2_000):
        clock[0] += 0.01
        now[0] += 1e-9  # hardly any growth
        cache["new", number] = bytes(10_000)
        watch()
    assert 3 <= len(trims) <= 10
    gaps = [later - sooner for sooner, later in pairwise(trims)]
    assert gaps == sorted(gaps)
    assert gaps[-1] > 4
