"""Running async tests, a loop each, and a cached coroutine function that waits for its gate."""

from __future__ import annotations

import asyncio
import functools
import gc
from collections.abc import Callable, Coroutine
from typing import Any

from safemem import cached

from .collect import Thing

LIMIT = 20

# How tasks are made: as usual, and at once where this Python can do that.
FACTORIES = [getattr(asyncio, name) for name in ("eager_task_factory",) if hasattr(asyncio, name)] + [None]


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test in a loop of its own, within a limit; anything the loop complains about fails the test."""

    @functools.wraps(test)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        run(lambda: test(*args, **kwargs))

    return wrapper


def run(main: Callable[[], Coroutine[Any, Any, Any]], *, factory: Any = None) -> Any:
    """Run a coroutine function; return what it returns."""
    complaints: list[dict[str, Any]] = []

    async def watched() -> Any:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: complaints.append(context))
        loop.set_task_factory(factory)
        return await asyncio.wait_for(main(), LIMIT)

    try:
        return asyncio.run(watched())
    finally:
        gc.collect()
        assert not complaints


async def turns(count: int = 20) -> None:
    """Let the others run for a while."""
    for _ in range(count):
        await asyncio.sleep(0)


class Gate:
    """A cached coroutine function that waits for its gate, and what went on in it."""

    def __init__(self, **options: Any) -> None:
        self.calls: list[Any] = []
        self.cancelled: list[Any] = []
        self.gate = asyncio.Event()
        self.error: BaseException | None = None

        @cached(**options)
        async def function(x: Any) -> Thing:
            self.calls.append(x)
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                self.cancelled.append(x)
                raise
            if self.error is not None:
                raise self.error
            return Thing(x)

        self.function = function
