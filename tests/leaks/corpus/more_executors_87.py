"""rohanpm/more-executors, issue 87: the thread of an executor that nobody shuts down runs for ever."""

from __future__ import annotations

import threading

KINDS = ["thread"]
HOLDER = ["thread"]
FIX = ["stop", "join", "with", "executor"]


class RetryExecutor:
    def __init__(self) -> None:
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.stopped.wait, name="retry", daemon=True)
        self.thread.start()

    def shutdown(self) -> None:
        self.stopped.set()
        self.thread.join()


def leak() -> None:
    RetryExecutor()


def mended() -> None:
    RetryExecutor().shutdown()
