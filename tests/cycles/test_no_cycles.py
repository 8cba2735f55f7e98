"""no_cycles: what is found and named, and what is let pass."""

from __future__ import annotations

import collections
import enum
import functools
import gc
import inspect
import tracemalloc
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypedDict, TypeVar

import attrs
import pytest
from helpers.rings import Node, Small, one, slot

from safemem import no_cycles

pytestmark = pytest.mark.usefixtures("collector")


def containers():
    node = Node()
    node.items = [{"key": (node,)}]


def tree():
    top = Node()
    top.children = []
    for _ in range(100):
        child = Node()
        child.parent = top
        top.children.append(child)


def bound_method():
    node = Node()
    node.start = functools.partial(print, node)


def closure():
    node = Node()
    node.callback = lambda: node


def stored_exception():
    node = Node()
    try:
        raise KeyError("message")
    except KeyError as error:
        node.error = error


def recursive_function():
    def countdown(number):
        return countdown(number - 1) if number else 0

    countdown(2)


def mapping_of_objects():
    node = Node()
    node.table = {Node(): node}


def in_a_deque():
    node = Node()
    node.queue = collections.deque([node])


def in_a_set():
    node = Node()
    node.others = {node}


CASES = {
    slot: "Small.me -> the same Small",
    containers: "Node.items -> list[0] -> dict['key'] -> tuple[0] -> the same Node",
    tree: "Node.children -> list[0] -> Node.parent -> the same Node",
    bound_method: "Node.start -> partial.args -> tuple[0] -> the same Node",
    closure: "Node.callback -> function closure over 'node' -> cell content -> the same Node",
    stored_exception: "Node.error -> KeyError.__traceback__ -> traceback.tb_frame -> frame local 'node' -> the same Node",
    recursive_function: "function closure over 'countdown' -> ",
    mapping_of_objects: "Node.table -> dict[<Node>] -> the same Node",
    in_a_deque: "Node.queue -> deque[0] -> the same Node",
    in_a_set: "Node.others -> set member -> the same Node",
}


@pytest.mark.parametrize("make", CASES)
def test_each_edge_is_named(make):
    """The message says by which attribute, key, place or variable each step goes."""
    with pytest.raises(AssertionError, match="the block left 1 reference cycle") as caught, no_cycles():
        make()
    said = str(caught.value)
    if make is tree:  # which of a hundred children comes first is the collector's choice
        said = said.replace("Node.parent -> Node.children -> list", "Node.children -> list[0] -> Node.parent -> the same Node")
    assert CASES[make] in said


def test_counts():
    """How many cycles and objects there are, of which types, and how often the same one came."""

    def many():
        for _ in range(50):
            slot()
        tree()

    with pytest.raises(AssertionError) as caught, no_cycles():
        many()
    first, *lines = str(caught.value).splitlines()
    assert first == "the block left 51 reference cycles (152 objects: 101 Node, 50 Small, 1 list):"
    assert lines[0] == "  Small.me -> the same Small (50 times)"
    assert lines[1].startswith(("  Node.children -> list[", "  Node.parent -> Node.children"))


def test_limit():
    """No more than so many are described; the others are counted."""

    def many():
        node = Node()
        for number in range(8):
            setattr(node, f"me{number}", node)

    with pytest.raises(AssertionError) as caught, no_cycles(limit=3):
        many()
    assert len(str(caught.value).splitlines()) <= 5
    with pytest.raises(AssertionError) as caught, no_cycles(limit=10):
        many()
    assert [f"me{number}" in str(caught.value) for number in range(8)] == [True] * 8


def test_the_line_that_made_it():
    """If `tracemalloc` is on, it is told."""
    line = inspect.getsourcelines(slot)[1] + 1  # before 3.12 tracemalloc does not know instances with a __dict__
    tracemalloc.start()
    try:
        with pytest.raises(AssertionError, match=f"Small.me -> the same Small, made at .*rings.py:{line}"), no_cycles():
            slot()
    finally:
        tracemalloc.stop()
    with pytest.raises(AssertionError) as caught, no_cycles():
        one()
    assert "made at" not in str(caught.value)


