"""The level of the process: what the thread does when nobody calls the caches, and what is said where nothing can be known."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest
from helpers.threads import until

from safemem import LRUCache, MemoryBudget, RemovalCause
from safemem.memory import sources
from safemem.memory.limits import Limit
from safemem.memory.pressure import Readings

MB = 1 << 20


class World:
    """What signals say: so much is in use beside what a cache holds, of 100 MB."""

    def __init__(self, other):
        self.other = other
        self.cache = None
        self.membership = b""
        self.limits = [Limit(100 * MB, "a limit of the tests", "cgroup", lambda: self.used)]

    @property
    def used(self):
        return self.other + (self.cache._charged if self.cache is not None else 0)

    def read(self):
        return Readings(self.used / (100 * MB), self.used, 100 * MB, "a limit of the tests")


@pytest.fixture
def world(monkeypatch):
    """A process that may use 100 MB, of which 20 are in use."""
    world = World(20 * MB)
    monkeypatch.setattr(sources, "Signals", lambda: world)
    monkeypatch.setattr(sources, "find_limits", lambda: world.limits)
    return world


def filled(budget, world, size=10_000):
    """A cache of 10 kB entries, filled until the budget has no more room for it."""
    world.cache = cache = LRUCache(10**9, budget=budget)
    for number in range(12_000):
        cache[number] = bytes(size)
        if budget.stats().let_go:
            break
    return cache


def test_fills_to_the_lower_mark(world):
    """Without a thread the stores look at the level, and stop growing in time."""
    budget = MemoryBudget()
    assert budget.limit == 100 * MB
    filled(budget, world)
    assert 0.75 < budget.level <= 0.82


def test_the_thread_lets_go_when_nobody_calls(world):
    """The application takes memory and calls no cache: the thread sees it, lets go, and tells in words why."""
    told = []
    budget = MemoryBudget()
    cache = filled(budget, world)
    cache_of_callbacks = LRUCache(
        10**9, budget=budget, on_remove=lambda key, _value, cause: told.append((key, cause, threading.current_thread().name))
    )
    cache_of_callbacks["small"] = bytes(1_000)
    before = cache._charged
    assert budget.pressure().state in {"none", "soft"}
    world.other += 30 * MB
    assert budget.pressure().state == "hard"
    assert "of 104.9 MB in use (a limit of the tests)" in budget.pressure().reason
    with budget:
        until(lambda: world.used <= 0.885 * 100 * MB)
    assert 20 * MB < cache._charged < before - 15 * MB
    assert all(cause is RemovalCause.PRESSURE and thread == "safemem-budget" for _key, cause, thread in told)
    world.other -= 30 * MB
    with budget:
        until(lambda: budget.stats().bound > 0.9 * before)


def test_a_thread_that_keeps_nothing_alive(world):
    """It ends with the budget; caches and budget are freed without it."""
    budget = MemoryBudget()
    cache = filled(budget, world)
    watched = weakref.ref(budget), weakref.ref(cache)
    budget.start()
    budget.start()
    threads = [thread for thread in threading.enumerate() if thread.name == "safemem-budget"]
    assert len(threads) == 1
    world.cache = None
    del budget, cache
    gc.collect()
    threads[0].join(30)
    assert not threads[0].is_alive()
    assert [each() for each in watched] == [None, None]


def test_start_and_stop(world):
    """As often as one likes, from any thread, one after the other."""
    budget = MemoryBudget()
    assert (budget.running, budget.stop()) == (False, True)
    for _ in range(3):
        budget.start()
        assert budget.running
        assert budget.stats().running
        assert "running" in repr(budget)
        assert budget.stop() is True
        assert not budget.running


def test_a_fraction_bounds_both(world):
    """The accounted bytes by the fraction, and the level as with "auto"."""
    budget = MemoryBudget("30%")
    assert budget.limit == 30 * MB
    cache = filled(budget, world)
    assert 29 * MB < budget.used <= 30 * MB
    world.other = 75 * MB
    cache["more"] = bytes(2 * MB)
    budget.start()
    until(lambda: world.used <= 0.885 * 100 * MB)
    budget.stop()
    assert budget.used < 20 * MB


def test_a_limit_that_changes(world):
    """What the process may use is looked up anew while it runs."""
    now = [0.0]
    budget = MemoryBudget("30%", timer=lambda: now[0])
    cache = filled(budget, world)
    world.limits[0].bytes = 50 * MB
    now[0] += 10
    cache["one more"] = bytes(2 * MB)
    assert budget.limit == 15 * MB
    assert budget.used <= 15 * MB


def test_a_reserve(world):
    """It is taken off, and with it a resource limit counts too."""
    world.limits.append(Limit(60 * MB, "the limit of this process on its address space (RLIMIT_AS)", "rlimit", lambda: 10 * MB))
    assert MemoryBudget(reserve="10MiB").limit == 50 * MB
    with pytest.raises(
        ValueError, match=r"reserve must be less than what this process may use \(the limit of this process on its address space"
    ):
        MemoryBudget(reserve=60 * MB)


def test_no_signal_on_this_system(monkeypatch):
    """It says so, and bounds the accounted bytes."""

    class Silence:
        limits = ()
        membership = b""

        def read(self):
            return Readings()

    monkeypatch.setattr(sources, "Signals", Silence)
    monkeypatch.setattr(sources, "find_limits", list)
    monkeypatch.setattr(sources, "_UNKNOWN", 20_000)
    monkeypatch.setattr(sources.os, "sysconf", lambda _name: 0, raising=False)
    budget = MemoryBudget()
    assert budget.limit == 20_000
    cache = LRUCache(10**6, budget=budget)
    for number in range(500):
        cache[number] = bytes(100)
        assert budget.used <= 20_000
    pressure = budget.pressure()
    assert "no signal on this system says how much memory is in use, so only the accounted bytes are bounded" in pressure.reason
    assert "20.0 kB, as nothing tells what there is" in pressure.reason
    assert pressure.state == "hard"
    assert pressure.readings.used == budget.used
    assert 0.9 < budget.level <= 1
    monkeypatch.setattr(sources.os, "sysconf", lambda _name: 1000, raising=False)
    assert MemoryBudget().limit == 500_000
    assert "half of the 1.0 MB of this machine" in MemoryBudget().pressure().reason
