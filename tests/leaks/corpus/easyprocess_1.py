"""ponty/EasyProcess, issue 1: a nested function that is registered with atexit keeps the object it closes over."""

from __future__ import annotations

import atexit

KINDS = ["listener"]
HOLDER = ["atexit", "process"]
FIX = ["finalize", "unregister"]


class Proc:
    def __init__(self) -> None:
        self.output = [0] * 20


def leak() -> None:
    process = Proc()

    def shutdown() -> None:
        process.output.clear()

    atexit.register(shutdown)


def mended() -> None:
    process = Proc()

    def shutdown() -> None:
        process.output.clear()

    atexit.register(shutdown)
    atexit.unregister(shutdown)
