"""DiamondLightSource/httomo, pull request 265: a finaliser that is a bound method keeps the object it waits for."""

from __future__ import annotations

import weakref

KINDS = ["listener"]
HOLDER = ["finalize", "_registry", "Reader"]
FIX = ["finalize"]


class Reader:
    def __init__(self) -> None:
        self.data = bytearray(500)
        weakref.finalize(self, self.close)

    def close(self) -> None:
        self.data.clear()


class MendedReader:
    def __init__(self) -> None:
        self.data = bytearray(500)
        weakref.finalize(self, _close, 1)


def _close(number: int) -> None: ...


def leak() -> None:
    Reader()


def mended() -> None:
    MendedReader()
