"""python/cpython, issue 88846: a value of a WeakKeyDictionary that refers to its key keeps both."""

from __future__ import annotations

from weakref import WeakKeyDictionary

KINDS = ["growth"]
HOLDER = ["layouts"]
FIX = ["WeakIdentityDict", "WeakAttr", "weak"]


class Page:
    def __init__(self) -> None:
        self.title = "start"


class Layout:
    def __init__(self, page: Page | None) -> None:
        self.page = page


layouts: WeakKeyDictionary[Page, Layout] = WeakKeyDictionary()
mended_layouts: WeakKeyDictionary[Page, Layout] = WeakKeyDictionary()


def leak() -> None:
    page = Page()
    layouts[page] = Layout(page)


def mended() -> None:
    page = Page()
    mended_layouts[page] = Layout(None)
