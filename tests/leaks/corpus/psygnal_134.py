"""pyapp-kit/psygnal, pull request 134: a cache of weak references to callbacks keeps those that are dead."""

from __future__ import annotations

import weakref
from itertools import count

KINDS = ["growth", "listener"]
HOLDER = ["_PARTIAL_CACHE"]
FIX = ["WeakRegistry", "forget", "LRUCache"]


class Callback:
    def __call__(self) -> None: ...


_PARTIAL_CACHE: dict[int, weakref.ref[Callback]] = {}
_WEAK_CACHE: weakref.WeakValueDictionary[int, Callback] = weakref.WeakValueDictionary()
_numbers = count()


def leak() -> None:
    _PARTIAL_CACHE[next(_numbers)] = weakref.ref(Callback())


def mended() -> None:
    callback = Callback()
    _WEAK_CACHE[next(_numbers)] = callback
