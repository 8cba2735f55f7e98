"""TreeNode: what is above, what is below, and changes of both."""

from __future__ import annotations

import weakref

import pytest
from helpers.nodes import FROZEN, KINDS, Data, Hostile, Mixed, Plain, Slotted, SlottedData, bush, chain, check, names, outline

from safemem import TreeNode, cached


def family(kind=Plain):
    """A root with two children, the first of which has two."""
    top, left, right, one, two = map(kind, ["top", "left", "right", "one", "two"])
    top.append(left)
    top.append(right)
    left.append(one)
    left.append(two)
    return top, left, right, one, two


@pytest.mark.parametrize("kind", KINDS)
class TestEveryMakeOfClass:
    """All that holds for plain classes holds for every class."""

    def test_above_and_below(self, kind):
        """Parent, children, root, path, ancestors, depth, height and siblings fit together."""
        top, left, right, one, _two = family(kind)
        assert top.parent is None
        assert left.parent is top
        assert one.parent is left
        assert [*map(id, top.children)] == [id(left), id(right)]
        assert type(top.children) is tuple
        assert one.root is top
        assert top.root is top
        assert names(one.path) == ["top", "left", "one"]
        assert names(one.ancestors()) == ["left", "top"]
        assert [top.depth, left.depth, one.depth] == [0, 1, 2]
        assert [top.height, left.height, one.height] == [2, 1, 0]
        assert names(one.siblings) == ["two"]
        assert top.siblings == ()
        assert names(top.leaves()) == ["one", "two", "right"]
        check(top)

    def test_changes(self, kind):
        """Nodes move by append, insert, extend, remove, detach, clear and by assigning a parent."""
        top, left, right, one, two = family(kind)
        right.append(one)
        assert outline(top) == ("top", ("left", ("two",)), ("right", ("one",)))
        top.insert(0, two)
        assert names(top.children) == ["two", "left", "right"]
        two.detach() if kind in FROZEN else None
        right.append(two) if kind in FROZEN else setattr(two, "parent", right)
        assert names(right.children) == ["one", "two"]
        two.detach() if kind in FROZEN else setattr(two, "parent", None)
        assert two.parent is None
        top.extend([two, left])
        assert names(top.children) == ["right", "two", "left"]
        top.remove(two)
        assert two.detach() is two
        assert left.detach().parent is None
        top.clear()
        assert top.children == ()
        assert right.parent is None
        check(top)

    def test_circles_are_refused(self, kind):
        """A node does not get itself, nor an ancestor, for a child, and nothing has changed then."""
        top, left, _, one, _ = family(kind)
        before = outline(top)
        for node, child in [(top, top), (left, top), (one, top), (one, left), (one, one)]:
            for change in (node.append, lambda child, node=node: node.insert(0, child), lambda child, node=node: node.extend([child])):
                with pytest.raises(ValueError, match="must not be (itself|an ancestor of it)"):
                    change(child)
            if kind not in FROZEN:
                with pytest.raises(ValueError, match="must not be"):
                    child.parent = node
        assert outline(top) == before
        check(top)

    def test_a_child_outlives_its_root(self, kind):
        """It is a root then, and all below it is as it was."""
        top, left, *_ = family(kind)
        gone = weakref.ref(top)
        del top
        assert gone() is None
        assert left.parent is None
        assert left.root is left
        assert outline(left) == ("left", ("one",), ("two",))
        other = kind("other")
        other.append(left)
        assert left.parent is other


def test_a_node_alone():
    """TreeNode itself makes nodes, small ones without attributes, whose truth is not the number of their children."""
    top, child = TreeNode(), TreeNode()
    top.append(child)
    assert child.parent is top
    assert bool(child) is True
    assert not hasattr(child, "__dict__")
    assert not hasattr(child, "__len__")
    assert not hasattr(child, "__iter__")


def test_slots_stay_slots():
    """A class with slots gets no `__dict__` from being a node."""
    node = Slotted("a")
    Slotted("b").append(node)
    with pytest.raises(AttributeError):
        node.typo = 1
    assert not hasattr(SlottedData("a"), "__dict__")
    assert not hasattr(Mixed("a"), "__dict__")


def test_a_class_that_has_slots_and_a_subclass_that_has_none():
    """Each keeps its record where it can, and they go together; also if somebody forgets to tell the base class of a subclass."""

    class Sub(Slotted):
        pass

    class Silent(Slotted):
        def __init_subclass__(cls):
            pass

    class SilentSub(Silent):
        pass

    for kind in (Sub, SilentSub):
        top, child, grandchild = kind("a"), Slotted("b"), kind("c")
        top.append(child)
        child.append(grandchild)
        assert outline(top) == ("a", ("b", ("c",)))
        top.insert(0, grandchild)
        check(top)
        assert outline(top) == ("a", ("c",), ("b",))


