"""Room behind tree nodes: who has it, who must not, and that no object is ever taken for one that has."""

from __future__ import annotations

import copy
import gc
import sys
import weakref
from pathlib import Path
from typing import Any, ClassVar

import pytest
from helpers.collect import no_cyclic_garbage
from helpers.isolate import assert_clean, run_script
from helpers.nodes import Mapped, Mixed, Plain, Slotted, WithPlace, bush, chain, check, names, outline

from safemem import TreeNode, no_cycles
from safemem.core import _native


def has_record(node: Any) -> bool:
    """Whether what the node knows of its tree lies in a record, because there is no room behind it."""
    holders = gc.get_referents(getattr(node, "__dict__", None), node) + [ref.__callback__ for ref in weakref.getweakrefs(node)]
    return any(type(holder).__name__ == "Kin" for holder in holders)


def in_a_tree(kind: Any) -> Any:
    """A node with a parent and a child."""
    node = kind("node")
    node.parent_kept = kind("parent") if hasattr(node, "__dict__") else None
    (node.parent_kept or kind("parent")).append(node)
    node.append(kind("child"))
    return node


@pytest.mark.parametrize("kind", [Plain, Slotted, WithPlace])
def test_most_nodes_have_room(kind: Any) -> None:
    """Nodes of classes that begin with TreeNode have room behind them, and nothing in their `__dict__`."""
    node = kind("node")
    node.append(kind("child"))
    assert not has_record(node)
    assert "_safemem_tree" not in getattr(node, "__dict__", {})


@pytest.mark.parametrize("kind", [Mixed, Mapped])
def test_the_others_have_a_record(kind: Any) -> None:
    """Nodes of classes with a layout of their own do the same with a record."""
    top = bush(kind, 20, 3)
    assert has_record(top)
    check(top)
    assert names(top.walk()) == names(bush(Plain, 20, 3).walk())


@pytest.mark.parametrize("first", [Plain, Slotted, Mixed, Mapped])
@pytest.mark.parametrize("second", [Plain, Slotted, Mixed, Mapped])
def test_all_kinds_in_one_tree(first: Any, second: Any) -> None:
    """Nodes with room and nodes with a record are parents and children of each other."""
    top, middle, low, other = first("top"), second("middle"), first("low"), second("other")
    top.append(middle)
    middle.append(low)
    low.append(other)
    for node, child in ((low, middle), (other, top), (low, top)):
        with pytest.raises(ValueError, match="ancestor"):
            node.append(child)
    assert names(other.path) == ["top", "middle", "low", "other"]
    top.extend([other, middle])
    assert outline(top) == ("top", ("other",), ("middle", ("low",)))
    middle.extend([low, other])
    gone = weakref.ref(middle)
    top.clear()
    del middle, node, child
    assert gone() is None
    assert low.parent is other.parent is None


class EarlyHook(TreeNode):
    """A class whose hook makes a node of each subclass before the subclass is complete."""

    made: ClassVar[list[Any]] = []

    def __init_subclass__(cls) -> None:
        EarlyHook.made.append(cls())
        super().__init_subclass__()


class EarlyName:
    """An attribute that makes a node of its class when it is named."""

    def __set_name__(self, owner: Any, name: str) -> None:
        EarlyHook.made.append(owner())


def test_nodes_made_before_their_class_was_complete() -> None:
    """A class that has nodes already gets no room: its nodes have records, and all of it works."""
    EarlyHook.made.clear()
    by_hook = type("ByHook", (EarlyHook,), {"__slots__": ("name",)})
    by_name = type("ByName", (TreeNode,), {"attribute": EarlyName()})
    for kind, early in zip((by_hook, by_name), EarlyHook.made, strict=True):
        late = kind()
        assert type(early) is kind
        early.append(late)
        assert late.parent is early
        assert has_record(late)
        assert has_record(early)


def test_hooks_that_make_nothing() -> None:
    """Hooks that make no node take no room away."""

    class Registered(TreeNode):
        known: ClassVar[list[type]] = []

        def __init_subclass__(cls) -> None:
            cls.known.append(cls)
            super().__init_subclass__()

    class Child(Registered):
        pass

    parent, child = Child(), Child()
    parent.append(child)
    assert not has_record(parent)


