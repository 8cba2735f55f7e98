"""Running something in a forked child, and where that may be tested."""

from __future__ import annotations

import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable

import pytest

from .threads import LIMIT

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")

# A lock that another thread is just being handed when the process forks; a dict is left locked in the child as well.
forks_while_locked = pytest.mark.skipif(
    not getattr(sys, "_is_gil_enabled", lambda: True)(),
    reason="without a GIL, a fork leaves the interpreter's own locks locked now and then",
)


def in_child(work: Callable[[], object]) -> int:
    """Fork; run `work` in the child; return its exit status, or the negative signal if it did not end in time."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads around is what is tested here
        pid = os.fork()
    if pid == 0:
        status = 1
        try:
            signal.alarm(int(LIMIT))
            work()
            status = 0
        except BaseException:  # noqa: BLE001 - a child must not return into pytest
            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
