"""pallets-eco/croniter, issue 195: a dict of the module keeps every expression ever parsed."""

from __future__ import annotations

from itertools import count

KINDS = ["growth", "cache"]
HOLDER = ["EXPRESSIONS"]
FIX = ["LRUCache", "TTLCache"]


EXPRESSIONS: dict[str, list[str]] = {}
BOUNDED: dict[str, list[str]] = {}
_numbers = count()


def _parse(table: dict[str, list[str]]) -> None:
    expression = f"{next(_numbers)} * * *"
    table[expression] = expression.split()


def leak() -> None:
    _parse(EXPRESSIONS)


def mended() -> None:
    _parse(BOUNDED)
    while len(BOUNDED) > 20:
        del BOUNDED[next(iter(BOUNDED))]
