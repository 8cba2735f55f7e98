"""pnbruckner/ha-life360, issue 101: finished tasks stay in the coordinator"s set, each with its result."""

from __future__ import annotations

import asyncio

KINDS = ["event_loop", "growth"]
HOLDER = ["coordinator", "_tasks"]
FIX = ["discard", "WeakIdentitySet", "TaskGroup"]


class Coordinator:
    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[list[int]]] = set()

    async def request(self) -> list[int]:
        return [0] * 20

    async def update(self, *, discard: bool) -> None:
        task = asyncio.create_task(self.request())
        self._tasks.add(task)
        if discard:
            task.add_done_callback(self._tasks.discard)
        await task


coordinator = Coordinator()
mended_coordinator = Coordinator()


async def leak() -> None:
    await coordinator.update(discard=False)


async def mended() -> None:
    await mended_coordinator.update(discard=True)
    await asyncio.sleep(0)
