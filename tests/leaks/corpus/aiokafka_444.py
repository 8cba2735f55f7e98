"""aio-libs/aiokafka, issue 444: each poll adds a callback to one future that lasts, and never takes it away."""

from __future__ import annotations

import asyncio

KINDS = ["listener"]
HOLDER = ["coordination_error", "Poll.failed"]
FIX = ["remove_done_callback"]

loop = asyncio.new_event_loop()
coordination_error: asyncio.Future[None] = loop.create_future()


class Poll:
    def __init__(self) -> None:
        self.records = [0] * 10

    def failed(self, future: asyncio.Future[None]) -> None:
        del future
        self.records.clear()


def leak() -> None:
    coordination_error.add_done_callback(Poll().failed)


def mended() -> None:
    poll = Poll()
    coordination_error.add_done_callback(poll.failed)
    coordination_error.remove_done_callback(poll.failed)


def tidy() -> None:
    loop.close()
