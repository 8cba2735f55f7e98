"""The trees that are built: the same loop for everybody, around each library's own way to make a node and give it a parent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from benchmarks.peers import Offer

__all__ = ["trees"]

Make: TypeAlias = Callable[[int, Any], Any]

WIDTH = 10


def _bush(make: Make, n: int) -> Any:
    """Return the root of a tree in which each node has ten children, for as long as there are any."""
    nodes = [make(0, None)]
    for number in range(1, n):
        nodes.append(make(number, nodes[(number - 1) // WIDTH]))
    return nodes[0]


def _chain(make: Make, n: int) -> Any:
    """Return the first of a chain of nodes, each the only child of the one before."""
    root = last = make(0, None)
    for number in range(1, n):
        last = make(number, last)
    return root


def trees(make: Make) -> dict[str, Offer]:
    """Return the offers of a library that makes node number `number`, below `parent` if that is not None, by `make(number, parent)`."""
    # Nothing is stored beforehand. A tree is dropped as soon as it is built; what is cyclic then is the collector's, which is on.
    verbs = {"set": "pass", "build": "c()"}
    return {
        "tree bush": Offer(lambda n: lambda: _bush(make, n), verbs),
        "tree chain": Offer(lambda n: lambda: _chain(make, n), verbs),
    }
