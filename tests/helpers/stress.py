"""What a stress script needs: how long to run, and many threads that start together."""

from __future__ import annotations

import faulthandler
import os
import random
import sys
import time
from collections.abc import Callable

from .threads import run_threads

SECONDS = float(os.environ.get("SAFEMEM_STRESS_SECONDS", "10"))
THREADS = 8


def stress(work: Callable[[random.Random], object], *, threads: int = THREADS, seconds: float = SECONDS) -> None:
    """Call `work(dice)` again and again in many threads; a hang ends the process with a traceback of every thread."""
    faulthandler.dump_traceback_later(seconds + 60, exit=True)
    sys.setswitchinterval(1e-6)
    end = time.monotonic() + seconds

    def run(number: int) -> None:
        dice = random.Random(f"{number} {time.time()}")
        while time.monotonic() < end:
            work(dice)

    run_threads(threads, run, limit=seconds + 30)
    faulthandler.cancel_dump_traceback_later()
