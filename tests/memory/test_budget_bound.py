"""What a budget promises: a bound that holds, floors, weights, costs, and what is told."""

from __future__ import annotations

import pytest
from helpers.collect import no_cyclic_garbage
from helpers.kinds import KINDS, LRU, WEAK
from helpers.recorder import Recorder

from safemem import LRUCache, MemoryBudget, WeakCache, cached, default_budget
from safemem.memory.measuring import Measure, key_bytes, own_bytes


class Thing:
    """Something that can be weakly referenced."""


@pytest.fixture(params=KINDS, ids=str)
def kind(request):
    """Each cache class in turn."""
    return request.param


def test_the_bound_holds_after_every_store(kind):
    """Whatever comes, no more is used than the limit, and what goes is told with its cause."""
    told = Recorder()
    budget = MemoryBudget(20_000)
    cache = kind.make(10**6, budget=budget, on_remove=told)
    for number in range(500):
        cache[number] = bytes(number)
        assert budget.used <= budget.limit
    assert len(cache) > 0
    assert {cause for _key, _value, cause in told.told} == {"PRESSURE"}
    assert len(told.told) == 500 - len(cache) == budget.stats().let_go == cache.stats().evictions


def test_one_value_larger_than_the_limit_goes_alone():
    """It is let go of at once; the others stay."""
    budget = MemoryBudget(20_000)
    cache = LRUCache(10**6, budget=budget)
    for number in range(20):
        cache[number] = bytes(100)
    cache["large"] = bytes(50_000)
    assert "large" not in cache
    assert len(cache) == 20


def test_no_limit_at_all():
    """With nothing to give, nothing stays, and everything goes on working."""
    budget = MemoryBudget(0)
    cache = LRUCache(10, budget=budget)
    cache["a"] = 1
    assert (len(cache), budget.used, budget.level) == (0, 0, 0.0)
    assert cache.get_or_create("a", lambda: 5) == 5


def test_across_caches_the_least_valuable_goes():
    """What is costly to make stays, whichever cache it is in; so does what is used."""
    budget = MemoryBudget(600_000)
    cheap = LRUCache(10**6, budget=budget)
    costly = budget.attach(LRUCache(10**6), cost=100)
    for number in range(200):
        costly[number] = bytes(1_000)
    for number in range(2_000):
        cheap[number] = bytes(1_000)
    assert len(costly) == 200
    assert 150 < len(cheap) < 400
    for number in [*cheap][:20]:
        for _ in range(50):
            cheap[number]
    used = [*cheap][-20:]
    for number in range(10_000, 10_500):
        cheap[number] = bytes(1_000)
    assert sum(number in cheap for number in used) >= 15


def test_weight_protects():
    """Of two caches alike, the one with more weight keeps more."""
    budget = MemoryBudget(50_000)
    light = LRUCache(10**6, budget=budget)
    heavy = budget.attach(LRUCache(10**6), weight=20)
    for number in range(2_000):
        light[number] = heavy[number] = bytes(100)
    assert len(heavy) > 2 * len(light)


def test_floors_hold():
    """A cache keeps its `min_bytes`, even if that is more than there is."""
    budget = MemoryBudget(20_000)
    kept = budget.attach(LRUCache(10**6), min_bytes="15kB")
    other = budget.attach(LRUCache(10**6), weight=1000)
    for number in range(1_000):
        kept[number] = bytes(100)
    floor = kept._charged
    assert floor >= 15_000
    for number in range(1_000):
        other[number] = bytes(100)
        assert kept._charged >= 15_000
        assert budget.used <= budget.limit
    assert other._charged <= 5_000
    budget.attach(kept, min_bytes=10**6)
    for number in range(1_000):
        kept[number] = bytes(100)
    assert (len(kept), len(other)) == (1_000, 0)
    assert budget.used > budget.limit
    assert budget.reclaim(10**6) == 0


def test_cost_of_each_entry():
    """A cost function is asked once for each value, with its key."""
    asked = []

    def cost(key, value):
        asked.append((key, value))
        return key

    budget = MemoryBudget(30_000)
    cache = budget.attach(LRUCache(10**6), cost=cost)
    for number in range(1_000):
        cache[number] = b"x" * 100
    assert asked == [(number, b"x" * 100) for number in range(1_000)]
    assert sum(cache) / len(cache) > 600