def test_who_cannot_be_weakly_referenced():
    """A class that no weak reference can be made to is refused with what to do about it, as a child and as a parent."""

    class Number(TreeNode, int):
        pass

    class Pair(TreeNode, tuple):
        __slots__ = ()

    node = Plain("a")
    for other in (Number(3), Pair()):
        with pytest.raises(TypeError, match=f"a tree node must be .* weakly referenced, got .*{type(other).__name__}"):
            node.append(other)
        with pytest.raises(TypeError, match="a tree node must be"):
            other.append(node)
        assert other.parent is None
        assert other.children == ()
        assert other.root is other
    assert node.parent is None
    assert node.children == ()


@pytest.mark.parametrize("bad", ["x", 5, None, object(), TreeNode, Plain])
def test_who_is_no_node(bad):
    """Only nodes are children and parents; the error names the argument, and nothing has changed."""
    node, child = Plain("a"), Plain("b")
    node.append(child)
    for change in (
        lambda: node.append(bad),
        lambda: node.insert(0, bad),
        lambda: node.extend([Plain("c"), bad]),
        lambda: node.remove(bad),
        lambda: node.index(bad),
    ):
        with pytest.raises(TypeError, match="child must be a TreeNode, got"):
            change()
    if bad is not None:
        with pytest.raises(TypeError, match="parent must be a TreeNode or None, got"):
            child.parent = bad
    assert outline(node) == ("a", ("b",))


def test_bad_places():
    """An index is an int, extend wants each node once, and who is no child is neither removed nor found."""
    node, child, other = Plain("a"), Plain("b"), Plain("c")
    with pytest.raises(TypeError, match="index must be an int, got 'x'"):
        node.insert("x", child)
    with pytest.raises(ValueError, match="only once"):
        node.extend([child, other, child])
    with pytest.raises(ValueError, match="child must be one of"):
        node.remove(child)
    other.append(child)
    with pytest.raises(ValueError, match="child must be one of"):
        node.remove(child)
    with pytest.raises(ValueError, match="child must be one of"):
        node.index(child)
    with pytest.raises(ValueError, match="order must be 'pre', 'post' or 'level', got 'in'"):
        node.walk("in")
    with pytest.raises(AttributeError):
        node.children = (child,)
    assert child.parent is other
    assert node.children == ()


@pytest.mark.parametrize("index", range(-6, 7))
@pytest.mark.parametrize("mover", [None, 0, 1, 2, 3])
def test_insert_is_that_of_a_list(index, mover):
    """A place means what it means to a list of the other children, whether the child comes from elsewhere or was here already."""
    node = Plain("node")
    node.extend(map(Plain, range(4)))
    child = Plain("new") if mover is None else node.children[mover]
    expected = [name for name in range(4) if name != mover]
    expected.insert(index, child.name)
    node.insert(index, child)
    assert names(node.children) == expected
    assert [node.index(each) for each in node.children] == [*range(len(expected))]
    check(node)


def test_append_again_moves_to_the_end():
    """A child that is appended to its own parent comes last; assigning the parent that it has changes nothing."""
    node = Plain("node")
    node.extend(map(Plain, "abc"))
    node.append(node.children[0])
    assert names(node.children) == ["b", "c", "a"]
    node.children[0].parent = node
    assert names(node.children) == ["b", "c", "a"]


def test_extend_is_all_or_nothing():
    """What must not be a child is found before any of them moves."""
    top, left, right, one, _two = family()
    with pytest.raises(ValueError, match="ancestor"):
        one.extend([Plain("new"), right, left])
    with pytest.raises(TypeError, match="child must be a TreeNode"):
        one.extend([right, None])
    assert outline(top) == ("top", ("left", ("one",), ("two",)), ("right",))
    one.extend(right.children)
    one.extend(iter([right]))
    assert one.children == (right,)


def test_nobody_is_compared():
    """Nodes are told apart by identity: their `__eq__`, `__hash__`, `__bool__` and `__repr__` are never called."""
    nodes = [Hostile(number) for number in range(5)]
    top = Hostile("top")
    top.extend(nodes)
    top.insert(1, nodes[3])
    top.remove(nodes[2])
    assert top.index(nodes[3]) == 1
    nodes[4].append(nodes[0])
    with pytest.raises(ValueError, match="Hostile object at"):
        nodes[0].append(top)
    with pytest.raises(ValueError, match="Hostile object at"):
        top.remove(nodes[2])
    assert names(top.walk()) == ["top", 3, 1, 4, 0]
    assert names(nodes[0].siblings) == []
    assert "Hostile" in repr(nodes[0].anchored())


