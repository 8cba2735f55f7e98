"""Eight threads that create, drop, iterate and copy while the collector runs all the time; and memory that stays flat."""

from __future__ import annotations

import gc
import random
import tracemalloc

import pytest
from helpers.threads import run_threads, switching_often

from safemem import WeakIdentityDict, WeakIdentitySet, WeakRegistry


class Thing:
    """Cyclic, so that only the collector frees it."""

    def __init__(self, cyclic: bool) -> None:
        self.me = self if cyclic else None


@pytest.fixture
def _collecting():
    before = gc.get_threshold()
    gc.set_threshold(50)
    yield
    gc.set_threshold(*before)


@pytest.mark.usefixtures("_collecting")
@pytest.mark.parametrize("kind", [WeakIdentityDict, WeakIdentitySet, WeakRegistry])
def test_eight_threads(kind):
    """No error, no stranger, nothing left over."""
    shared = kind()
    told: list[object] = []
    if kind is WeakRegistry:
        shared = WeakRegistry(on_remove=lambda name, obj, cause: told.append(name))

    def work(number: int) -> None:
        rng = random.Random(number)
        mine: list[Thing] = []
        for step in range(500):
            thing = Thing(rng.random() < 0.5)
            if kind is WeakIdentityDict:
                shared[thing] = (number, step)
                assert shared[thing] == (number, step)
            elif kind is WeakIdentitySet:
                shared.add(thing)
                assert thing in shared
            else:
                shared[(number, step)] = thing
                assert shared[(number, step)] is thing
            mine.append(thing)
            del thing
            if len(mine) > 20:
                mine.pop(rng.randrange(20))
            if step % 40 == 0:
                for _item in shared.items() if kind is not WeakIdentitySet else shared:
                    pass
                shared.copy()
                len(shared)
            if step % 7 == 0 and mine and kind is not WeakRegistry:
                shared.pop(mine[-1], None) if kind is WeakIdentityDict else shared.discard(mine[-1])

    with switching_often(1e-5):
        run_threads(8, work, limit=120.0)
    gc.collect()
    assert len(shared) == 0
    if kind is WeakRegistry:
        assert len(told) == len(set(told)) == 8 * 500
        assert not shared._owed
    else:
        shared._check()


@pytest.mark.parametrize("kind", [WeakIdentityDict, WeakIdentitySet, WeakRegistry])
def test_memory_is_flat(kind):
    """Insert and die, many times: nothing of an entry stays."""
    container = kind()

    def work(number: int) -> None:
        thing = Thing(False)
        if kind is WeakIdentityDict:
            container[thing] = object()
        elif kind is WeakIdentitySet:
            container.add(thing)
        else:
            container[number] = thing

    for number in range(2000):
        work(number)
    len(container)
    gc.collect()
    tracemalloc.start()
    work(0)
    before = tracemalloc.get_traced_memory()[0]
    for number in range(20_000):
        work(number)
    len(container)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 20_000


@pytest.mark.parametrize("kind", [WeakIdentityDict, WeakIdentitySet])
def test_length_never_goes_back(kind):
    """While one thread adds owners that stay, what another one is told of their number never falls, whatever is rebuilt in between."""
    for _ in range(20):
        shared = kind()
        owners = [Thing(False) for _ in range(2000)]
        falls: list[tuple[int, int]] = []

        def work(number: int, shared=shared, owners=owners, falls=falls) -> None:
            if number == 0:
                for owner in owners:
                    if kind is WeakIdentityDict:
                        shared[owner] = None
                    else:
                        shared.add(owner)
                return
            before = 0
            while before < len(owners):
                now = len(shared)
                if now < before:
                    falls.append((before, now))
                before = max(now, before)

        run_threads(2, work, limit=60.0)
        assert not falls
