"""Disposable: copies own nothing of the original, in trees too."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from helpers.collect import no_cyclic_garbage
from helpers.disposables import Plain, Resource, Slotted

from safemem import Disposable, TreeNode


class Copied(Plain):
    pass


class CopiedSlots(Slotted):
    __slots__ = ()


class CopiedNode(TreeNode, Disposable):
    def __init__(self, log):
        self.log = log

    def _dispose(self):
        self.log.append("dispose")


class CopiedNodeToo(Disposable, TreeNode):
    __init__ = CopiedNode.__init__
    _dispose = CopiedNode._dispose


class CopiedSlotsNode(Slotted, TreeNode):
    __slots__ = ()


@pytest.mark.parametrize("kind", [Copied, CopiedSlots, CopiedNode, CopiedNodeToo, CopiedSlotsNode])
@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda obj: pickle.loads(pickle.dumps(obj))])
def test_copies(kind, duplicate):
    """A copy owns nothing, may be closed, and being dropped open it neither warns nor closes what belongs to the original."""
    log: list[Any] = []
    thing = kind(log)
    closed = []
    thing.own(Resource(closed, 1)) if duplicate is copy.copy else None
    made = duplicate(thing)
    assert type(made) is kind
    assert not made.closed
    del made
    assert (log, closed) == ([], [])
    made = duplicate(thing)
    made.close()
    assert made.closed
    assert not thing.closed
    assert closed == []
    assert made.log == ["dispose"]
    thing.close()
    assert duplicate(thing).closed is False


@pytest.mark.parametrize("kind", [CopiedNode, CopiedNodeToo, CopiedSlotsNode])
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda obj: pickle.loads(pickle.dumps(obj))])
def test_copies_of_trees(kind, duplicate):
    """Copies are not missed if nobody closes them, in whatever order the classes are inherited and wherever in the tree the node is."""
    top, child = kind([]), kind([])
    top.append(child)
    made = duplicate(top)
    logs = [node.log for node in made.walk()]
    assert len(logs) == 2
    del made
    assert logs == [[], []]
    top.close()
    child.close()


def test_a_tree_of_disposables():
    """Each node is closed for itself; the tree goes at once."""
    log: list[Any] = []
    with no_cyclic_garbage():
        top, child = CopiedNode(log), CopiedNode(log)
        top.append(child)
        made = copy.deepcopy(top)
        assert len([*made.walk()]) == 2
        for node in (top, child):
            node.close()
        del top, child, made, node
