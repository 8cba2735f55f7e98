"""A budget under attack: threads, forks, functions and finalisers that bite back, caches and budgets that die in the middle of it."""

from __future__ import annotations

import gc
import random
import threading

import pytest
from helpers.collect import collector_off
from helpers.forks import forks, in_child
from helpers.kinds import KINDS
from helpers.recorder import unraisable
from helpers.threads import run_threads, switching_often, until

from safemem import LRUCache, MemoryBudget, RemovalCause, WeakCache


@pytest.fixture(params=KINDS, ids=str)
def kind(request):
    """Each cache class in turn."""
    return request.param


class Thing:
    """Something that can be weakly referenced."""

    def __init__(self, nbytes=100):
        self.bytes = nbytes


def charged(caches):
    """What the caches themselves say is charged for them."""
    return sum(cache._charged for cache in caches)


# -- threads ------------------------------------------------------------------------------------------------------------------------------


def test_threads_on_all_kinds_of_caches():
    """After any mixture of operations in many threads, what is used is what the caches are charged, and within the limit."""
    budget = MemoryBudget(100_000)
    caches = [kind.make(300, ttl=0.05, clock=None) for kind in KINDS]
    for cache in caches:
        budget.attach(cache, size=lambda thing: thing.bytes)

    def work(number):
        dice = random.Random(number)
        for _ in range(1_500):
            cache = dice.choice(caches)
            key = dice.randrange(400)
            step = dice.random()
            if step < 0.6:
                cache[key] = Thing(dice.randrange(2_000))
            elif step < 0.8:
                cache.get(key)
            elif step < 0.9:
                cache.pop(key, None)
            elif step < 0.93:
                cache.get_or_create(key, Thing)
            elif step < 0.96:
                budget.reclaim(dice.randrange(5_000))
            elif step < 0.98:
                cache.evict(3)
            elif step < 0.99:
                cache.clear()
            else:
                budget.stats()

    with switching_often():
        run_threads(6, work)
    for cache in caches:
        cache._check()
    assert budget.used == charged(caches)
    assert budget.used <= budget.limit
    for cache in caches:
        cache.clear()
    assert budget.used == 0


def test_threads_that_attach_and_detach_and_make_and_drop():
    """Caches come and go while others store; nothing stays charged for what has gone."""
    budget = MemoryBudget(50_000)
    lasting = LRUCache(1_000)

    def work(number):
        dice = random.Random(number)
        for _ in range(150):
            if number == 0:
                budget.attach(lasting)
                budget.detach(lasting)
                continue
            cache = LRUCache(1_000, budget=budget)
            for _ in range(20):
                dice.choice([cache, lasting])[dice.randrange(1_000)] = bytes(dice.randrange(1_000))
            del cache

    with switching_often():
        run_threads(5, work)
    gc.collect()
    assert budget.used == 0
    assert lasting._account is None
    lasting._check()
    assert budget.stats().caches == 0


def test_stores_while_a_full_cache_is_attached():
    """What is stored meanwhile is measured too, once."""
    for _ in range(5):
        budget = MemoryBudget(10**9)
        cache = LRUCache(10**6)
        for number in range(2_000):
            cache[number] = Thing()

        def work(number, cache=cache, budget=budget):
            if number == 0:
                budget.attach(cache, size=lambda thing: thing.bytes)
            else:
                for key in range(1_900, 2_300):
                    cache[key] = Thing(50)

        with switching_often():
            run_threads(4, work)
        before = budget.used
        assert before == cache._charged
        assert cache._unmeasured() == []
        budget.attach(cache, size=lambda thing: thing.bytes)
        assert budget.used == before


# -- forks --------------------------------------------------------------------------------------------------------------------------------


@forks
def test_a_child_goes_on_with_a_budget_of_its_own(kind):
    """It has the same caches and the same numbers; what it does is its own affair; the thread is not running there, and can be."""
    budget = MemoryBudget(100_000)
    cache = kind.make(10**6, budget=budget)
    for number in range(50):
        cache[number] = bytes(1_000)

    def child():
        assert not budget.running
        assert budget.used == cache._charged
        for number in range(1_000):
            cache[number, "child"] = bytes(1_000)
            assert budget.used <= budget.limit
        with budget:
            assert budget.running
        cache._check()

    with budget:
        until(lambda: budget.running)
        before = [*cache]
        used = budget.used
        assert in_child(child) == 0
        assert budget.running
    assert [*cache] == before
    assert budget.used == used


