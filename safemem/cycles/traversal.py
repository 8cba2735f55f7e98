"""Walks through a tree that survive its changes; nothing here is recursive."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from safemem.core.trees import children_of, parent_of

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["height", "shape", "walk"]


def walk(top: Any, order: str) -> Iterator[Any]:
    """Return an iterator over a node and all below it; ValueError for an order that there is not."""
    ways = {"pre": _before, "post": _after, "level": _by_level}
    way = ways.get(order)
    if way is None:
        msg = f"order must be 'pre', 'post' or 'level', got {order!r}"
        raise ValueError(msg)
    return way(top)


def _before(top: Any) -> Iterator[Any]:
    yield top
    stack = [(top, iter(children_of(top)))]
    while stack:
        parent, rest = stack[-1]
        for child in rest:
            if parent_of(child) is parent:
                yield child
                stack.append((child, iter(children_of(child))))
                break
        else:
            stack.pop()


def _after(top: Any) -> Iterator[Any]:
    stack = [(top, iter(children_of(top)))]
    while stack:
        node, rest = stack[-1]
        for child in rest:
            if parent_of(child) is node:
                stack.append((child, iter(children_of(child))))
                break
        else:
            stack.pop()
            if not stack or parent_of(node) is stack[-1][0]:
                yield node


def _by_level(top: Any) -> Iterator[Any]:
    yield top
    queue = deque((top, child) for child in children_of(top))
    while queue:
        parent, node = queue.popleft()
        if parent_of(node) is parent:
            yield node
            queue.extend((node, child) for child in children_of(node))


def height(top: Any) -> int:
    """Return how many levels there are below a node."""
    levels, level = -1, [top]
    while level:
        levels += 1
        level = [child for node in level for child in children_of(node)]
    return levels


def shape(top: Any) -> tuple[list[Any], list[int]]:
    """Return a node and all below it, each before its children, and how many children each of them has."""
    nodes: list[Any] = []
    counts: list[int] = []
    stack, seen = [top], {id(top)}
    while stack:
        node = stack.pop()
        below = [child for child in children_of(node) if id(child) not in seen]  # one that moves meanwhile is met once
        seen.update(map(id, below))
        nodes.append(node)
        counts.append(len(below))
        stack += reversed(below)
    return nodes, counts
