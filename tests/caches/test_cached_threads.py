"""@cached functions and methods under threads, and recursion, which is one thread waiting for itself."""

from __future__ import annotations

import threading

import pytest
from helpers.calls import counting
from helpers.collect import Thing

from safemem import cached, lru_cache


def test_recursion_with_other_arguments() -> None:
    """A function may call itself with other arguments."""

    @cached
    def fibonacci(n: int) -> int:
        return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

    assert fibonacci(60) == 1548008755920
    assert fibonacci.cache_info() == (58, 61, 128, 61)


def test_recursion_with_the_same_arguments() -> None:
    """A function that needs its own result gets a RecursionError that names it, at once."""
    depth: list[int] = []

    @cached
    def endless(x: int) -> int:
        depth.append(x)
        return endless(x)

    for _ in range(2):
        with pytest.raises(RecursionError):
            endless(1)
    assert len(depth) == 2


def test_mutual_recursion() -> None:
    """So do two functions that need each other's."""

    @cached
    def one(x: int) -> int:
        return two(x)

    @cached
    def two(x: int) -> int:
        return one(x)

    with pytest.raises(RecursionError):
        one(1)
    with pytest.raises(RecursionError):
        two(1)


def test_recursion_that_is_caught() -> None:
    """A function may catch the RecursionError and return something, which is kept."""

    @cached
    def careful(x: int) -> str:
        try:
            return careful(x)
        except RecursionError:
            return "base"

    assert careful(1) == careful(1) == "base"
    assert careful.cache_info().currsize == 1


def test_statistics_of_many_threads() -> None:
    """Hits and misses add up to the calls."""
    from helpers.threads import run_threads, switching_often

    function, calls = counting(maxsize=10)

    def work(number: int) -> None:
        for step in range(500):
            function((step * number) % 17)

    with switching_often():
        run_threads(6, work)
    info = function.cache_info()
    assert info.hits + info.misses == 3000
    assert info.currsize == 10
    assert len(calls) <= info.misses


def test_64_threads_one_call() -> None:
    """Sixty-four threads that ask for one result call the function once, and all get its very object."""
    from helpers.threads import run_threads

    entered = threading.Semaphore(0)
    calls: list[int] = []

    @cached
    def slow(x: int) -> Thing:
        calls.append(x)
        for _ in range(63):
            assert entered.acquire(timeout=20)
        return Thing(x)

    results: list[Thing] = []

    def work(_number: int) -> None:
        entered.release()
        results.append(slow(1))

    entered.release()
    run_threads(64, work)
    assert calls == [1]
    assert len(results) == 64
    assert len({id(result) for result in results}) == 1
    info = slow.cache_info()
    assert info.hits + info.misses == 64


def test_lru_cache_has_no_single_flight() -> None:
    """lru_cache is functools' own contract: two threads may compute one result side by side."""
    from helpers.threads import run_threads

    barrier = threading.Barrier(2, timeout=20)
    function = lru_cache(lambda: barrier.wait())
    run_threads(2, lambda _number: function())
    assert function.cache_info().misses == 2


def test_lru_cache_accepts_its_own_recursion() -> None:
    """lru_cache does not watch for recursion on equal arguments: it runs into the interpreter's limit or ends."""
    seen: list[int] = []

    @lru_cache
    def function(x: int) -> int:
        seen.append(x)
        return x if len(seen) > 3 else function(x)

    assert function(1) == 1
    assert seen == [1, 1, 1, 1]
    assert function.cache_info() == (0, 4, 128, 1)
