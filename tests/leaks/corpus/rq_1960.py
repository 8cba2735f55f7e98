"""rq/rq, issue 1960: a new event loop for every job, and none is closed."""

from __future__ import annotations

import asyncio

KINDS = ["event_loop"]
HOLDER = ["worker", "loops"]
FIX = ["run", "close"]


async def _job() -> int:
    return 1


class Worker:
    def __init__(self) -> None:
        self.loops: list[asyncio.AbstractEventLoop] = []

    def perform(self, *, close: bool) -> None:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(_job())
        if close:
            loop.close()
        else:
            self.loops.append(loop)


worker = Worker()


def leak() -> None:
    worker.perform(close=False)


def mended() -> None:
    worker.perform(close=True)


def tidy() -> None:
    while worker.loops:
        worker.loops.pop().close()
