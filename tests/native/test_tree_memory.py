"""Memory of trees: nothing leaks, and nothing is half done when there is none."""

from __future__ import annotations

import gc
import sys
from typing import Any

import pytest
from helpers.leak import Unique, flat, ignore, same_counts
from helpers.nodes import Mapped, Mixed, Plain, Slotted, check, names

KINDS = [Plain, Slotted, Mixed, Mapped]


class Scene:
    """A small tree, an orphan whose parent died, a new node, and some more below another root."""

    def __init__(self, kind: Any) -> None:
        self.top, self.left, self.right, self.new, self.other = (kind(name) for name in ("top", "left", "right", "new", "other"))
        self.top.append(self.left)
        self.top.append(self.right)
        self.left.append(kind("below"))
        self.orphan = kind("orphan")
        kind("dead").append(self.orphan)
        for number in range(4):  # as many as there is memory for at first
            self.other.append(kind(number))
        self.nodes = [self.top, self.left, self.right, self.new, self.other, self.orphan, *self.left.children, *self.other.children]

    def shape(self) -> list[Any]:
        """All that can be seen."""
        return [(id(node), id(node.parent), [*map(id, node.children)]) for node in self.nodes]


# What is to be called with what: nothing else, a function above all, is made when there is no memory, for which not every CPython is ready.
CHANGES = {
    "append new": lambda scene: (scene.other.append, scene.new),
    "first child": lambda scene: (scene.new.append, scene.left),
    "append": lambda scene: (scene.other.append, scene.left),
    "append an orphan": lambda scene: (scene.right.append, scene.orphan),
    "insert": lambda scene: (scene.other.insert, 1, scene.right),
    "extend": lambda scene: (scene.new.extend, [scene.orphan, *scene.other.children, scene.left]),
    "sort": lambda scene: (scene.other.extend, scene.other.children[::-1]),
    "detach": lambda scene: (scene.left.detach,),
    "circle": lambda scene: (scene.left.append, scene.top),
    "circle of many": lambda scene: (scene.left.extend, [scene.new, scene.top]),
    "one twice": lambda scene: (scene.left.extend, [scene.new, scene.new]),
    "no node": lambda scene: (scene.left.append, 5),
}

every_change = pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
every_kind = pytest.mark.parametrize("kind", KINDS)


@every_kind
@every_change
def test_every_allocation_fails_once(kind: Any, change: Any) -> None:
    """MemoryError, and nothing has changed; or all is done."""
    testcapi = pytest.importorskip("_testcapi")
    done = Scene(kind)
    function, *arguments = change(done)
    ignore(lambda: function(*arguments), ValueError, TypeError)
    expected = [names(node.children) for node in done.nodes]
    for start in range(200):
        scene = Scene(kind)
        before = scene.shape()
        function, *arguments = change(scene)
        gc.disable()
        testcapi.set_nomemory(start, start + 1)
        try:
            function(*arguments)
        except (MemoryError, SystemError):  # the latter by CPython 3.11, which says nothing when it has no memory for a frame
            failed = True
        except (ValueError, TypeError):
            failed = False
        else:
            failed = False
        finally:
            testcapi.remove_mem_hooks()
            gc.enable()
        for node in scene.nodes:
            if node.parent is None:
                check(node)
        if failed:
            assert scene.shape() == before
        elif start > 30:
            assert [names(node.children) for node in scene.nodes] == expected
            break
    else:
        raise AssertionError("it never succeeds")


@every_kind
def test_nodes_that_cannot_be_made(kind: Any) -> None:
    """Where there is no memory for a node, there is none."""
    testcapi = pytest.importorskip("_testcapi")
    before = sys.getrefcount(kind)
    failures = 0
    for start in range(20):
        testcapi.set_nomemory(start, start + 1)
        try:
            made = kind.__new__(kind)
        except MemoryError:
            failures += 1
            continue
        finally:
            testcapi.remove_mem_hooks()
        assert (made.parent, made.children) == (None, ())
        del made
    assert 0 < failures < 20
    assert sys.getrefcount(kind) == before


@every_kind
def test_reference_counts(kind: Any) -> None:
    """Every change, and every one that is refused, leaves the counts of all nodes and of their class where they were."""
    scene = Scene(kind)

    def work() -> None:
        scene.other.append(scene.new)
        scene.new.append(scene.orphan)
        scene.right.insert(0, scene.orphan)
        scene.new.extend([scene.orphan, scene.left, *scene.other.children[:2]])
        scene.new.extend(reversed(scene.new.children))
        ignore(lambda: scene.orphan.append(scene.other), ValueError)
        ignore(lambda: scene.orphan.extend([scene.right, scene.other]), ValueError)
        ignore(lambda: scene.orphan.extend([scene.right, scene.right]), ValueError)
        ignore(lambda: scene.orphan.extend([scene.right, 5]), TypeError)
        assert scene.orphan.root is scene.other
        assert len(scene.orphan.path) == 3
        scene.other.remove(scene.new)
        scene.new.clear()
        scene.other.clear()
        scene.top.extend([scene.left, scene.right])
        scene.other.extend(scene.nodes[-4:])

    same_counts([*scene.nodes, kind, work], work)


@every_kind
def test_nothing_grows(kind: Any) -> None:
    """Trees that come and go, are sorted, copied and refused, leave no byte."""

    def work(number: int) -> None:
        top = kind(Unique(number))
        top.extend(kind(each) for each in range(12))
        top.extend(reversed(top.children))
        top.children[3].append(top.children[0])
        ignore(lambda: top.children[3].append(top), ValueError)
        top.children[5].detach().append(top)
        top.clear()

    flat(work, 1500)


def test_memory_is_given_back() -> None:
    """A node that had many children and has few now has let go of their places; a hundred thousand are sorted in one go."""
    import tracemalloc

    top = Plain("top")
    nodes = [Plain(number) for number in range(100_000)]
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    top.extend(nodes)
    top.extend(sorted(top.children, key=lambda node: node.name * 7919 % 100_003))
    assert [node.name for node in top.children] == sorted(range(100_000), key=lambda name: name * 7919 % 100_003)
    top.extend(nodes)
    assert top.children == tuple(nodes)
    for node in nodes[::-1]:
        node.detach()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 10_000


def test_the_collector_may_run_anywhere() -> None:
    """Changes in the middle of which everything is collected, and finalisers change the same nodes, leave the trees whole."""
    top, other = Plain("top"), Mixed("other")

    class Biter(Plain):
        def __del__(self) -> None:
            for node in (top, other):
                if node.children:
                    node.append(node.children[0])
                node.append(Mapped("bitten"))

    thresholds = gc.get_threshold()
    gc.set_threshold(1, 1, 1)
    try:
        for number in range(300):
            biter = Biter(number)
            biter.itself = biter
            del biter
            kind = KINDS[number % 4]
            top.append(kind(number))
            other.extend([kind("one"), *top.children[:2], kind("two")])
            top.extend(other.children[-3:])
            top.insert(0, kind("first"))
            if number % 20 == 0:
                top.clear()
                other.clear()
    finally:
        gc.set_threshold(*thresholds)
    gc.collect()
    check(top)
    check(other)