def test_a_class_that_hides_from_its_base() -> None:
    """A class whose hook does not tell TreeNode of it gets no room, its subclasses may."""

    class Silent(Plain):
        def __init_subclass__(cls) -> None:
            pass

    class Hidden(Silent):
        pass

    node = in_a_tree(Hidden)
    assert has_record(node)
    with pytest.raises(TypeError, match="deallocator differs"):
        node.__class__ = Silent
    with pytest.raises(TypeError, match="deallocator differs"):
        Silent("roomy").__class__ = Hidden


def test_another_class() -> None:
    """A node may become one of another class of nodes with room, and keeps its place; nothing else becomes a node."""

    class Other(Plain):
        pass

    class Stranger:
        pass

    node = in_a_tree(Plain)
    node.__class__ = Other
    assert node.parent is node.parent_kept
    assert names(node.children) == ["child"]
    node.append(Other("more"))
    assert names(node.children) == ["child", "more"]
    for wrong in (Mapped, Stranger, Mixed):
        with pytest.raises(TypeError):
            node.__class__ = wrong
    with pytest.raises(TypeError):
        Stranger().__class__ = Plain


def test_other_bases() -> None:
    """Bases cannot be exchanged for some with which nodes would be made otherwise."""

    class First:
        pass

    class Second(First):
        pass

    node = Second()
    with pytest.raises(TypeError):
        Second.__bases__ = (Plain,)
    assert not isinstance(node, TreeNode)


def test_bases_that_meet_again() -> None:
    """Classes of nodes go together as they would without room."""

    class Named(Plain):
        pass

    class Sized(TreeNode):
        pass

    class Both(Named, Sized):
        pass

    class Apart(Base, Sized):
        pass

    for kind in (Both, Apart):
        node = in_a_tree(kind)
        assert node.parent is node.parent_kept
        assert has_record(node) == (kind is Apart)


class Base:
    """A class without slots."""

    def __init__(self, name: Any = None) -> None:
        self.name = name


def test_every_way_to_make_a_node() -> None:
    """Nodes that no constructor made are nodes: by `object.__new__`, by a copy, by a subclass with slots of its own."""

    class Wide(Slotted):
        __slots__ = tuple(f"slot{number}" for number in range(20))

    for make in (
        lambda: object.__new__(Plain),
        lambda: Plain.__new__(Plain),
        lambda: copy.copy(Plain("original")),
        lambda: object.__new__(Slotted),
        lambda: object.__new__(Wide),
        lambda: copy.deepcopy(Wide("original")),
    ):
        node = make()
        assert node.children == ()
        assert node.parent is None
        for number in range(40):
            node.append(Plain(number))
        node.name = "name"
        if isinstance(node, Wide):
            for number in range(20):
                setattr(node, f"slot{number}", [number])
            assert [getattr(node, f"slot{number}") for number in range(20)] == [[number] for number in range(20)]
        assert names(node.children) == [*range(40)]


def test_attributes_and_room_do_not_meet() -> None:
    """A node with many attributes, set, deleted, and in a `__dict__` that was replaced, has its children where they were."""
    node = in_a_tree(Plain)
    for number in range(50):
        setattr(node, f"attribute{number}", number)
    for number in range(0, 50, 2):
        delattr(node, f"attribute{number}")
    vars(node)["by hand"] = 1
    assert names(node.children) == ["child"]
    parent = node.parent
    node.__dict__ = {"name": "new"}
    assert node.parent is parent
    assert names(node.children) == ["child"]
    assert vars(node) == {"name": "new"}
    node.__dict__.clear()
    assert node.parent is parent


def test_a_record_survives_its_dict() -> None:
    """A node whose record lay in a `__dict__` that is gone still has its children."""
    top, child = Mapped("top"), Mapped("child")
    top.append(child)
    top.__dict__ = {"name": "new"}
    assert top.children == (child,)
    top.append(Mapped("more"))
    assert names(top.children) == ["child", "more"]
    check(top)


class Returning(Plain):
    """A node that comes back when the collector wants to take it."""

    saved: ClassVar[list[Any]] = []

    def __del__(self) -> None:
        Returning.saved.append(self)


