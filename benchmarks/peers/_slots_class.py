"""A class as people write it by hand, with slots and a list of children, and no way up."""

from __future__ import annotations

from typing import Any

from benchmarks.peers import Peer
from benchmarks.shapes import trees


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


PEER = Peer(name="slots class", distribution=None, offers=trees(_make))
