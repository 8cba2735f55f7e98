"""The two inner loops of the audit: compiled and in Python they find the same."""

from __future__ import annotations

import gc
import random

import pytest

from safemem.core import _heap
from safemem.leaks import heap

BOTH = pytest.mark.parametrize("core", [_heap, heap], ids=["pure", "in use"])


@BOTH
def test_growth_is_seen(core):
    """A container with one entry more, an owner whose text is longer, a dict that the collector does not know."""

    class Owner:
        pass

    owner, row, table = Owner(), [], {"a": 1}
    owner.text, owner.table = "short", table
    objects = [owner, row]
    before, grown, new = core.census(objects)
    assert (grown, new) == ([], [])
    row.append(1)
    owner.text = "longer than before"
    _, grown, _ = core.census(objects, before)
    assert grown == [owner, row]


@BOTH
def test_new_objects_are_those_of_no_census_before(core):
    """What was missing in the first census stays new in all that follow it."""
    first, second, third = [], [], []
    table, _, _ = core.census([first])
    table, _, new = core.census([first, second], table, fresh=True)
    assert new == [second]
    _, _, new = core.census([first, second, third], table, fresh=True)
    assert list(map(id, new)) == [id(second), id(third)]


@BOTH
def test_paths(core):
    """The shortest way, roots of the first group before those of the second, nothing through what is to be avoided."""
    target = []
    near, far = [target], [[[target]]]
    assert [len(path) for path in core.find_paths([[far], [near]], [target], [])] == [4]
    assert [len(path) for path in core.find_paths([[far, near]], [target], [])] == [2]
    assert core.find_paths([[near]], [target], [near]) == [None]
    assert core.find_paths([[near]], [target, object()], [])[1] is None
    assert core.find_paths([], [target], []) == [None]


def test_both_agree_on_random_graphs():
    """The same lengths of paths, the same grown containers, on graphs with cycles and several roots."""
    rng = random.Random(4)
    for _ in range(30):
        nodes = [[] for _ in range(60)]
        for node in nodes:
            node.extend(rng.sample(nodes, rng.randrange(4)))
        roots, targets = [rng.sample(nodes, 2), rng.sample(nodes, 2)], rng.sample(nodes, 10)
        avoid = rng.sample(nodes, 3)
        lengths = [[None if path is None else len(path) for path in core.find_paths(roots, targets, avoid)] for core in (_heap, heap)]
        assert lengths[0] == lengths[1]
        tables = [core.census(nodes)[0] for core in (_heap, heap)]
        for node in rng.sample(nodes, 5):
            node.append(0)
        grown = [sorted(map(id, core.census(nodes, table)[1])) for core, table in zip((_heap, heap), tables, strict=True)]
        assert grown[0] == grown[1]


@BOTH
def test_whole_heap(core):
    """Everything that there is can be counted and walked through, and nothing is kept."""
    marker = [object()]
    counts = gc.get_count()
    table, _, _ = core.census(gc.get_objects())
    assert core.find_paths([[globals()]], [marker], [])[0] is None
    del table
    assert isinstance(counts, tuple)


def test_bad_table():
    """What is no table of a census is refused."""
    with pytest.raises((TypeError, AttributeError)):
        heap.census([[]], b"abc")