def test_back_from_the_collector() -> None:
    """A node that the collector had parted from its children is a node without any, and so are they roots; new ones can come."""
    Returning.saved.clear()
    node, child = Returning("node"), Plain("child")
    node.append(child)
    node.itself = node
    del node
    gc.collect()
    node = Returning.saved.pop()
    if child.parent is None:  # the references to it were cleared before it came back
        assert node.children == ()
        other = Plain("other")
        other.append(child)
        assert names(other.children) == ["child"]
    node.append(child)
    node.append(Plain("more"))
    assert names(node.children) == ["child", "more"]
    check(node)
    del node.itself
    Returning.saved.clear()


def test_circles_through_children_are_found() -> None:
    """The collector sees what a node holds, and the nodes of records where these have a place."""
    for kind in (Plain, Slotted, Mapped):
        top, child = kind("top"), kind("child")
        top.append(child)
        child.name = top
        gone = weakref.ref(child)
        assert child in gc.get_referents(top) or kind is Mapped
        del top, child
        gc.collect()
        assert gone() is None, kind


@pytest.mark.parametrize("kind", [Mixed, Mapped])
def test_deep_chains_of_records(kind: Any) -> None:
    """A chain of nodes that have records is freed without recursion too."""
    with no_cyclic_garbage():
        top = chain(kind, 30_000)
        last = next(top.leaves())
        assert last.depth == 29_999
        gone = weakref.ref(last)
        del top, last
        assert gone() is None


def test_a_class_is_freed_with_its_nodes() -> None:
    """Nodes hold their class as others do, and no longer."""

    class Passing(TreeNode):
        pass

    before = sys.getrefcount(Passing)
    nodes = [Passing() for _ in range(10)]
    nodes[0].extend(nodes[1:])
    del nodes
    assert sys.getrefcount(Passing) == before


@pytest.mark.parametrize("kind", [Plain, Slotted, Mapped])
def test_sizes(kind: Any) -> None:
    """`sys.getsizeof` counts the room and the places of the children, and what a builtin base takes."""
    node = kind("node")
    before = sys.getsizeof(node)
    holder = node if kind is not Mapped else None
    for number in range(100):
        node.append(kind(number))
    holder = holder or next(each for each in gc.get_referents(vars(node)) if type(each).__name__ == "Kin")
    assert 100 * 8 <= sys.getsizeof(holder) - (before if holder is node else 0) < 300 * 8
    if kind is Mapped:
        node.update(dict.fromkeys(range(1000)))
        assert sys.getsizeof(node) > before + 1000 * 8


def test_late() -> None:
    """Finalisers may change trees while the package is taken apart, and at the end of a process."""
    assert_clean(run_script(Path(__file__).parent / "scripts" / "late_trees.py", SAFEMEM_PURE="0"))


def test_the_functions_refuse_what_is_no_node() -> None:
    """Whatever is given to the functions of the core, they raise."""
    node = Plain("node")
    for attempt in (
        lambda: _native.adopt(node, 5),
        lambda: _native.adopt(5, node),
        lambda: _native.adopt(node, Plain("child"), "x"),
        lambda: _native.adopt(node),
        lambda: _native.adopt_all(5, [node]),
        lambda: _native.adopt_all(node, 5),
        lambda: _native.set_parent(node, 5),
        lambda: _native.set_parent(node),
        lambda: _native.leave(),
        lambda: _native.make_room(5),
        lambda: _native.make_room(dict),
        lambda: _native.keep_shell(node),
        lambda: _native.keep_shell(node, 5),
        lambda: _native.TreeCore().append(node),
        lambda: node.append(),
        lambda: node.append(node, node),
        lambda: node.append(other=node),
    ):
        with pytest.raises(TypeError):
            attempt()
    for read in (_native.parent_of, _native.shell_of, _native.leave):
        assert not read(5)
    assert _native.children_of(5) == ()
    assert _native.lineage(5) == [5]
    child = Plain("child")
    node.append(child=child)
    assert child.parent is node


def test_circles_are_named() -> None:
    """What a node holds for children is told by their place, also where the collector has parted them already."""

    def work() -> None:
        top = Plain("top")
        top.extend([Plain("first"), Plain("second")])
        top.children[1].document = top

    with pytest.raises(AssertionError, match=r"Plain\.children\[1\] -> Plain\.document -> the same Plain"), no_cycles():
        work()