def test_reclaim():
    """Lets go of as much as asked for, the least valuable first across all caches, and says how much it was."""
    budget = MemoryBudget(10**9)
    cheap = LRUCache(10**6, budget=budget)
    costly = budget.attach(LRUCache(10**6), cost=1000)
    for number in range(100):
        cheap[number] = costly[number] = bytes(1_000)
    before = budget.used
    freed = budget.reclaim("30kB")
    assert freed == before - budget.used
    assert 30_000 <= freed < 32_000
    assert len(costly) == 100
    assert budget.reclaim(0) == 0
    assert budget.reclaim(10**9) == before - freed
    assert budget.used == len(cheap) == len(costly) == 0
    with pytest.raises(ValueError, match="nbytes must be finite and >= 0, got -1"):
        budget.reclaim(-1)


# -- weak caches -----------------------------------------------------------------------------------------------------------------------


def test_a_weak_cache_is_charged_for_what_it_holds_strongly():
    """What is held weakly costs nothing; used again, it costs again."""
    budget = MemoryBudget(10**9)
    cache = budget.attach(WeakCache(2), size=lambda _value: 1000)
    things = [Thing() for _ in range(5)]
    for number, thing in enumerate(things):
        cache[number] = thing
    one = 1000 + own_bytes(cache) + key_bytes(1)
    assert budget.used == 2 * one
    assert cache[0] is things[0]
    assert budget.used == 2 * one
    cache.evict(1)
    assert budget.used == one
    cache.resize(0)
    assert budget.used == 0
    assert len(cache) == 5


def test_what_others_use_is_not_reclaimable():
    """Letting go of it would free nothing: it is passed over, and not counted."""
    budget = MemoryBudget(10**9)
    cache = budget.attach(WeakCache(100), size=lambda _value: 1000)
    used = [Thing() for _ in range(10)]
    for number, thing in enumerate(used):
        cache[number] = thing
    for number in range(10, 20):
        cache[number] = Thing()
    thing = None
    one = 1000 + own_bytes(cache) + key_bytes(10)
    stats = budget.stats()
    assert stats.reclaimable == pytest.approx(10 * one, abs=20)
    assert stats.used == pytest.approx(20 * one, abs=40)
    freed = budget.reclaim(10**9)
    assert freed == stats.reclaimable
    assert [cache.get(number) for number in range(10)] == used
    assert not any(number in cache for number in range(10, 20))


def test_a_limit_lets_go_of_what_others_use_too():
    """The bound holds for weak caches as well; what others use is still found."""
    budget = MemoryBudget(5_000)
    told = Recorder()
    cache = budget.attach(WEAK.make(100, on_remove=told), size=lambda _value: 1000)
    used = [Thing() for _ in range(10)]
    for number, thing in enumerate(used):
        cache[number] = thing
        assert budget.used <= budget.limit
    assert cache.stats().strong <= 5
    assert [cache.peek(number) for number in range(10)] == used
    assert told.told == []


def test_values_that_cannot_be_held_weakly_are_told():
    """In a weak cache they can only be let go of altogether."""
    budget = MemoryBudget(5_000)
    told = Recorder()
    cache = WEAK.make(100, on_remove=told, budget=budget)
    for number in range(20):
        cache[number] = bytes(1_000)
    assert {cause for _key, _value, cause in told.told} == {"PRESSURE"}
    assert 0 < len(cache) < 5


# -- all over --------------------------------------------------------------------------------------------------------------------------


def test_decorated_functions():
    """`@cached(budget=...)` puts the cache of a function, and that of each instance, into the budget."""
    budget = MemoryBudget(10**9)

    @cached(maxsize=None, budget=budget)
    def page(number):
        return bytes(number)

    class Reader:
        @cached(maxsize=None, budget=budget)
        def read(self, number):
            return bytes(number)

    page(10), page(20)
    assert budget.used == page.cache._charged > 30
    readers = [Reader() for _ in range(20)]
    for reader in readers:
        reader.read(1000)
    assert budget.stats().caches == 21
    assert budget.used > 20_000
    del reader, readers
    assert budget.stats().caches == 1
    assert budget.used == page.cache._charged


