"""quora/asynq, pull request 168: finished tasks keep their error, its traceback, and the variables of its frames."""

from __future__ import annotations

KINDS = ["frame"]
HOLDER = ["scheduler", "tasks"]
FIX = ["strip_traceback"]


class Task:
    def __init__(self) -> None:
        self._error: BaseException | None = None

    def run(self, *, strip: bool) -> None:
        try:
            _work()
        except ValueError as error:
            self._error = error.with_traceback(None) if strip else error


def _work() -> None:
    payload = bytearray(2000)
    raise ValueError(len(payload))


class Scheduler:
    def __init__(self) -> None:
        self.tasks: list[Task] = []


scheduler = Scheduler()


def leak() -> None:
    task = Task()
    task.run(strip=False)
    scheduler.tasks.append(task)


def mended() -> None:
    task = Task()
    task.run(strip=True)
