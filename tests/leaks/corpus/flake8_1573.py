"""PyCQA/flake8, pull request 1573: `lru_cache` on a method keeps every instance."""

from __future__ import annotations

import functools

KINDS = ["cache"]
HOLDER = ["Style", "lookup"]
FIX = ["cached"]


class Style:
    def __init__(self) -> None:
        self.decisions = [0] * 50

    @functools.lru_cache(maxsize=None)
    def lookup(self, code: str) -> str:
        return code.upper()


class MendedStyle:
    def __init__(self) -> None:
        self.lookup = functools.lru_cache(maxsize=None)(_lookup)


def _lookup(code: str) -> str:
    return code.upper()


def leak() -> None:
    Style().lookup("E1")


def mended() -> None:
    MendedStyle().lookup("E1")
