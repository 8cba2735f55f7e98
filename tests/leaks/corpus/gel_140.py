"""geldata/gel-python, pull request 140: a task group that lives as long as the program keeps everything it ever started."""

from __future__ import annotations

from functools import partial

KINDS = ["growth", "listener", "closure"]
HOLDER = ["group", "_tasks"]
FIX = ["deque", "take out", "WeakIdentitySet", "discard", "Signal"]


class Job:
    def __init__(self) -> None:
        self.result = [0] * 10


class Group:
    def __init__(self) -> None:
        self._tasks: list[Job] = []

    def start(self, *, forget: bool) -> None:
        job = Job()
        self._tasks.append(job)
        partial(len, job.result)()
        if forget:
            self._tasks.remove(job)


group = Group()
mended_group = Group()


def leak() -> None:
    group.start(forget=False)


def mended() -> None:
    mended_group.start(forget=True)