def test_equal_nodes_are_different_children():
    """Dataclasses that compare equal are each found at their own place."""
    top = Data("top")
    twins = [Data("twin") for _ in range(3)]
    top.extend(twins)
    assert twins[0] == twins[1]
    top.remove(twins[1])
    assert [*map(id, top.children)] == [id(twins[0]), id(twins[2])]
    assert top.index(twins[2]) == 1
    assert repr(twins[0]) == "Data(name='twin', others=[])"


class TestWalk:
    """The orders, and what a walk makes of changes."""

    def test_orders(self):
        """Each node before its children, after them, or one level after the other."""
        top = bush(Plain, 13, 3)
        assert names(top.walk()) == [0, 1, 4, 5, 6, 2, 7, 8, 9, 3, 10, 11, 12]
        assert names(top.walk("pre")) == names(top.walk())
        assert names(top.walk("post")) == [4, 5, 6, 1, 7, 8, 9, 2, 10, 11, 12, 3, 0]
        assert names(top.walk(order="level")) == [*range(13)]
        assert names(top.children[0].walk("post")) == [4, 5, 6, 1]

    @pytest.mark.parametrize("order", ["pre", "post", "level"])
    def test_detaching_what_is_met(self, order):
        """A walk that takes every node out of the tree as it meets it does not stumble; after the children, it meets all of them."""
        top = bush(Plain, 40, 3)
        met = []
        for node in top.walk(order):
            met.append(node.name)
            node.detach()
        assert met[-1 if order == "post" else 0] == 0
        assert len(set(met)) == len(met)
        assert len(met) == 40

    @pytest.mark.parametrize("order", ["pre", "level"])
    def test_what_has_gone_is_skipped(self, order):
        """Children taken away, or moved elsewhere, before their turn are not met, with all that is below them."""
        top, _left, right, *_ = family()
        met = []
        for node in top.walk(order):
            met.append(node.name)
            if node.name == "left":
                right.detach()
                node.children[0].detach()
        assert met == ["top", "left", "two"]

    def test_what_comes_below_a_node_when_it_is_met_is_met(self):
        """Children are looked at after their parent was handed out."""
        top = Plain("top")
        walk = top.walk()
        assert next(walk) is top
        top.append(Plain("late"))
        assert names(walk) == ["late"]

    def test_a_walk_that_is_given_up(self):
        """An abandoned walk holds nothing."""
        top = bush(Plain, 40)
        gone = weakref.ref(top)
        walk = top.walk("post")
        next(walk)
        del top
        assert gone() is not None
        del walk
        assert gone() is None


class TestAnchor:
    """What keeps a whole tree for who has a part of it."""

    def test_holds(self):
        """The tree lives for as long as the anchor does."""
        top, left, *_ = family()
        gone = weakref.ref(top)
        anchor = left.anchored()
        del top, _
        assert left.parent is gone()
        assert anchor.node is left
        assert anchor.root is gone()
        del anchor
        assert gone() is None
        assert left.parent is None

    def test_with(self):
        """A block holds it until its end, whatever ends it; the handle says that it has let go."""
        top, left, *_ = family()
        gone = weakref.ref(top)
        with pytest.raises(KeyError), left.anchored() as anchor:
            del top, _
            assert anchor.root is left.parent
            raise KeyError
        assert gone() is None
        for read in (lambda: anchor.node, lambda: anchor.root, anchor.__enter__):
            with pytest.raises(ReferenceError, match="released"):
                read()
        anchor.release()
        assert repr(anchor) == "<Anchor, released>"


def test_a_copied_dict_is_not_a_second_record():
    """A clone made by copying `__dict__`, as people write it, is a node of its own."""
    top, child = Plain("top"), Plain("child")
    top.append(child)
    clone = Plain.__new__(Plain)
    clone.__dict__.update(top.__dict__)
    assert clone.children == ()
    assert clone.parent is None
    clone.append(Plain("other"))
    assert names(top.children) == ["child"]
    assert names(clone.children) == ["other"]
    assert child.parent is top


def test_subclass_with_getattr_that_answers_everything():
    """Attributes made up by `__getattr__` are not taken for a record."""

    class Anything(TreeNode):
        __slots__ = ("_safemem_tree",)

        def __getattr__(self, name):
            return "anything"

    top, child = Anything(), Anything()
    top.append(child)
    assert child.parent is top
    assert top.children == (child,)


def test_caches_on_nodes():
    """A cached method of a node neither keeps the tree nor hinders it."""

    class Node(Plain):
        @cached
        def size(self):
            return sum(1 for _ in self.walk())

    top = chain(Node, 50)
    assert top.size() == 50
    assert top.children[0].size() == 49
    gone = weakref.ref(top.children[0])
    del top
    assert gone() is None
