"""celery/billiard, issue 311: the frames of failed jobs stay in the pool"s list of results."""

from __future__ import annotations

import sys
from types import FrameType

KINDS = ["frame"]
HOLDER = ["results", "frame"]
FIX = ["strip_traceback", "frame"]


results: list[FrameType] = []


class Payload:
    def __init__(self) -> None:
        self.content = bytearray(500)


def _job() -> None:
    payload = Payload()
    results.append(sys._getframe())
    payload.content.clear()


def leak() -> None:
    _job()


def mended() -> None:
    _job()
    results.clear()
