"""ReFirmLabs/binwalk, issue 119: modules and their parent refer to each other, and a module has a `__del__`."""

from __future__ import annotations

import weakref

KINDS = ["cycle"]
HOLDER = ["Module", "parent"]
FIX = ["WeakAttr", "TreeNode"]


class Modules:
    def __init__(self, *, weak: bool) -> None:
        self.loaded = [Module(weakref.ref(self) if weak else self)]


class Module:
    def __init__(self, parent: object) -> None:
        self.parent = parent

    def __del__(self) -> None: ...


def leak() -> None:
    Modules(weak=False)


def mended() -> None:
    Modules(weak=True)
