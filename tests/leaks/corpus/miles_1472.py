"""radixark/miles, pull request 1472: each start of a supervisor puts its own signal handler in front of the last one, and no stop takes it out."""

from __future__ import annotations

import signal
from typing import Any

KINDS = ["closure"]
HOLDER = ["handler of signal SIGUSR2"]
FIX = ["restore"]


class Supervisor:
    def __init__(self) -> None:
        self.workers = [0] * 20
        previous: Any = signal.getsignal(signal.SIGUSR2)

        def stop(number: int, frame: object) -> None:
            self.workers.clear()
            if callable(previous):
                previous(number, frame)

        self.previous = previous
        signal.signal(signal.SIGUSR2, stop)

    def shut_down(self) -> None:
        signal.signal(signal.SIGUSR2, self.previous)


def leak() -> None:
    Supervisor()


def mended() -> None:
    Supervisor().shut_down()


def tidy() -> None:
    signal.signal(signal.SIGUSR2, signal.SIG_DFL)
