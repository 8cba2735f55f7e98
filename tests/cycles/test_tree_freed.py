"""Trees of any size and depth are freed by reference count alone, whatever hangs on their nodes."""

from __future__ import annotations

import weakref

import pytest
from helpers.collect import freed_by_count, no_cyclic_garbage
from helpers.nodes import FROZEN, KINDS, Closing, Plain, Slotted, WithPlace, bush, chain, names

from safemem import Disposable, Signal, TreeNode, cached, cached_property, finalize, weak_callback
from safemem.core._kin import homeless

MANY = 100_000


@pytest.mark.parametrize("grow", [chain, bush])
@pytest.mark.parametrize("kind", [Plain, Slotted])
def test_a_hundred_thousand_nodes(kind, grow):
    """All of them are gone when the root goes, with the collector off, as a chain too."""
    with no_cyclic_garbage(), freed_by_count() as watched:
        top = grow(kind, MANY)
        watched.extend(weakref.ref(node) for node in top.walk("level"))
        assert len(watched) == MANY
        del top
    assert not homeless


class Busy(Plain):
    """A node with a signal, a cache, a cached property, something to dispose of, a listener and a finaliser."""

    renamed = Signal()

    def __init__(self, name=None):
        super().__init__(name)
        self.listeners = []
        self.part = Disposable()
        self.part.own(lambda: None)

    @cached
    def twice(self):
        return [self.name, self.name]

    @cached_property
    def label(self):
        return f"node {self.name}"

    def heard(self):
        return self.name


@pytest.mark.parametrize("grow", [chain, bush])
def test_busy_nodes(grow):
    """Signals that nodes hear of each other, caches, cached properties, disposables, weak callbacks, and finalisers hold nothing back."""
    ended = []
    with no_cyclic_garbage(), freed_by_count() as watched:
        top = grow(Busy, MANY)
        for node in top.walk():
            node.twice()
            node.label
            node.part.close()
            if node.parent is not None:
                node.parent.renamed.connect(node.heard)
                node.renamed.connect(node.parent.heard)
                node.parent.listeners.append(weak_callback(node.heard))
                node.listeners.append(weak_callback(node.parent.heard))
            finalize(node, ended.append, node.name)
            watched.append(weakref.ref(node))
        assert [call() for call in top.listeners] == names(top.children)
        assert [name for _, name in top.renamed.send()] == names(top.children)
        del top, node
    assert len(ended) == MANY


def test_nodes_that_are_disposable():
    """A deep tree of nodes that are to be closed goes too, closed or not."""
    with no_cyclic_garbage(), freed_by_count() as watched:
        top = chain(Closing, 5_000)
        for node in top.walk("post"):
            node.own(lambda: None)
            watched.append(weakref.ref(node))
            node.close()
        del top, node


@pytest.mark.parametrize("kind", KINDS)
def test_every_operation(kind):
    """No operation, be it refused, leaves anything to the collector."""

    def everything():
        top, one, two = kind(0), kind(1), kind(2)
        top.extend([one, two])
        one.append(two)
        for refused in (lambda: two.append(top), lambda: top.append(5), lambda: top.remove(two), lambda: top.insert("x", one)):
            try:
                refused()
            except (TypeError, ValueError):
                pass
        top.insert(0, two)
        two.detach()
        one.append(two) if kind in FROZEN else setattr(two, "parent", one)
        for order in ("pre", "post", "level"):
            next(top.walk(order))
            assert len([*top.walk(order)]) == 3
        assert top.height == two.depth == 2
        assert [*two.ancestors()][-1] is two.root
        with two.anchored():
            pass
        one.clear()
        top.clear()
        [node.close() for node in (top, one, two) if hasattr(node, "close")]

    everything()
    with no_cyclic_garbage(kind.__name__):
        everything()
    assert not homeless


def test_a_circle_of_the_users_own_is_found():
    """Nodes that refer to the root by an attribute are left to the collector, which finds them where the record has a place."""
    import gc

    class Document(Plain):
        pass

    class Small(TreeNode):
        __slots__ = ("_safemem_tree", "root_too")

    for kind in (Document, Small):
        top, child = kind(), kind()
        top.append(child)
        child.root_too = top
        gone = weakref.ref(child)
        del top, child
        gc.collect()
        assert gone() is None


class Clinging(Plain):
    """A node whose finaliser changes the tree that it is in."""

    def __init__(self, name, other):
        super().__init__(name)
        self.other = other

    def __del__(self):
        for child in self.children:
            self.other.append(child)


def test_finalisers_that_bite():
    """A dying node may still save its children into another tree."""
    heir = Plain("heir")
    with no_cyclic_garbage():
        top = Clinging("top", heir)
        top.extend(map(Plain, "abc"))
        del top
    assert names(heir.children) == ["a", "b", "c"]
    assert [child.parent for child in heir.children] == [heir] * 3


def test_resurrection():
    """A node that comes back from its own finaliser is still the parent of its children."""
    saved = []

    class Phoenix(Plain):
        def __del__(self):
            saved.append(self)

    top, child = Phoenix("top"), Plain("child")
    top.append(child)
    del top
    assert saved[0].children == (child,)
    assert child.parent is saved[0]


@pytest.mark.parametrize("kind", [Plain, Slotted, WithPlace])
def test_nothing_stays_of_nodes_that_pass(kind):
    """Nodes that come and go below one that stays leave nothing at it."""
    top = kind("top")
    for number in range(1000):
        child = kind(number)
        top.append(child)
        gone = weakref.ref(child)
        child.detach()
        del child
        assert gone() is None
    assert top.children == ()
    assert len(homeless) <= 1
