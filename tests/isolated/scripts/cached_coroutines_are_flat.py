"""Memory stays flat over many awaits of cached coroutine functions: results, failures, cancellations."""

from __future__ import annotations

import asyncio
import gc

from helpers.leak import Unique

from safemem import cached


@cached(maxsize=20)
async def function(x: int) -> Unique:
    """Fail now and then."""
    await asyncio.sleep(0)
    if x % 10 == 0:
        raise LookupError(x)
    return Unique(x)


async def work(number: int) -> None:
    """Ask several times at once, cancel one."""
    tasks = [asyncio.ensure_future(function(number)) for _ in range(3)]
    await asyncio.sleep(0)
    if number % 3 == 0:
        tasks[0].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def main() -> None:
    """Count objects: asyncio's own caches make bytes too noisy."""
    for number in range(500):
        await work(number)
    gc.collect()
    objects, alive = len(gc.get_objects()), Unique.alive
    for number in range(500, 2500):
        await work(number)
    gc.collect()
    grown = len(gc.get_objects()) - objects
    assert grown < 200, grown
    assert Unique.alive <= alive, (Unique.alive, alive)


if __name__ == "__main__":
    asyncio.run(main())