def test_more_caches_than_are_looked_at_at_a_time():
    """The bound holds among hundreds of caches, most of them empty."""
    budget = MemoryBudget(20_000)
    caches = [LRUCache(100, budget=budget) for _ in range(300)]
    for number in range(600):
        caches[number % 7 * 40][number] = bytes(100)
        assert budget.used <= budget.limit
    assert budget.used > 15_000


def test_one_budget_for_the_process():
    """It is the same one each time, counts what the process may use, and has not been started."""
    budget = default_budget()
    assert budget is default_budget()
    assert not budget.running
    assert budget.limit > 0
    assert 0 < budget.level < 2


def test_a_budget_works_without_its_owner():
    """Caches keep their bound when nobody keeps the budget."""
    cache = LRUCache(10**6, budget=MemoryBudget(10_000))
    for number in range(500):
        cache[number] = bytes(100)
    assert 10 < len(cache) < 100


def test_stats_and_repr():
    """Numbers that anybody can read."""
    budget = MemoryBudget(10_000)
    cache = LRUCache(10**6, budget=budget)
    for number in range(100):
        cache[number] = bytes(900)
    stats = budget.stats()
    assert (stats.used, stats.limit, stats.bound, stats.caches) == (budget.used, 10_000, 10_000, 1)
    assert stats.let_go == 100 - len(cache)
    assert stats.let_go_bytes + stats.used == sum(Measure(own_bytes(cache), None, None)(number, bytes(900))[0] for number in range(100))
    assert stats.level == stats.used / 10_000
    assert repr(budget) == f"<MemoryBudget: {budget.used / 1000:.1f} kB of 10.0 kB in 1 cache>"


def test_pressure_of_accounted_bytes():
    """With a number for a limit the state is about the accounted bytes, and says so."""
    budget = MemoryBudget(10_000, low=0.5, high=0.9)
    cache = budget.attach(LRUCache(10**6), size=lambda value: value - own_bytes(cache) - key_bytes(1))
    states = []
    for size in (1_000, 5_000, 9_100):
        cache[1] = size
        states.append(budget.pressure().state)
    assert states == ["none", "soft", "hard"]
    pressure = budget.pressure()
    assert pressure.reason == "91% of 10.0 kB accounted (the limit of this budget)"
    assert pressure.readings[:3] == (0.91, 9_100, 10_000)


def test_reading_is_not_changed_by_a_budget():
    """Hits and misses are counted as without one, and the order of use is the same."""
    budget = MemoryBudget(10**9)
    for cache in (LRU.make(3), LRU.make(3, budget=budget)):
        for number in range(3):
            cache[number] = number
        cache[0], cache.get(5)
        cache[4] = 4
        assert [*cache] == [2, 0, 4]
        assert (cache.stats().hits, cache.stats().misses, cache.stats().evictions) == (1, 1, 1)


def test_no_cycles(kind):
    """Nothing that a budget does is left to the collector."""
    with no_cyclic_garbage("a budget"):
        budget = MemoryBudget(5_000)
        cache = kind.make(50, budget=budget)
        for number in range(100):
            cache[number] = bytes(number)
        budget.reclaim(500)
        budget.stats(), budget.pressure(), repr(budget)
        budget.attach(cache, size=len, cost=lambda key, _value: key)
        for wrong in ({"size": 1}, {"weight": 0}, {"size": lambda value: value / 0}):
            with pytest.raises((TypeError, ValueError, ZeroDivisionError)):
                budget.attach(cache, **wrong)
        with budget:
            cache["x"] = b""
        budget.detach(cache)
        del cache, budget


def test_numbers_beyond_all_measure(kind):
    """Limits, floors, costs and weights larger than anything are as good as endless, and harm nobody."""
    for limit in (10**30, 1e300):
        budget = MemoryBudget(limit)
        cache = budget.attach(kind.make(100), min_bytes=10**30)
        cache["a"] = bytes(100)
        assert budget.reclaim(10**30) == 0
        assert len(cache) == 1
    budget = MemoryBudget(50_000)
    dear = budget.attach(kind.make(10**6), cost=1e308, weight=1e300)
    usual = LRUCache(10**6, budget=budget)
    for number in range(300):
        dear[number] = usual[number] = bytes(500)
    assert len(dear) > 10 * len(usual)
    dear.clear()
    for number in range(300):
        usual[number] = bytes(500)
    assert len(usual) > 10
    assert budget._ledger.clock < 1e300
