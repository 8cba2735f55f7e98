"""Objects for cycles, and cycles of them."""

from __future__ import annotations


class Node:
    """Anything."""


class Small:
    __slots__ = ("me",)


def one():
    node = Node()
    node.me = node


def slot():
    small = Small()
    small.me = small
