"""Tasks that start flights and join them, one step at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from safemem import SingleFlight

from .aio import turns
from .collect import Thing


async def never() -> Any:
    """A coroutine function that must not be run."""
    raise AssertionError


async def fail() -> Any:
    """Raise."""
    raise LookupError("on purpose")


class Slow:
    """A coroutine function that waits until it is let go, counts its runs, and then does what it was given to do."""

    def __init__(self, then: Callable[[], Any] = Thing) -> None:
        self.then = then
        self.runs = 0
        self.cancelled = 0
        self.leave = asyncio.Event()

    async def __call__(self) -> Any:
        self.runs += 1
        try:
            await self.leave.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return self.then()


async def ask(flights: SingleFlight[Any], count: int, func: Callable[[], Awaitable[Any]], key: Any = "key") -> list[asyncio.Task[Any]]:
    """Have tasks ask for a key; return when all wait."""
    tasks = [asyncio.ensure_future(flights.ado(key, func)) for _ in range(count)]
    await turns()
    assert not any(task.done() for task in tasks)
    return tasks


async def outcomes(tasks: list[asyncio.Task[Any]]) -> list[Any]:
    """Wait for tasks; return values and exceptions."""
    await asyncio.wait(tasks)
    return [asyncio.CancelledError() if task.cancelled() else task.exception() or task.result() for task in tasks]
