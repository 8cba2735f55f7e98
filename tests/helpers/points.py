"""Observable points: with a `__dict__`, with slots, and without weak references."""

from __future__ import annotations

from safemem import Observable


class Point(Observable):
    x: int = 0
    y: int = 0
    z: int


class SlottedPoint(Observable):
    __slots__ = ("__weakref__", "x", "y", "z")
    x: int
    y: int
    z: int

    def __init__(self):
        self.x = self.y = 0


class BarePoint(Observable):
    __slots__ = ("x", "y", "z")
    x: int
    y: int
    z: int

    def __init__(self):
        self.x = self.y = 0


KINDS = [Point, SlottedPoint, BarePoint]
