"""beeware/toga, pull request 4061: a data source keeps the widgets that listen to it."""

from __future__ import annotations

import weakref

KINDS = ["listener", "growth"]
HOLDER = ["source", "_listeners"]
FIX = ["Signal", "WeakIdentitySet", "WeakRegistry"]


class Table:
    def __init__(self, source: "Source") -> None:
        self.rows = [0] * 20
        source._listeners.append(self)

    def change(self) -> None: ...


class Source:
    def __init__(self) -> None:
        self._listeners: list[Table] = []


class WeakTable:
    def __init__(self, listeners: "weakref.WeakSet[WeakTable]") -> None:
        listeners.add(self)


source = Source()
weak_listeners: weakref.WeakSet[WeakTable] = weakref.WeakSet()


def leak() -> None:
    Table(source)


def mended() -> None:
    WeakTable(weak_listeners)
