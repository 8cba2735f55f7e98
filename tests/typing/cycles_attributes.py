"""What a type checker sees of weak attributes, weak partials and stripped exceptions. Checked by mypy and pyright, not executed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Generic, Protocol, TypeVar, assert_type

import attrs

from safemem import WeakAttr, strip_traceback, weak_fields, weak_partial

T = TypeVar("T")


class Shape:
    """Something of the user's."""

    def area(self, scale: int) -> float:
        return float(scale)


def partials(shape: Shape) -> None:
    assert_type(weak_partial(shape.area)(1), float | None)
    assert_type(weak_partial(shape.area, 1), weak_partial[float])
    weak_partial(5)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def tracebacks() -> None:
    try:
        partials(Shape())
    except (ValueError, KeyError) as error:
        assert_type(strip_traceback(error), ValueError | KeyError)
    strip_traceback(ValueError)  # type: ignore[type-var] # pyright: ignore[reportArgumentType]


class Node:
    parent = WeakAttr["Node"]()
    document = WeakAttr["Document[int]"](on_dead="raise")
    window = WeakAttr["Document[int]"](on_dead=lambda node: "no window")


class Document(Node, Generic[T]):
    focus = WeakAttr[Node](on_dead="ignore")


@dataclass
class Leaf:
    name: str
    parent: WeakAttr[Node] = WeakAttr()  # noqa: RUF009 - a descriptor, as the documentation of dataclasses has it


class HasParent(Protocol):
    parent: ClassVar[WeakAttr[Node]] = WeakAttr()


@weak_fields("parent")
@dataclass(slots=True, weakref_slot=True)
class Slotted:
    parent: Slotted | None = None
    children: list[Slotted] = field(default_factory=list["Slotted"])


@weak_fields("parent", on_dead="raise")
@attrs.define
class Defined:
    parent: Defined | None = None


def attributes(node: Node, document: Document[int], other: HasParent) -> None:
    assert_type(node.parent, Node | None)
    assert_type(document.parent, Node | None)
    assert_type(document.focus, Node | None)
    assert_type(node.document.parent, Node | None)
    assert_type(other.parent, Node | None)
    node.parent = None
    node.parent = document
    del node.parent
    node.parent = 5  # type: ignore[assignment] # pyright: ignore[reportAttributeAccessIssue]
    WeakAttr[Node](on_dead="other")  # type: ignore[call-overload] # pyright: ignore[reportCallIssue, reportArgumentType]
    window = node.window
    if not isinstance(window, str) and window is not None:
        assert_type(window.parent, Node | None)


def fields(leaf: Leaf, slotted: Slotted, defined: Defined) -> None:
    assert_type(leaf.parent, Node | None)
    assert_type(Leaf("leaf", Node()).name, str)
    assert_type(slotted.parent, Slotted | None)
    assert_type(defined.parent, Defined | None)
    assert_type(Slotted(slotted, [slotted]), Slotted)
    weak_fields(5)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
