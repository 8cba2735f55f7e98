"""Trees changed by many threads at once stay trees: no node is lost or in two places, and no circle comes about."""

from __future__ import annotations

import gc
import random
import threading
import time

import pytest
from helpers.forks import forks_while_locked, in_child
from helpers.nodes import Mixed, Plain, Slotted, WithPlace, check, names
from helpers.threads import run_threads, switching_often

SECONDS = 0.7


@pytest.mark.parametrize("kind", [Plain, Slotted, WithPlace])
def test_nodes_that_move_about(kind):
    """Threads move the same nodes anywhere; afterwards each is exactly where its parent says, and in no circle."""
    nodes = [kind(number) for number in range(12)]
    end = time.monotonic() + SECONDS

    def move(seed):
        rng = random.Random(seed)
        while time.monotonic() < end:
            node, child = rng.sample(nodes, 2)
            try:
                match rng.randrange(5):
                    case 0:
                        node.append(child)
                    case 1:
                        node.insert(rng.randrange(3), child)
                    case 2:
                        child.detach()
                    case 3:
                        node.extend([child])
                    case _:
                        child.parent = node
            except ValueError:
                pass  # a circle

    with switching_often():
        run_threads(4, move)
    roots = [node for node in nodes if node.parent is None]
    for root in roots:
        check(root)
    assert sorted(name for root in roots for name in names(root.walk())) == [*range(12)]


@pytest.mark.parametrize("kind", [Plain, Slotted, Mixed])
def test_a_new_node_for_two(kind):
    """Threads that give a node its first parent at the same moment: one is the last, and only it has the child."""
    with switching_often():
        for _ in range(150):
            parents = [kind(number) for number in range(3)]
            child = kind("child")

            def give(number, parents=parents, child=child):
                parents[number].append(child)

            run_threads(3, give)
            owners = [parent for parent in parents if parent.children]
            assert len(owners) == 1
            assert child.parent is owners[0]
            assert [*map(id, owners[0].children)] == [id(child)]


def test_neither_lost_nor_in_two_places():
    """Who looks while a node moves to and fro finds it at one of both places."""
    left, right, child = Plain("left"), Plain("right"), Plain("child")
    left.append(child)
    wrong = []
    done = threading.Event()

    def move(number):
        try:
            if number == 0:
                for _ in range(20_000):
                    right.append(child)
                    left.append(child)
            else:
                while not done.is_set():
                    if child.parent not in (left, right):
                        wrong.append(child.parent)
                    if child.root is child:
                        wrong.append("a root")
        finally:
            done.set() if number == 0 else None

    with switching_often():
        run_threads(3, move)
    assert wrong == []
    assert left.children == (child,)
    assert right.children == ()


def test_two_that_want_to_be_the_parent():
    """One of two nodes becomes the parent of the other, whatever they try at the same moment: not both."""
    with switching_often():
        for _ in range(100):
            pair = [Plain("one"), Plain("two")]
            for node in pair:
                node.append(Plain("child"))  # else the short way would be taken

            def attempt(number, pair=pair):
                try:
                    pair[number].append(pair[1 - number])
                except ValueError:
                    pass

            run_threads(2, attempt)
            assert sum(node.parent is None for node in pair) == 1
            check(next(node for node in pair if node.parent is None))


def test_building_while_others_walk():
    """Walks, heights and paths of a tree that others build and cut never fail."""
    top = Plain(0)
    end = time.monotonic() + SECONDS

    def work(number):
        rng = random.Random(number)
        while time.monotonic() < end:
            if number < 2:
                target = rng.choice([top, *top.children])
                target.append(Plain(number))
                if len(top.children) > 20:
                    rng.choice(top.children).detach()
            else:
                for order in ("pre", "post", "level"):
                    for node in top.walk(order):
                        assert node.depth == len(node.path) - 1 or node.root is not top
                assert top.height <= 2

    with switching_often():
        run_threads(4, work)
    check(top)


class Biter(Plain):
    """A finaliser that changes trees, whenever the collector calls it."""

    target = None
    bites = 0

    def __del__(self):
        Biter.bites += 1
        target = Biter.target
        if target is not None:
            extra = target.children[-1] if target.children else Plain("extra")
            target.insert(0, extra)
            target.append(Plain("bitten"))
            target.children[0].detach()


def test_collections_in_the_middle_of_changes():
    """Finalisers that change the same tree, run by the collector in the middle of a change, leave it whole."""
    top, other = Plain("top"), Plain("other")
    top.append(other)
    Biter.target = top
    thresholds = gc.get_threshold()
    gc.set_threshold(3)
    try:
        for number in range(2000):
            biter = Biter(number)
            biter.circle = biter
            del biter
            child = Plain(number)
            other.append(child)
            top.append(child)
            top.insert(1, Slotted(number))
            child.detach()
            if number % 50 == 0:
                top.clear()
                top.append(other)
        gc.collect()
    finally:
        Biter.target = None
        gc.set_threshold(*thresholds)
    assert Biter.bites >= 2000
    check(top)


@forks_while_locked
def test_fork():
    """A child that was forked while others were changing trees goes on with its own."""
    top = Plain("top")
    done = threading.Event()

    def busy():
        while not done.is_set():
            top.append(Plain("child"))
            for child in top.children[-1:]:  # unless another thread has just taken all away
                top.insert(0, child)
            top.clear()

    threads = [threading.Thread(target=busy) for _ in range(3)]
    for thread in threads:
        thread.start()

    def work():
        mine = Plain("mine")
        mine.insert(0, Plain("own"))
        mine.append(top)
        assert top.root is mine

    try:
        assert [in_child(work) for _ in range(5)] == [0] * 5
    finally:
        done.set()
        for thread in threads:
            thread.join()
