"""no_cycles: what it finds, how it names it, what it lets pass, and that the collector is as it was."""

from __future__ import annotations

import asyncio
import collections
import enum
import functools
import gc
import inspect
import subprocess
import sys
import tracemalloc
import weakref
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NamedTuple, Protocol, TypedDict, TypeVar

import attrs
import pytest
from helpers.aio import in_loop
from helpers.collect import no_cyclic_garbage
from helpers.recorder import unraisable
from helpers.threads import run_threads

import safemem
from safemem import no_cycles


class Node:
    """Anything."""


class Small:
    __slots__ = ("me",)


def one():
    node = Node()
    node.me = node


@pytest.fixture(autouse=True)
def collector():
    """After each test the collector is as it was before. What was there before is kept from it: it runs often here."""
    gc.collect()
    gc.freeze()

    def state():
        return gc.isenabled(), gc.get_debug(), gc.get_threshold(), [*map(id, gc.garbage)]

    before = state()
    yield
    gc.unfreeze()
    assert state() == before


# -- what is found ---------------------------------------------------------------------------------------------------------------------------


def slot():
    small = Small()
    small.me = small


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
        with pytest.raises(AssertionError, match=f"Small.me -> the same Small, made at .*test_no_cycles.py:{line}"), no_cycles():
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


# -- what is let pass ------------------------------------------------------------------------------------------------------------------------


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


# -- manners -------------------------------------------------------------------------------------------------------------------------------


def test_the_exception_of_the_block():
    """It is not hidden, whatever the block has left."""
    with pytest.raises(LookupError), no_cycles():
        one()
        raise LookupError


