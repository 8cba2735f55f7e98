"""After many instances with cached methods lived at the same time and died, nothing is kept for each of them."""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

from helpers.leak import Unique

from safemem import cached, cached_property

PEAK = 5000
# What tables that were large may still be too large by: a set of weak references to locks keeps over 100 bytes for each until it has
# reason to grow again, the registers of memos about 30. A handle or memo that stayed would be 400 and more.
BYTES_FOR_EACH = 250


class Plain:
    """With a `__dict__`."""

    @cached(maxsize=2)
    def method(self) -> Unique:
        return Unique()

    @cached_property
    def value(self) -> Unique:
        return Unique()


class Slotted:
    """Without one."""

    __slots__ = ("__weakref__",)

    @cached(maxsize=2)
    def method(self) -> Unique:
        return Unique()

    @cached_property
    def value(self) -> Unique:
        return Unique()


def use(owner: Any) -> Any:
    """Fill its cache."""
    owner.method()
    _ = owner.value
    return owner


def churn(cls: type[Any]) -> None:
    """Let instances come and go, one after the other and some at a time, so that tables can be tidied."""
    for _ in range(PEAK // 100):
        _some = [use(cls()) for _ in range(100)]


if __name__ == "__main__":
    for cls in (Plain, Slotted):
        churn(cls)
        gc.collect()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        crowd = [use(cls()) for _ in range(PEAK)]
        del crowd
        churn(cls)
        gc.collect()
        left = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        assert left < PEAK * BYTES_FOR_EACH, f"{left / PEAK} bytes left for each {cls.__name__} there was"
        assert Unique.alive == 0, Unique.alive
