"""What the rows about sizes have in common: things to be measured, made anew for each library."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.peers import Offer

__all__ = ["sizes"]

_ONCE = {"do": "c.do()"}


class _Person:
    def __init__(self, number: int) -> None:
        self.number = number + 1000
        self.name = f"person {number}"
        self.mail = f"person{number}@example.org"


def _row(number: int) -> Any:
    tags = [f"a{number}", f"b{number}"]
    row = {"id": number + 1000, "name": f"person {number}", "mail": f"p{number}@example.org", "score": number / 3, "tags": tags}
    return json.loads(json.dumps(row))


def _rows(count: int) -> Any:
    return [_row(number) for number in range(count)]


class _Measured:
    """Something, and what measures it."""

    def __init__(self, measure: Callable[[Any], int], make: Callable[[int], Any], n: int) -> None:
        self.do = partial(measure, make(n))


def sizes(measure: Callable[[Any], int]) -> dict[str, Offer]:
    """Return what a library offers that can measure any object."""
    makers: dict[str, Callable[[int], Any]] = {
        "text": lambda n: "x" * n,
        "row": _row,
        "numbers": lambda n: list(range(1000, 1000 + n)),
        "rows": _rows,
        "objects": lambda n: [_Person(number) for number in range(n)],
    }
    return {f"size {name}": Offer(partial(_Measured, measure, make), _ONCE) for name, make in makers.items()}
