"""python/cpython, issue 89347: what was entered into an ExitStack that lasts cannot be taken out again."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Self

KINDS = ["growth", "listener"]
HOLDER = ["service.stack._exit_callbacks"]
FIX = ["ExitStack", "ResourceScope"]


class Connection:
    def __init__(self) -> None:
        self.buffer = bytearray(100)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.buffer.clear()


class Service:
    def __init__(self) -> None:
        self.stack = ExitStack()


service = Service()


def leak() -> None:
    service.stack.enter_context(Connection())


def mended() -> None:
    with ExitStack() as stack:
        stack.enter_context(Connection())
