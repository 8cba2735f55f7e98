"""Cached coroutine functions under many tasks, cancellations and failures, in several loops at once."""

from __future__ import annotations

import asyncio
import random
import time

from helpers.stress import SECONDS
from helpers.threads import run_threads

from safemem import cached


@cached(maxsize=10)
async def function(x: int) -> int:
    """Fail now and then, take a while now and then."""
    for _ in range(random.randrange(3)):
        await asyncio.sleep(0)
    if random.random() < 0.1:
        raise LookupError(x)
    if random.random() < 0.1:
        return await function(x + 100) - 100 if x < 100 else x
    return x


async def ask(dice: random.Random) -> None:
    """Ask for one."""
    x = dice.randrange(20)
    try:
        assert await function(x) == x
    except LookupError:
        pass


async def main(number: int) -> None:
    """Many at once, some of them cancelled."""
    dice = random.Random(number)
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        tasks = [asyncio.ensure_future(ask(dice)) for _ in range(20)]
        await asyncio.sleep(0)
        for task in tasks:
            if dice.random() < 0.2:
                task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            assert result is None or isinstance(result, asyncio.CancelledError), result


if __name__ == "__main__":
    run_threads(3, lambda number: asyncio.run(main(number)), limit=SECONDS + 30)
    assert function.cache_info().currsize <= 10
