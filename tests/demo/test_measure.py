"""Survivors are found whoever holds them, and weighed with all that is theirs."""

from __future__ import annotations

import sys
import threading

import pytest

from safemem.demo.measure import Counted, built, start_count, survivors, weigh


class Thing(Counted):
    """Something to count."""


class Special(Thing):
    """A kind of thing."""


@pytest.fixture(autouse=True)
def _fresh_count():
    start_count()
    yield
    start_count()


def test_counts_what_was_made_and_what_survived():
    """A dropped object is made and gone, a held one made and alive."""
    kept = [Thing(), Special()]
    Thing()
    assert built(Thing) == 3
    assert built(Special) == 1
    assert survivors() == kept


def test_garbage_does_not_survive():
    """What only the collector can free is freed before it is counted."""
    loop = Thing()
    loop.myself = loop
    del loop
    assert survivors() == []


def test_holds_nothing_itself():
    """Counting pins nothing."""
    thing = Thing()
    before = sys.getrefcount(thing)
    assert built(Thing) == 1
    assert sys.getrefcount(thing) == before


def test_counts_from_threads():
    """Objects made by many threads at once are all counted."""
    threads = [threading.Thread(target=lambda: [Thing() for _ in range(100)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert built(Thing) == 800


class TestWeigh:
    """What belongs to an object."""

    def test_everything_it_refers_to(self):
        """Deep, and each once."""
        big = bytes(10_000)
        assert weigh([[big], big]) == 2 * sys.getsizeof([big]) + sys.getsizeof([1, 2]) - sys.getsizeof([1]) + sys.getsizeof(big)

    def test_a_loop_ends(self):
        """An object that refers to itself is weighed once."""
        loop: list[object] = []
        loop.append(loop)
        assert weigh(loop) == sys.getsizeof(loop)

    def test_not_the_program(self):
        """Classes, functions and modules are not part of an object's weight."""
        assert weigh([sys, Thing, weigh, len]) == sys.getsizeof([1, 2, 3, 4])

    def test_not_what_is_known(self):
        """What is weighed elsewhere is left out."""
        inner = bytes(1000)
        assert weigh([inner], {id(inner)}) == sys.getsizeof([inner])
