"""What both cores say of nodes that cannot be what they were to be, and what they leave of a record in a pickle."""

from __future__ import annotations

from typing import NoReturn

__all__ = ["circle", "describe", "no_node", "nothing", "twice"]


def describe(node: object) -> str:
    """Return what an object is, without its own repr, which may go through the whole tree."""
    return f"<{type(node).__qualname__} object at {id(node):#x}>"


def circle(node: object, child: object) -> NoReturn:
    """Refuse a child that is the node itself, or above it."""
    what = "itself" if child is node else "an ancestor of it"
    msg = f"a child of {describe(node)} must not be {what}, got {describe(child)}"
    raise ValueError(msg)


def no_node(name: str, other: object, besides: str = "") -> NoReturn:
    """Refuse what is no node; `besides` is what else would do."""
    msg = f"{name} must be a TreeNode{besides}, got {other!r}"
    raise TypeError(msg)


def twice(count: int) -> NoReturn:
    """Refuse children among which one is met again."""
    msg = f"a node can be a child only once, got one twice among {count} children"
    raise ValueError(msg)


def nothing() -> None:
    """Stand in for a record in the copy or pickle of a `__dict__`: what lies there belongs to the original alone."""
