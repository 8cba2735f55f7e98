"""What a type checker sees of memory budgets. Checked by mypy and pyright, not executed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal, assert_type

from safemem import BudgetStats, LRUCache, MemoryBudget, Pressure, TLRUCache, TTLCache, WeakCache, cached, default_budget, sizeof


class Image:
    pixels: bytes

    def __safemem_size__(self) -> int:
        return len(self.pixels)


def made() -> None:
    assert_type(MemoryBudget(), MemoryBudget)
    assert_type(default_budget(), MemoryBudget)
    MemoryBudget(10_000)
    MemoryBudget(1e9, reserve="50MB", low=0.5, high=0.6, timer=lambda: 1.0)
    MemoryBudget("50%", reserve=1000)
    MemoryBudget(None)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    MemoryBudget("auto", 100)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    MemoryBudget(timer=datetime.now)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def attached(budget: MemoryBudget) -> None:
    images = budget.attach(LRUCache[str, Image](10), size=lambda image: len(image.pixels), weight=2, min_bytes="1MB", cost=3)
    assert_type(images, LRUCache[str, Image])
    assert_type(images["a"], Image)
    weak: WeakCache[str, Image] = budget.attach(WeakCache[str, Image](10), cost=lambda key, value: 1.5)
    budget.detach(weak)
    budget.attach(images, cost="much")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    budget.attach(images, size=5)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    size: Callable[[Any], int] = sizeof
    budget.attach(images, size=size)


def taking_part(budget: MemoryBudget) -> None:
    assert_type(LRUCache[str, int](10, budget=budget), LRUCache[str, int])
    TTLCache[str, int](10, 60, budget=budget)
    TLRUCache[str, int](10, lambda key, value, now: now + 1, budget=budget)
    WeakCache[str, Image](10, budget=None)
    assert_type(LRUCache[str, int].fromkeys(["a"], 1, budget=budget), LRUCache[str, int])
    LRUCache[str, int](10, budget="1MB")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]

    @cached(maxsize=None, budget=budget)
    def square(number: int) -> float:
        return number**2

    assert_type(square(2), float)


def looked_at(budget: MemoryBudget) -> None:
    assert_type(budget.used, int)
    assert_type(budget.limit, int)
    assert_type(budget.level, float)
    assert_type(budget.running, bool)
    assert_type(budget.pressure(), Pressure)
    assert_type(budget.pressure().state, Literal["none", "soft", "hard"])
    assert_type(budget.stats(), BudgetStats)
    assert_type(budget.stats().let_go, int)
    assert_type(budget.stats().level, float)
    assert_type(budget.reclaim("10MB"), int)
    assert_type(budget.stop(), bool)
    with budget as same:
        assert_type(same, MemoryBudget)
    budget.limit = 5  # type: ignore[misc] # pyright: ignore[reportAttributeAccessIssue]
    budget.used = 5  # type: ignore[misc] # pyright: ignore[reportAttributeAccessIssue]