@forks
def test_a_child_forked_while_others_store():
    """Whatever the other threads were doing, the child's budget works."""
    budget = MemoryBudget(100_000)
    cache = LRUCache(10**6, budget=budget)
    stop = threading.Event()

    def store():
        number = 0
        while not stop.is_set():
            cache[number % 5_000] = bytes(500)
            number += 1

    threads = [threading.Thread(target=store, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    until(lambda: budget.used > 90_000)

    def child():
        for number in range(500):
            cache[number] = bytes(5_000)
        budget.reclaim(10**9)
        cache.clear()
        assert budget.used == 0

    try:
        for _ in range(5):
            assert in_child(child) == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join(10)
    assert budget.used == cache._charged


@forks
def test_a_child_forked_in_the_middle_of_a_charge():
    """What another thread had stored and was about to charge for is charged for in the child, where that thread does not go on."""
    budget = MemoryBudget(10**9)
    cache = LRUCache(10, budget=budget)
    cache["a"] = bytes(100)
    before = budget.used
    thread = threading.Thread(target=cache.__setitem__, args=("b", bytes(100)))

    def child():
        assert budget.used == cache._charged > before
        del cache["a"]
        cache.clear()
        assert budget.used == 0

    with getattr(budget._ledger, "_lock", threading.Lock()):  # the compiled core has none: it charges in one step
        thread.start()
        until(lambda: cache._charged > before)
        assert in_child(child) == 0
    thread.join(20)
    assert budget.used == cache._charged > before


# -- what bites back ------------------------------------------------------------------------------------------------------------------


def test_a_callback_that_puts_back_what_goes(kind):
    """It can keep the bound from holding for a while, but nothing hangs, and nothing is charged twice."""
    budget = MemoryBudget(20_000)
    cache = None

    def put_back(key, value, cause):
        if cause is RemovalCause.PRESSURE:
            cache[key] = value

    cache = kind.make(10**6, budget=budget, on_remove=put_back)
    for number in range(100):
        cache[number] = bytes(500)
    cache._check()
    assert budget.used == cache._charged


def test_a_callback_that_fills_the_next_cache():
    """What one cache lets go of may go into another of the same budget, in a smaller shape."""
    budget = MemoryBudget(50_000)
    small = LRUCache(10**6, budget=budget)
    large = LRUCache(10**6, budget=budget, on_remove=lambda key, value, _cause: small.__setitem__(key, value[:50]))
    for number in range(1_000):
        large[number] = bytes(1_000)
    assert budget.used <= 55_000
    assert len(small) > 0 < len(large)


def test_callbacks_that_raise(kind):
    """An exception of `on_remove` is nobody's; an interrupt is the storing caller's, who finds the cache whole."""
    budget = MemoryBudget(5_000)
    error = ValueError("mine")

    def fail(*_):
        raise error

    cache = kind.make(10**6, budget=budget, on_remove=fail)
    with unraisable() as caught:
        for number in range(20):
            cache[number] = bytes(1_000)
    assert set(map(id, caught)) == {id(error)}
    error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        for number in range(20):
            cache[number] = bytes(1_000)
    cache._check()
    assert budget.used == cache._charged <= budget.limit
    error = ValueError()
    with unraisable():
        cache["after"] = bytes(1_000)
    assert budget.used <= budget.limit


def test_functions_that_use_the_cache_they_measure_for(kind):
    """Size and cost are asked with nothing locked, so they may do what they like."""
    budget = MemoryBudget(50_000)
    cache = kind.make(100)
    depth = []

    def size(value):
        if len(depth) < 3:
            depth.append(None)
            cache["other", len(depth)] = value
            cache.clear()
            budget.reclaim(10)
            depth.pop()
        return 100

    budget.attach(cache, size=size, cost=lambda key, _value: len(cache) + (key in cache))
    for number in range(50):
        cache[number] = number
        cache._check()
        assert budget.used == cache._charged


def test_a_size_function_that_detaches(kind):
    """The store goes through, and is charged to nobody."""
    budget = MemoryBudget(50_000)
    cache = kind.make(100)

    def size(_value):
        budget.detach(cache)
        return 100

    budget.attach(cache, size=size)
    cache["a"] = 1
    assert (cache["a"], budget.used, cache._account) == (1, 0, None)


def test_finalisers_that_use_caches_and_budget(kind):
    """What a value does when it goes may use everything: nothing is locked then."""
    budget = MemoryBudget(20_000)
    cache = kind.make(10**6, budget=budget)
    other = LRUCache(10**6, budget=budget)
    ended = []

    class Biting:
        def __init__(self, number):
            self.number = number
            self.ballast = bytes(500)

        def __del__(self):
            ended.append(self.number)
            if self.number < 300:
                cache[self.number + 1_000] = bytes(100)
                other[self.number] = bytes(100)
                budget.reclaim(200)
                budget.stats()

    for number in range(200):
        cache[number] = Biting(number)
    cache._check()
    other._check()
    assert ended
    assert budget.used == charged([cache, other]) <= budget.limit
    cache.clear()
    other.clear()
    assert budget.used == charged([cache, other])


def test_keys_whose_comparison_clears_the_cache(kind):
    """A comparison in the middle of a store may do anything; the sum stays right."""

    class Key:
        armed = False

        def __hash__(self):
            return 1

        def __eq__(self, other):
            if Key.armed:
                Key.armed = False
                cache.clear()
                cache["again"] = Thing()
            return self is other

    budget = MemoryBudget(10**9)
    cache = kind.make(100, budget=budget)
    keys = [Key() for _ in range(8)]
    for turn in range(40):
        Key.armed = turn % 3 == 0
        cache[keys[turn % 8]] = Thing()
        Key.armed = False
        cache._check()
        assert budget.used == cache._charged


def test_a_timer_that_raises():
    """It is the budget's timer, not the storing caller's."""
    now = [0.0]

    def timer():
        if now[0] is None:
            raise ZeroDivisionError
        return now[0]

    budget = MemoryBudget("auto", timer=timer)
    cache = LRUCache(10**6, budget=budget)
    cache["a"] = 1
    now[0] = None
    with unraisable() as caught:
        for number in range(5):
            cache[number] = bytes(1 << 20)
    assert len(cache) == 6
    assert caught
    assert {type(error) for error in caught} == {ZeroDivisionError}


# -- deaths ---------------------------------------------------------------------------------------------------------------------------


def test_caches_that_die_in_a_callback(kind):
    """A cache may go while the budget is at work on it, by the hands of its own callback."""
    budget = MemoryBudget(20_000)
    caches = []

    def drop(*_):
        caches.clear()

    caches.append(kind.make(10**6, budget=budget, on_remove=drop))
    with collector_off():
        for number in range(1_000):
            if not caches:
                break
            caches[0][number] = bytes(1_000)
        assert not caches
    gc.collect()
    assert (budget.used, budget.stats().caches) == (0, 0)


def test_budgets_that_die():
    """Caches of a budget that nobody keeps may join another one after detaching, which a new budget cannot do for them."""
    cache = LRUCache(10**6, budget=MemoryBudget(10_000))
    cache["a"] = 1
    budget = MemoryBudget(10_000)
    with pytest.raises(ValueError, match="cache is in another budget"):
        budget.attach(cache)
    copy = cache.copy()
    budget.attach(copy)
    assert budget.used == copy._charged > 0


def test_weak_values_that_die_on_their_own():
    """Values of a weak cache that others let go of are off the books with the next operation."""
    budget = MemoryBudget(10**9)
    cache = budget.attach(WeakCache(5), size=lambda thing: thing.bytes)
    things = [Thing() for _ in range(50)]
    for number, thing in enumerate(things):
        cache[number] = thing
    del thing
    things.clear()
    gc.collect()
    assert len(cache) == 5
    assert budget.used == cache._charged
    cache.resize(0)
    assert (len(cache), budget.used) == (0, 0)
