"""Starting many threads at once, waiting for them and for what they do within a limit, and hearing of what failed in them."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LIMIT = 30.0


@contextmanager
def switching_often(interval: float = 1e-6) -> Iterator[None]:
    """Make the interpreter switch threads as often as it can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(interval)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def run_threads(count: int, work: Callable[[int], None], *, limit: float = LIMIT) -> None:
    """Run `work(number)` in `count` threads that start together; raise the first thing that went wrong in any."""
    barrier = threading.Barrier(count)
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            barrier.wait(limit)
            work(number)
        except BaseException as error:  # noqa: BLE001 - told to the caller below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(limit)
    hung = [thread.name for thread in threads if thread.is_alive()]
    assert not hung, f"still running after {limit} s: {hung}"
    if errors:
        raise errors[0]


def until(condition: Callable[[], object]) -> None:
    """Wait for something that another thread is about to do."""
    limit = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < limit, "it never happened"
        time.sleep(0.0005)
