"""A class as people write it by hand, with slots and a list of children, and no way up."""

from __future__ import annotations

from typing import Any

from benchmarks.peers import ASSIGN, Offer, Peer
from benchmarks.shapes import trees


class _Point:
    __slots__ = ("x",)


class Node:
    __slots__ = ("children", "name")

    def __init__(self, name: int) -> None:
        self.name = name
        self.children: list[Node] = []


def _make(number: int, parent: Any) -> Node:
    node = Node(number)
    if parent is not None:
        parent.children.append(node)
    return node


def _unobserved(_count: int) -> _Point:
    return _Point()


PEER = Peer(name="slots class", distribution=None, offers={**trees(_make), "field": Offer(_unobserved, ASSIGN)})
