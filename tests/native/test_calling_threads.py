"""Threads that call the same decorated functions while owners come and go, tables are swapped, caches emptied and stores found out."""

from __future__ import annotations

import gc
import itertools
import weakref
from typing import Any

from helpers.threads import run_threads, switching_often

from safemem import cached, lru_cache

ROUNDS = 1000
WIDTH = 4


def test_one_function_in_many_threads() -> None:
    """Every call gets the result for its arguments, whatever the others do to the cache."""
    functions: list[Any] = [
        cached(50)(lambda *args, **kwargs: [args, kwargs]),
        cached(50, typed=True)(lambda *args, **kwargs: [args, kwargs]),
        cached(50, ttl=1000)(lambda *args, **kwargs: [args, kwargs]),
        cached(50, key=lambda *args, **kwargs: (args, tuple(kwargs.items())))(lambda *args, **kwargs: [args, kwargs]),
        lru_cache(50)(lambda *args, **kwargs: [args, kwargs]),
        lru_cache(None, typed=True)(lambda *args, **kwargs: [args, kwargs]),
        lru_cache(0)(lambda *args, **kwargs: [args, kwargs]),
    ]

    def work(seed: int) -> None:
        number = seed + 1
        for turn in range(ROUNDS):
            number = number * 7919 % 1009
            x: Any = (number % 60, f"key {number % 60}", (number % 60, "x"), number % 60 / 2)[number % 4]
            for function in functions:
                assert function(x)[0] == (x,)
                assert function(x, 1, y=x) == [(x, 1), {"y": x}]
            if turn % 300 == 299:
                functions[turn % 7].cache_clear()
                functions[turn % 7].cache_info()

    with switching_often():
        run_threads(WIDTH, work)
    for function in functions[:4]:
        function.cache._check()


def test_owners_that_come_and_go() -> None:
    """Methods of owners with and without a __dict__, shared, copied and dying, give each owner its own results."""

    class Owner:
        def __init__(self, name: int) -> None:
            self.name = name

        @cached(20)
        def method(self, x: int) -> tuple[int, int]:
            return (self.name, x)

    class Slotted:
        __slots__ = ("__weakref__", "name")

        def __init__(self, name: int) -> None:
            self.name = name

        method = Owner.__dict__["method"]

    shared: list[Any] = [*map(Owner, range(5)), *map(Slotted, range(5))]
    serial = itertools.count(1000)

    def work(seed: int) -> None:
        kept: list[Any] = []
        for turn in range(ROUNDS):
            owner = shared[(seed + turn) % 10]
            for x in (turn % 30, 5):
                assert owner.method(x) == (owner.name, x)
                assert type(owner).method(owner, x) == (owner.name, x)
            bound = owner.method
            fresh: Any = (Owner, Slotted)[turn % 2](next(serial))
            assert fresh.method(1) == (fresh.name, 1) == fresh.method(1)
            kept.append(fresh)
            if len(kept) > 40:
                kept = kept[30:]
                shared[(seed + turn) % 10] = fresh
            assert bound(7) == (owner.name, 7)
            if turn % 500 == 0:
                gc.collect()
            if turn % 200 == 0:
                Owner.method.cache_clear()

    with switching_often():
        run_threads(WIDTH, work)
    watch = [weakref.ref(owner) for owner in shared]
    shared.clear()
    gc.collect()
    assert [reference() for reference in watch if reference() is not None] == []


def find_out() -> None:
    """One race of first calls."""
    function: Any = cached(lambda x: [x])
    late: Any = cached(lambda _owner, x: [x])

    class Owner:
        pass

    Owner.late = late  # type: ignore[attr-defined] # nobody tells it its name
    owner: Any = Owner()
    results: list[Any] = []

    def work(seed: int) -> None:
        results.append(function(1))
        assert owner.late(seed) == [seed]
        assert function.cache[1,] is function(1)

    run_threads(WIDTH, work)
    assert len({id(result) for result in results}) == 1


def test_finding_out_what_it_is() -> None:
    """A function whose first calls come from many threads at once has one cache; a method becomes one however it is first reached."""
    for _ in range(20):
        find_out()


def end_one(ready: Any) -> None:
    """One race for a result."""
    got: list[Any] = []
    refused: list[Any] = []

    def work(seed: int) -> None:
        try:
            ready.send(None)
        except StopIteration as stop:
            got.append(stop.value)
        except RuntimeError:
            refused.append(seed)

    run_threads(WIDTH, work)
    assert got == ["known"]
    assert len(refused) == WIDTH - 1


def test_results_that_are_ready() -> None:
    """Of many threads that end one result that is ready, one gets it."""

    @cached
    async def function(x: int) -> int:
        return x

    function.cache[1,] = "known"
    for _ in range(30):
        end_one(function(1))
