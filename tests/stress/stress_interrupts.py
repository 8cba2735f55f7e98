"""A signal every millisecond whose handler asks for something or raises, in a thread that leads and joins flights among others."""

from __future__ import annotations

import faulthandler
import random
import signal
import sys
import threading
import time
from collections.abc import Callable

from helpers.stress import SECONDS

from safemem import SingleFlight
from safemem.caches import circles


class Interrupt(BaseException):
    """What the handler raises."""


several: list[SingleFlight[int]] = [SingleFlight(), SingleFlight()]
end = time.monotonic() + SECONDS
# In Python 3.14 a handler may run when a with statement has just taken a lock: what it raises leaves it held, what it waits for may wait for
# that (python/cpython#148874). There the signals only interrupt what waits.
acts = sys.version_info[:2] != (3, 14)
armed: list[bool] = []
"""Holds something while an interrupt is sure to be caught."""


def ask(depth: int = 0) -> int:
    """Lead or join a flight; circles, failures and interrupts are part of the programme."""
    key = random.randrange(6)
    try:
        return random.choice(several).do(key, lambda: make(depth))
    except (RecursionError, LookupError):
        return -1


def make(depth: int) -> int:
    """Take a while, ask for more, or fail."""
    dice = random.random()
    if dice < 0.3:
        time.sleep(0)
    elif dice < 0.6 and depth < 3:
        return ask(depth + 1)
    elif dice < 0.7:
        raise LookupError
    return depth


def work() -> None:
    """Ask until the time is over."""
    while time.monotonic() < end:
        ask()


def interrupt(*_: object) -> None:
    """Ask in the middle of anything, or put an end to it; never twice before the first was caught."""
    if not acts:
        return
    if armed and random.random() < 0.5:
        armed.clear()
        raise Interrupt
    ask()


def through(function: Callable[[], object]) -> None:
    """Call until it ends by itself."""
    while True:
        try:
            armed.append(True)
            function()
            armed.clear()
        except Interrupt:
            continue
        return


def main() -> None:
    """Interrupt this thread while others use the same flights; then nothing is left of any."""
    faulthandler.dump_traceback_later(SECONDS + 60, exit=True)
    sys.setswitchinterval(1e-6)
    threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.0013)
    through(work)
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    for flights in several:
        for key in range(6):
            assert flights.do(key, lambda: 1) == 1
        assert flights._flights == []
    assert all(wait.over for wait in circles.here().waits)
    assert circles.enclosing() == []


if __name__ == "__main__" and hasattr(signal, "setitimer"):
    main()
