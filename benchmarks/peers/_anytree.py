"""anytree, with its mixin on a class of one's own, which is its fastest way."""

from __future__ import annotations

from typing import Any

from anytree import NodeMixin

from benchmarks.peers import Peer
from benchmarks.shapes import trees


class Node(NodeMixin):  # type: ignore[misc]
    def __init__(self, name: int, parent: Any) -> None:
        self.name = name
        self.parent = parent


PEER = Peer(name="anytree", distribution="anytree", module="anytree", offers=trees(Node))
