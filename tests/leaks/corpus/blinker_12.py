"""pallets-eco/blinker, pull request 12: a signal keeps an empty set for every sender there ever was."""

from __future__ import annotations

from collections import defaultdict
from itertools import count

KINDS = ["growth", "listener"]
HOLDER = ["signal", "_by_sender"]
FIX = ["LRUCache", "WeakIdentityDict", "Signal"]


class Signal:
    def __init__(self) -> None:
        self._by_sender: defaultdict[int, set[int]] = defaultdict(set)
        self.numbers = count()

    def connect(self) -> int:
        sender = next(self.numbers)
        self._by_sender[sender].add(1)
        return sender

    def forget(self, sender: int, *, wholly: bool) -> None:
        self._by_sender[sender].discard(1)
        if wholly and not self._by_sender[sender]:
            del self._by_sender[sender]


signal = Signal()
mended_signal = Signal()


def leak() -> None:
    signal.forget(signal.connect(), wholly=False)


def mended() -> None:
    mended_signal.forget(mended_signal.connect(), wholly=True)
