"""Nodes of every make, and trees of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from safemem import Disposable, TreeNode

T = TypeVar("T")


class Plain(TreeNode):
    def __init__(self, name: Any = None) -> None:
        self.name = name


class Slotted(TreeNode):
    __slots__ = ("name",)

    def __init__(self, name: Any = None) -> None:
        self.name = name


class WithPlace(TreeNode):
    __slots__ = ("_safemem_tree", "name")

    def __init__(self, name: Any = None) -> None:
        self.name = name


class Base:
    __slots__ = ("name",)


class Mixed(Base, TreeNode):
    __slots__ = ("__weakref__", "more")

    def __init__(self, name: Any = None) -> None:
        self.name = name


class MixedFirst(TreeNode, Base):
    __slots__ = ()

    def __init__(self, name: Any = None) -> None:
        self.name = name


@dataclass
class Data(TreeNode):
    name: Any = None
    others: list[Any] = field(default_factory=list)


@dataclass(slots=True)
class SlottedData(TreeNode):
    name: Any = None


@dataclass(slots=True, weakref_slot=True, frozen=True)
class FrozenData(TreeNode):
    name: Any = None


class Abstract(TreeNode, ABC):
    @abstractmethod
    def kind(self) -> str: ...


class Concrete(Abstract):
    def __init__(self, name: Any = None) -> None:
        self.name = name

    def kind(self) -> str:
        return "concrete"


class Box(TreeNode, Generic[T]):
    def __init__(self, name: T | None = None) -> None:
        self.name = name


class Mapped(TreeNode, dict):  # type: ignore[type-arg]
    def __init__(self, name: Any = None) -> None:
        super().__init__()
        self.name = name


class Hostile(TreeNode):
    """Whoever compares or hashes it, or asks whether it is true, fails."""

    def __init__(self, name: Any = None) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        raise AssertionError("compared")

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        raise AssertionError("asked for its truth")

    def __repr__(self) -> str:
        raise AssertionError("asked for its repr")


class Guarded(TreeNode):
    """It lets nobody set an attribute the usual way."""

    def __init__(self, name: Any = None) -> None:
        object.__setattr__(self, "name", name)

    def __setattr__(self, name: str, value: object) -> None:
        raise AssertionError(f"{name} was set")


class Closing(TreeNode, Disposable):
    def __init__(self, name: Any = None) -> None:
        self.name = name


KINDS = [Plain, Slotted, WithPlace, Mixed, MixedFirst, Data, SlottedData, FrozenData, Concrete, Box, Mapped, Hostile, Guarded]

try:
    import attrs
except ImportError:
    pass
else:

    @attrs.define
    class Attrs(TreeNode):
        name: Any = None

    @attrs.frozen(slots=False)
    class FrozenAttrs(TreeNode):
        name: Any = None

    KINDS += [Attrs, FrozenAttrs]


FROZEN = {Guarded, FrozenData, *([FrozenAttrs] if "FrozenAttrs" in globals() else [])}  # where assigning an attribute is forbidden


def names(nodes: Iterable[Any]) -> list[Any]:
    """What the nodes are called."""
    return [node.name for node in nodes]


def chain(kind: Any, length: int) -> Any:
    """A chain of nodes, each the only child of the one before; the first."""
    top = last = kind(0)
    for number in range(1, length):
        child = kind(number)
        last.append(child)
        last = child
    return top


def bush(kind: Any, size: int, width: int = 10) -> Any:
    """A tree of so many nodes, each with as many children as there are left; the root."""
    top = kind(0)
    nodes = [top]
    for number in range(1, size):
        child = kind(number)
        nodes[(number - 1) // width].append(child)
        nodes.append(child)
    return top


def outline(node: Any) -> Any:
    """The shape of a small tree, as nested tuples of names."""
    return (node.name, *map(outline, node.children))


def check(top: Any) -> None:
    """Fail unless every node below has the parent whose child it is, and is met once."""
    met: set[int] = set()
    stack = [top]
    while stack:
        node = stack.pop()
        assert id(node) not in met, "a node is in two places"
        met.add(id(node))
        for child in node.children:
            assert child.parent is node
            stack.append(child)
