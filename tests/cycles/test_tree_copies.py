"""Copies and pickles of trees keep the shape, however deep it is, and take nothing from above along."""

from __future__ import annotations

import copy
import pickle
import weakref

import pytest
from helpers.collect import no_cyclic_garbage
from helpers.nodes import KINDS, Data, Plain, Slotted, bush, chain, check, names, outline

from safemem import TreeNode

# How a tree is copied with all below it; pure Python and C, old protocols and new.
WAYS = {
    "deepcopy": copy.deepcopy,
    **{
        f"protocol {number}": lambda obj, number=number: pickle.loads(pickle.dumps(obj, number))
        for number in range(pickle.HIGHEST_PROTOCOL + 1)
    },
    "Python": lambda obj: pickle._loads(pickle._dumps(obj)),
}

every_way = pytest.mark.parametrize("duplicate", WAYS.values(), ids=WAYS)


@every_way
@pytest.mark.parametrize("kind", KINDS)
def test_the_shape_is_kept(kind, duplicate):
    """A copy has the same classes, names and places, and shares no node with the original, which is as it was."""
    top = bush(kind, 20, 3)
    before = outline(top)
    made = duplicate(top)
    assert type(made) is kind
    assert outline(made) == outline(top) == before
    assert not {*map(id, made.walk())} & {*map(id, top.walk())}
    check(made)
    check(top)
    made.append(kind("more"))
    assert outline(top) == before


@every_way
def test_a_part(duplicate):
    """A copy of a node in the middle is a root, with all below it; nothing of what is above is copied."""
    top = bush(Plain, 20, 3)
    top.secret = object()
    node = top.children[1]
    made = duplicate(node)
    assert made.parent is None
    assert outline(made) == outline(node)
    leaf = duplicate(next(top.leaves()))
    assert leaf.parent is None
    assert leaf.children == ()


@pytest.mark.parametrize("kind", KINDS)
def test_a_shallow_copy_is_in_no_tree(kind):
    """`copy.copy` gives a node with the same attributes, without parent and children; the original keeps its own."""
    top = bush(kind, 5, 2)
    node = top.children[0]
    made = copy.copy(node)
    assert type(made) is kind
    assert made.name == node.name
    assert made.parent is None
    assert made.children == ()
    made.append(kind("own"))
    assert names(node.children) == [3, 4]
    check(top)


def test_a_shallow_copy_shares_attributes():
    """As copies do; a deep one does not."""
    node = Data("a", ["list"])
    assert copy.copy(node).others is node.others
    assert copy.deepcopy(node).others == node.others
    assert copy.deepcopy(node).others is not node.others


@pytest.mark.parametrize("kind", [Plain, Slotted])
@pytest.mark.parametrize("way", ["deepcopy", "protocol 5"])
def test_no_recursion(kind, way):
    """A chain of 20,000 nodes is copied and pickled, whole."""
    top = chain(kind, 20_000)
    made = WAYS[way](top)
    assert made.height == 19_999
    assert names(made.walk()) == [*range(20_000)]


@every_way
def test_the_same_node_again(duplicate):
    """Nodes that are met as items of a list and as attributes too are the same in the copy, whichever comes first."""
    top = bush(Plain, 12, 3)
    node = top.children[0].children[1]
    for first, second in ((node, top), (top, node)):
        made = duplicate([first, second])
        inner, outer = made if first is node else made[::-1]
        assert outer.children[0].children[1] is inner
        assert outline(outer) == outline(top)
        check(outer)
    made = duplicate([node, node.parent, top])
    assert made[0].parent is made[1]
    assert made[1].parent is made[2]


@every_way
def test_nodes_that_refer_to_each_other(duplicate):
    """Attributes that lead to other nodes of the tree, up, down, across or to itself, lead to the copies."""
    top = bush(Plain, 13, 3)
    for node in top.walk():
        node.itself = node
        node.top = top
        node.next = None if node.parent is None else node.siblings[-1] if node.siblings else None
        node.first = next(iter(node.children), None)
    made = duplicate(top)
    assert outline(made) == outline(top)
    check(made)
    mine = {node.name: node for node in made.walk()}
    for node in top.walk():
        other = mine[node.name]
        assert other.itself is other
        assert other.top is made
        assert (other.next is None) if node.next is None else (other.next is mine[node.next.name])
        assert (other.first is None) if node.first is None else (other.first is mine[node.first.name])