def test_a_deep_circle():
    """One of 50,000 objects is found without recursion."""

    def ring():
        first = last = Node()
        for _ in range(50_000):
            last.next = Node()
            last = last.next
        last.next = first

    with pytest.raises(AssertionError, match=r"1 reference cycle \(50001 objects: 50001 Node\)"), no_cycles():
        ring()


def test_collected_meanwhile():
    """A collection in the block, or the collector being switched on by it, hides nothing."""
    with pytest.raises(AssertionError, match="Node.me"), no_cycles():
        one()
        gc.collect()
    with pytest.raises(AssertionError, match="Node.me"), no_cycles():
        gc.enable()
        gc.set_threshold(1, 1, 1)
        one()
        [[] for _ in range(1000)]


def test_no_cycle():
    """Objects that are freed, or still in use, are nobody's fault."""
    node = Node()
    with no_cycles():
        node.me = node
        [Node() for _ in range(10)]
    del node.me


def test_what_was_there_before():
    """Garbage from before the block is not blamed on it."""
    one()
    with no_cycles():
        pass


def test_classes():
    """Every class is a circle, and so are those that are made with it; instances in circles of their own are not let pass for that."""
    T = TypeVar("T")

    def work():
        class Plain:
            def method(self):
                return super().__repr__()

            value = property(lambda self: self)

        class Meta(type):
            pass

        class Made(metaclass=Meta):
            made = Plain()

        @dataclass
        class Data:
            number: int = 0

        @dataclass(slots=True, frozen=True)
        class Slotted:
            number: int = 0

        class Pair(NamedTuple):
            first: int
            second: int

        class Color(enum.Enum):
            RED = 1

        class Flags(enum.IntFlag):
            ONE = 1
            TWO = 2

        class Abstract(ABC):
            @abstractmethod
            def method(self): ...

        class Concrete(Abstract):
            def method(self):
                return 1

        class Boxed(Generic[T]):
            pass

        class Shape(Protocol):
            number: int

        class Record(TypedDict):
            number: int

        collections.namedtuple("Point", "x y")(1, 2)  # noqa: PYI024
        Plain().method()
        assert isinstance(Concrete(), Abstract)
        return [Made(), Data(), Slotted(), Pair(1, 2), Color.RED, Flags.ONE, Boxed[int](), Shape, Record]

    with no_cycles():
        work()

    def with_instance():
        class Local:
            pass

        local = Local()
        local.me = local

    with pytest.raises(AssertionError, match="Local.me -> the same Local"), no_cycles():
        with_instance()


def test_attrs_classes():
    """Classes made by attrs are let pass too."""

    def work():
        @attrs.define
        class Data:
            number: int = 0

        @attrs.frozen(slots=False)
        class Other:
            number: int = attrs.field(default=0, validator=attrs.validators.instance_of(int))

        return Data(), Other()

    work()
    with no_cycles():
        work()


def test_ignore():
    """A cycle with an instance of an ignored class, or of one derived from it, is let pass; others are not."""

    class Derived(Node):
        pass

    def derived():
        node = Derived()
        node.items = [node]

    with no_cycles(ignore=Node):
        derived()
    with no_cycles(ignore=(Small, Derived)):
        derived()
        slot()
    with pytest.raises(AssertionError, match="1 reference cycle "), no_cycles(ignore=(Derived,)):
        derived()
        slot()


@pytest.mark.parametrize("options", [{"ignore": "Node"}, {"ignore": [Node]}, {"ignore": (Node, 1)}])
def test_bad_ignore(options):
    """Classes only."""
    with pytest.raises(TypeError, match="ignore must be a class or a tuple of classes, got"):
        no_cycles(**options)


@pytest.mark.parametrize("limit", [0, -1, 1.5, None, True])
def test_bad_limit(limit):
    """A number of lines."""
    with pytest.raises(ValueError, match="limit must be an int >= 1, got"):
        no_cycles(limit=limit)