def test_nested():
    """An inner block tells of its own, an outer one of the rest, and of nothing twice."""
    with no_cycles():
        with pytest.raises(AssertionError, match="Node.me"), no_cycles():
            one()
    with pytest.raises(AssertionError, match=r"\(1 object: 1 Small\)"), no_cycles():
        slot()
        with no_cycles():
            pass
        with pytest.raises(AssertionError, match=r"\(1 object: 1 Node\)"), no_cycles():
            one()
    with pytest.raises(AssertionError, match=r"\(1 object: 1 Small\)"), no_cycles():
        with pytest.raises(AssertionError), no_cycles():
            one()
        slot()
        gc.collect()
    guard = no_cycles()
    with pytest.raises(AssertionError, match="Small"), guard:
        slot()
        with guard:
            pass


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("work", [one, Node, lambda: 1 // 0])
def test_the_collector_is_as_it_was(enabled, work):
    """Switched on or off, with its thresholds, flags and saved garbage, whatever happens in the block."""
    mine = [Node()]
    gc.garbage.append(mine)
    thresholds = gc.get_threshold()
    if not enabled:
        gc.disable()
    try:
        gc.set_threshold(701, 11, 12)
        try:
            with no_cycles():
                gc.set_threshold(5)
                gc.enable()
                gc.set_debug(0)
                work()
        except (AssertionError, ZeroDivisionError):
            pass
        assert gc.isenabled() is enabled
        assert gc.get_threshold()[0] == 701
        assert gc.get_debug() == 0
        assert gc.garbage == [mine]
    finally:
        gc.garbage.remove(mine)
        gc.set_threshold(*thresholds)
        gc.enable()


def test_what_was_found_is_freed():
    """Neither the error nor the collector keeps it."""
    gone = []

    def watched():
        node = Node()
        node.me = node
        gone.append(weakref.ref(node))

    with pytest.raises(AssertionError) as caught, no_cycles():
        watched()
    assert gone[0]() is None
    assert caught.value.__traceback__ is not None


def test_threads():
    """Blocks that overlap in several threads leave the collector as it was."""

    def work(number):
        for _ in range(5):
            with no_cycles():
                [Node() for _ in range(10)]

    run_threads(3, work)


def test_no_code_of_the_objects_is_run():
    """Neither of them nor of their classes, whatever they have overridden."""

    class Hostile:
        """Whatever one does to it, it fails."""

        def _fail(self, *_: object) -> Any:
            raise AssertionError("user code ran")

        __eq__ = __hash__ = __bool__ = __len__ = __iter__ = __repr__ = __str__ = __getattr__ = __getattribute__ = _fail
        __class__ = property(_fail)  # type: ignore[assignment]
        __dict__ = property(_fail)  # type: ignore[assignment]

    class HostileType(type):
        def _fail(cls, *_: object) -> Any:
            raise AssertionError("user code ran")

        __instancecheck__ = __subclasscheck__ = __eq__ = __hash__ = __repr__ = __getattribute__ = __len__ = _fail
        __name__ = __mro__ = property(_fail)  # type: ignore[assignment]

    class HostileClass(metaclass=HostileType):
        __slots__ = ("me",)

    def work():
        hostile = Hostile()
        object.__setattr__(hostile, "me", [hostile])
        other = HostileClass()
        object.__setattr__(other, "me", {1: other})

    with unraisable() as told, pytest.raises(AssertionError) as caught, no_cycles(ignore=Small):
        work()
    assert "reference cycles (4 objects" in str(caught.value)
    assert "HostileClass.me -> dict[1] -> the same HostileClass" in str(caught.value)
    assert told == []


# -- as a decorator ------------------------------------------------------------------------------------------------------------------------


def test_decorator():
    """With and without parentheses; each call is watched; name, signature and result are those of the function."""

    @no_cycles
    def good(number: int, *, twice: bool = False) -> int:
        """Say it."""
        return number * (1 + twice)

    @no_cycles(ignore=Small)
    def bad(kind):
        kind()

    assert good(2, twice=True) == 4
    assert (good.__name__, good.__doc__) == ("good", "Say it.")
    assert "twice" in inspect.signature(good).parameters
    bad(slot)
    for _ in range(2):
        with pytest.raises(AssertionError, match="Node.me"):
            bad(one)
    with pytest.raises(ZeroDivisionError):
        bad(lambda: 1 // 0)


def test_decorator_on_recursion():
    """A function may call itself."""

    @no_cycles
    def down(number):
        return down(number - 1) if number else one()

    with pytest.raises(AssertionError, match="1 object: 1 Node"):
        down(3)


@in_loop
async def test_coroutine_functions():
    """What the coroutine does is watched, up to its end."""

    @no_cycles
    async def good():
        await asyncio.sleep(0)
        return 5

    @no_cycles()
    async def bad():
        await asyncio.sleep(0)
        one()

    assert inspect.iscoroutinefunction(good)
    assert await good() == 5
    with pytest.raises(AssertionError, match="Node.me"):
        await bad()


def test_bad_functions():
    """Generator functions run after the call, so they are refused; so is what is no function."""

    def generate():
        yield 1

    async def agenerate():
        yield 1

    for func in (generate, agenerate):
        with pytest.raises(TypeError, match="is a generator function"):
            no_cycles(func)
    with pytest.raises(TypeError, match="func must be callable, got 5"):
        no_cycles(5)


def test_it_makes_none_itself():
    """Neither success nor failure of the guard leaves anything to the collector."""

    def work():
        try:
            with no_cycles():
                slot()
        except AssertionError:
            pass
        with no_cycles():
            pass

    work()
    with no_cyclic_garbage():
        work()


# -- in pytest -----------------------------------------------------------------------------------------------------------------------------

TESTS = """
import pytest

class Node:
    pass

def test_bad(no_cycles):
    node = Node()
    node.me = node

@pytest.mark.parametrize("number", [1, 2])
def test_good(no_cycles, number, tmp_path):
    node = Node()
    with no_cycles():
        assert number

def test_fails_otherwise(no_cycles):
    node = Node()
    node.me = node
    assert 0, "the real reason"

def test_not_asked():
    node = Node()
    node.me = node

class TestMethods:
    def test_raises(self, no_cycles):
        with pytest.raises(ValueError):
            int("x")
"""


def test_fixture(tmp_path):
    """A test that asks for the fixture fails for the cycles of its own code, with the message, and for no others."""
    (tmp_path / "test_it.py").write_text(TESTS, encoding="utf-8")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "safemem.pytest_plugin",
            "-p",
            "no:cacheprovider",
            "--rootdir",
            str(tmp_path),
            str(tmp_path),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(safemem.__file__).parent.parent), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PATH": ""},
    )
    assert "2 failed, 4 passed" in done.stdout, done.stdout + done.stderr
    assert "Node.me -> the same Node" in done.stdout
    assert "the real reason" in done.stdout
    assert "test_bad" in done.stdout
