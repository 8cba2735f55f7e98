"""aiidateam/aiida-core, issue 4698: a stack in a context variable that nobody takes from keeps the processes."""

from __future__ import annotations

from contextvars import ContextVar

KINDS = ["growth"]
HOLDER = ["process stack"]
FIX = ["reset", "context"]


class Process:
    def __init__(self) -> None:
        self.inputs = [0] * 20


_stack: ContextVar[tuple[Process, ...]] = ContextVar("process stack", default=())


def leak() -> None:
    _stack.set((*_stack.get(), Process()))


def mended() -> None:
    token = _stack.set((*_stack.get(), Process()))
    _stack.reset(token)
