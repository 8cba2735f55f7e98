"""MagicStack/asyncpg, pull request 831: the timer of a query's timeout is not cancelled when the query is done."""

from __future__ import annotations

import asyncio

KINDS = ["growth"]
HOLDER = ["timer_loop._scheduled", "Protocol.on_timeout"]
FIX = ["handle.cancel()"]

timer_loop = asyncio.new_event_loop()


class Protocol:
    def __init__(self) -> None:
        self.buffer = bytearray(100)

    def on_timeout(self) -> None:
        self.buffer.clear()


async def query(*, cancelled: bool) -> None:
    handle = asyncio.get_running_loop().call_later(3600, Protocol().on_timeout)
    await asyncio.sleep(0)
    if cancelled:
        handle.cancel()


def leak() -> None:
    timer_loop.run_until_complete(query(cancelled=False))


def mended() -> None:
    timer_loop.run_until_complete(query(cancelled=True))


def tidy() -> None:
    timer_loop.close()
