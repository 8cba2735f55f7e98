"""Eight threads at once: the bound holds at every moment, nothing is raised, nothing is counted twice or lost."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from typing import Any

import pytest
from helpers.kinds import KINDS, Kind
from helpers.threads import run_threads, switching_often

from safemem import LRUCache

THREADS = 8
SECONDS = 0.6
BOUND = 50


class Clocked:
    """A clock that every reader pushes on a little, until it is stopped: some items expire in the middle of everything."""

    def __init__(self) -> None:
        self.now = 0.0
        self._step = 1.0

    def __call__(self) -> float:
        self.now += self._step
        return self.now

    def stop(self) -> None:
        """From here on nothing expires: what two looks tell can be compared."""
        self._step = 0.0


def make(kind: Kind, clock: Clocked, bound: float = BOUND, **options: Any) -> Any:
    """A cache whose items, if they can, expire after some thousand operations."""
    return kind.make(bound, ttl=3000, clock=clock, **options)


def mixed(cache: Any, number: int, seconds: float, bound: float) -> None:
    """Do a bit of everything for a while, and look at the bound all the time."""
    dice = random.Random(number)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for _ in range(50):
            key = dice.randrange(200)
            what = dice.randrange(20)
            if what < 5:
                cache[key] = number
            elif what < 10:
                cache.get(key)
            elif what == 10:
                cache.pop(key, None)
            elif what == 11:
                cache.setdefault(key, number)
            elif what == 12:
                cache.update({key: number, key + 1: number})
            elif what == 13:
                assert len(list(cache)) <= bound + THREADS
            elif what == 14:
                cache.get_or_create(key, object)
            elif what == 15:
                cache.evict(1)
            elif what == 16 and dice.randrange(20) == 0:
                cache.clear()
            elif what == 17:
                for _key, _value in cache.items():
                    pass
            elif what == 18:
                if hasattr(cache, "expire"):
                    cache.expire()
                repr(cache)
            else:
                try:
                    cache.popitem()
                    del cache[key]
                except KeyError:
                    pass
            size = cache.currsize
            assert size <= bound, size
            assert len(cache) <= bound


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_mixed_operations(kind: Kind) -> None:
    """Any mixture of operations in eight threads raises nothing, and never exceeds the bound."""
    clock = Clocked()
    cache = make(kind, clock)
    with switching_often():
        run_threads(THREADS, lambda number: mixed(cache, number, SECONDS, BOUND))
    cache._check()
    clock.stop()
    assert len(cache) == len(list(cache)) == cache.currsize


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_accounting(kind: Kind) -> None:
    """What was stored is what was removed and what is left, each once; hits and misses are all the look-ups there were."""
    removed: Counter[object] = Counter()
    lock = threading.Lock()

    def on_remove(_key: object, value: object, _cause: object) -> None:
        with lock:
            removed[value] += 1

    cache = make(kind, Clocked(), on_remove=on_remove)
    stored: list[list[object]] = [[] for _ in range(THREADS)]
    looked = [0] * THREADS

    def work(number: int) -> None:
        dice = random.Random(number)
        for step in range(1500):
            key = dice.randrange(100)
            what = dice.randrange(8)
            if what < 4:
                value = (number, step)
                stored[number].append(value)
                cache[key] = value
            elif what < 6:
                looked[number] += 1
                cache.get(key)
            elif what == 6:
                cache.pop(key, None)
            else:
                cache.evict(1)

    with switching_often():
        run_threads(THREADS, work)
    cache._check()
    everything = Counter(value for values in stored for value in values)
    cache.clear()
    assert everything == removed
    assert max(removed.values()) == 1
    stats = cache.stats()
    assert stats.hits + stats.misses == sum(looked)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_weights(kind: Kind) -> None:
    """The sum of the weights never exceeds the bound, and is exact at the end."""
    clock = Clocked()
    cache = make(kind, clock, 200, getsizeof=lambda value: value)

    def work(number: int) -> None:
        dice = random.Random(number)
        for _ in range(1000):
            key = dice.randrange(60)
            if dice.randrange(3):
                cache[key] = dice.randrange(40)
            else:
                cache.pop(key, None)
            assert cache.currsize <= 200

    with switching_often():
        run_threads(THREADS, work)
    cache._check()
    clock.stop()
    assert cache.currsize == sum(cache.values())


@pytest.mark.parametrize(
    ("look", "weighted"),
    [("len", False), ("list", False), *((look, weighted) for look in ("currsize", "copy", "stats") for weighted in (False, True))],
)
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_nobody_ever_sees_too_much(kind: Kind, look: str, weighted: bool) -> None:
    """However closely others look while entries are stored and replaced, they never see the bound exceeded."""
    cache = make(kind, Clocked(), 20, **({"getsizeof": lambda value: value} if weighted else {}))
    most: list[float] = []
    ways: dict[str, Any] = {
        "len": lambda: len(cache),
        "currsize": lambda: cache.currsize,
        "list": lambda: len(list(iter(cache))),
        "copy": lambda: cache.copy().currsize,
        "stats": lambda: cache.stats().currsize,
    }
    looking = [1, 2]

    def work(number: int) -> None:
        if number < 2:
            most.append(max(ways[look]() for _ in range(300 if look == "copy" else 2000)))
            looking.pop()
        step = 0
        while looking and number >= 2:
            step += 1
            cache[(number * 31 + step) % 60] = step % 7

    with switching_often():
        run_threads(5, work)
    assert max(most) <= 20


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_setdefault_is_atomic(kind: Kind) -> None:
    """Of many threads that setdefault one key, one stores, and all get its value."""
    cache = kind.make(1000)
    got: list[list[object]] = [[] for _ in range(THREADS)]

    def work(number: int) -> None:
        for key in range(300):
            got[number].append(cache.setdefault(key, (number, key)))

    with switching_often():
        run_threads(THREADS, work)
    assert all(answers == got[0] for answers in got)
    assert got[0] == [cache[key] for key in range(300)]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_pop_is_atomic(kind: Kind) -> None:
    """Of many threads that pop one key, one gets it."""
    cache = kind.make(1000)
    cache.update((key, key) for key in range(500))
    got: list[list[object]] = [[] for _ in range(THREADS)]

    def work(number: int) -> None:
        for key in range(500):
            value = cache.pop(key, None)
            if value is not None:
                got[number].append(value)

    with switching_often():
        run_threads(THREADS, work)
    assert sorted(value for values in got for value in values) == list(range(500))
    assert len(cache) == 0


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_popitem_is_atomic(kind: Kind) -> None:
    """Many threads that popitem() get each entry once, and KeyError only when it is empty."""
    cache = kind.make(2000)
    cache.update((key, key) for key in range(2000))
    got: list[list[object]] = [[] for _ in range(THREADS)]

    def work(number: int) -> None:
        while True:
            try:
                got[number].append(cache.popitem()[1])
            except KeyError:
                return

    with switching_often():
        run_threads(THREADS, work)
    assert sorted(value for values in got for value in values) == list(range(2000))


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_evict_counts_are_exact(kind: Kind) -> None:
    """What evict() says went, went: the answers of all threads add up to what there was."""
    cache = kind.make(2000)
    cache.update((key, key) for key in range(1500))
    went = [0] * THREADS

    def work(number: int) -> None:
        for _ in range(100):
            went[number] += cache.evict(3)

    with switching_often():
        run_threads(THREADS, work)
    assert sum(went) == 1500 == cache.stats().evictions
    assert len(cache) == 0


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_resizing_while_others_write(kind: Kind) -> None:
    """The bound of the moment holds while it changes."""
    cache = kind.make(100)

    def work(number: int) -> None:
        for step in range(400):
            if number == 0:
                cache.resize(20 + step % 80)
            else:
                cache[number, step] = step
            assert len(cache) <= 100

    with switching_often():
        run_threads(THREADS, work)
    cache.resize(10)
    assert len(cache) == 10
    cache._check()


def test_values_with_finalisers_in_many_threads() -> None:
    """Finalisers that use the cache while others write hang nothing."""
    cache = LRUCache[int, Any](20)

    class Nosy:
        def __init__(self, key: int) -> None:
            self.key = key

        def __del__(self) -> None:
            cache.pop(self.key, None)
            cache.get(self.key + 1)

    def work(number: int) -> None:
        for step in range(400):
            cache[(number * 31 + step) % 40] = Nosy(step % 40)

    with switching_often():
        run_threads(THREADS, work)
    cache._check()
    assert len(cache) <= 20
