"""pallets/werkzeug, pull request 2436: a ContextVar that is made for each Local stays in the context with its value."""

from __future__ import annotations

from contextvars import ContextVar

KINDS = ["growth"]
HOLDER = ["the context of this thread", "context variable 'local'"]
FIX = ["top of a module", "reset"]


class Local:
    def __init__(self, variable: ContextVar[dict[str, list[int]]]) -> None:
        self.variable = variable
        self.token = variable.set({"request": [0] * 10})

    def release(self) -> None:
        self.variable.reset(self.token)


shared: ContextVar[dict[str, list[int]]] = ContextVar("shared")


def leak() -> None:
    Local(ContextVar("local"))


def mended() -> None:
    Local(shared).release()
