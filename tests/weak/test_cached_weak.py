"""`cached(weak=True)`: results go on being found for as long as anybody holds them."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest
from helpers.clock import Clock
from helpers.mortal import Thing
from helpers.recorder import Recorder
from helpers.threads import run_threads

from safemem import LRUCache, WeakCache, cached


@pytest.mark.parametrize("maxsize", [0, 1])
def test_a_result_in_use_is_never_made_again(maxsize: int) -> None:
    """Beyond maxsize too; one that nobody uses is."""
    made: list[int] = []

    @cached(maxsize, weak=True)
    def load(number: int) -> Thing:
        made.append(number)
        return Thing(number)

    kept = [load(number) for number in range(3)]
    assert [load(number) for number in range(3)] == kept
    assert made == [0, 1, 2]
    kept.clear()
    gc.collect()
    load(2), load(0), load(1)
    assert made[3:] == ([2, 0, 1] if maxsize == 0 else [0, 1])
    assert type(load.cache) is WeakCache


def test_methods_and_coroutines() -> None:
    """Each instance has a WeakCache of its own; a coroutine function's results are kept in one too."""

    class Shop:
        @cached(0, weak=True)
        def item(self, number: int) -> Thing:
            return Thing(number)

        @cached(0, weak=True)
        async def order(self, number: int) -> Thing:
            return Thing(number)

    shop = Shop()
    thing = shop.item(1)
    assert shop.item(1) is thing
    assert Shop().item(1) is not thing
    assert type(shop.item.cache) is WeakCache

    async def twice() -> bool:
        first = await shop.order(1)
        return await shop.order(1) is first

    assert asyncio.run(twice())


def test_threads_get_one_object() -> None:
    """With maxsize=0 too, whoever asks at the same time is handed the same."""

    @cached(0, weak=True)
    def load(number: int) -> Thing:
        return Thing(number)

    results: list[list[Thing]] = [[] for _ in range(8)]
    run_threads(8, lambda number: results[number].extend(load(key) for key in range(200)))
    assert all(len({id(result[key]) for result in results}) == 1 for key in range(200))


def test_options_are_passed_on() -> None:
    """maxsize, ttl, timer and on_remove; `weak` is a bool and excludes `cache`."""
    clock, told = Clock(), Recorder()

    @cached(7, weak=True, ttl=5, timer=clock, on_remove=told)
    def load(number: int) -> Thing:
        return Thing(number)

    load(1)
    clock.tick(5)
    load.cache.expire()
    assert [cause for _key, _value, cause in told.take()] == ["EXPIRED"]
    assert load.cache.maxsize == 7
    with pytest.raises(TypeError, match="cache excludes weak"):
        cached(weak=True, cache=LRUCache(5))
    wrong: Any = 1
    with pytest.raises(TypeError, match="weak must be True or False, got 1"):
        cached(weak=wrong)