@every_way
def test_many_that_refer_to_the_root(duplicate):
    """That each node knows the root does not make it recursive."""
    top = bush(Plain, 3000, 3)
    for node in top.walk():
        node.document = top
    made = duplicate(top)
    assert all(node.document is made for node in made.walk())
    assert made.height == top.height
    check(made)


class Named(TreeNode):
    """A node that says itself how it is made anew, and makes its own first child."""

    def __init__(self, name):
        self.name = name
        self.append(Plain("made by itself"))

    def __reduce__(self):
        return Named, (self.name,)


class Stated(TreeNode):
    """A node with its own idea of what is to be kept."""

    def __init__(self, name):
        self.name = name
        self.handle = object()

    def __getstate__(self):
        state = self.__dict__.copy()
        del state["handle"]
        return state

    def __setstate__(self, state):
        self.__dict__.update(state)
        self.handle = "made anew"


class Wanting(TreeNode):
    """A node that is not made without arguments."""

    def __new__(cls, name, *, more):
        self = super().__new__(cls)
        self.name = name
        self.more = more
        return self

    def __getnewargs_ex__(self):
        return (self.name,), {"more": self.more}


class WantingOne(TreeNode):
    """A node that is not made without an argument."""

    def __new__(cls, name):
        self = super().__new__(cls)
        self.name = name
        return self

    def __getnewargs__(self):
        return (self.name,)


class Listed(TreeNode, list):
    """A node that is a list besides."""

    def __init__(self, name, items=()):
        super().__init__(items)
        self.name = name

    append = TreeNode.append
    extend = TreeNode.extend


@every_way
def test_own_ways_to_be_copied(duplicate):
    """`__reduce__`, `__getstate__`, `__setstate__` and `__getnewargs__` of a class are used, and the tree is that of the original."""
    top = Named("top")
    top.clear()
    stated, wanting, one = Stated("stated"), Wanting("wanting", more=7), WantingOne("one")
    top.extend([stated, one])
    stated.append(wanting)
    made = duplicate(top)
    assert outline(made) == ("top", ("stated", ("wanting",)), ("one",))
    assert made.children[0].handle == "made anew"
    assert made.children[0].children[0].more == 7
    assert duplicate(wanting).more == 7
    check(made)
    if duplicate is copy.deepcopy:
        shallow = copy.copy(stated)
        assert shallow.handle == "made anew"
        assert shallow.children == ()


class MappedData(Data, dict):
    """A node that is a mapping besides."""

    __hash__ = object.__hash__


@every_way
def test_items_of_a_mapping(duplicate):
    """What a class inherits from a builtin container is copied as that is."""
    top = MappedData("top")
    top["key"] = child = MappedData("child")
    TreeNode.append(top, child)
    made = duplicate(top)
    assert made["key"] is made.children[0]
    assert outline(made) == ("top", ("child",))


def test_a_pickle_that_fails_does_no_harm():
    """After an error in the middle, other pickles of the same nodes are whole."""
    top = bush(Plain, 20, 3)
    bad = top.children[1]
    bad.lock = lambda: None
    with pytest.raises((AttributeError, pickle.PicklingError)) as failed:
        pickle._dumps(top)
    assert failed.value.__traceback__ is not None
    part = pickle.loads(pickle.dumps(top.children[0]))
    assert outline(part) == outline(top.children[0])
    del bad.lock
    assert outline(pickle.loads(pickle.dumps(top))) == outline(top)


def test_two_at_once():
    """One pickle is written while another one of the same tree is: neither disturbs the other."""
    top = bush(Plain, 13, 3)

    class Nosy:
        def __reduce__(self):
            seen.append(outline(pickle.loads(pickle.dumps(top.children[1]))))
            return int, ()

    seen = []
    top.children[0].nosy = Nosy()
    assert outline(pickle.loads(pickle.dumps(top))) == outline(top)
    assert seen == [outline(top.children[1])]


@every_way
def test_copies_leave_nothing_behind(duplicate):
    """No copy holds its original, and neither copies nor pickles are cyclic garbage."""

    def work():
        top = bush(Plain, 20, 3)
        made = duplicate(top)
        gone = weakref.ref(top)
        del top
        assert gone() is None
        assert made.height == 3

    work()
    with no_cyclic_garbage():
        work()
