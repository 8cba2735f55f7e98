"""Memory stays flat over many calls of cached functions, and reference counts of arguments and results are exact."""

from __future__ import annotations

from typing import Any

from helpers.clock import Clock
from helpers.leak import Unique, flat, ignore, same_counts

from safemem import cached, lru_cache

DECORATORS: list[Any] = [
    cached(maxsize=20),
    cached(maxsize=20, typed=True),
    cached(maxsize=20, ttl=60, timer=Clock()),
    cached(maxsize=20, key=lambda *args, **kwargs: repr((args, sorted(kwargs.items())))),
    cached(maxsize=20, cache_if=lambda value: value.number % 2),
    cached(maxsize=0),
    lru_cache(20),
    lru_cache(20, typed=True),
    lru_cache(0),
]


def function(x: Any, *, y: Any = None) -> Unique:
    """Fail for every tenth argument."""
    if isinstance(x, str) and x.endswith("0"):
        raise LookupError(x)
    return Unique(len(str(x)))


if __name__ == "__main__":
    for decorate in DECORATORS:
        decorated = decorate(function)

        def work(number: int, decorated: Any = decorated) -> None:
            """Call in every way."""
            ignore(lambda: decorated(f"argument {number}"), LookupError)
            ignore(lambda: decorated(f"argument {number}", y=f"y {number}"), LookupError)
            ignore(lambda: decorated([number]), TypeError)
            ignore(lambda: decorated(), TypeError)
            if number % 100 == 0:
                decorated.cache_clear()
                decorated.cache_info()

        flat(work, 2000)
        decorated.cache_clear()
        x, y = Unique(1), Unique(2)

        def again(decorated: Any = decorated, x: Unique = x, y: Unique = y) -> None:
            """Call, then forget."""
            decorated(x, y=y)
            decorated(x, y=y)
            decorated(y)
            ignore(lambda: decorated(x, [y]), TypeError)
            decorated.cache_clear()

        if decorate is not DECORATORS[3]:
            same_counts([x, y, decorated], again)
    for _ in range(300):
        cached(function)(1)
        lru_cache(function)(1)
