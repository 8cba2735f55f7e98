"""Running scripts in a control group with a limit on memory, where this machine lets us make one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import safemem

TESTS = Path(__file__).resolve().parent.parent
OLD, NEW = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@contextmanager
def group_of(limit: int) -> Iterator[Run]:
    """Make a group that may use so many bytes; hand out a function that runs a script of the tests in it. Skips where that cannot be."""
    folder, files = _make(limit)
    try:
        yield lambda script, *arguments, seconds=60.0: _run(folder / files[0], script, arguments, seconds)
    finally:
        for _ in range(100):
            try:
                folder.rmdir()
                break
            except OSError:  # the last process is on its way out
                time.sleep(0.05)


def _make(limit: int) -> tuple[Path, tuple[str, ...]]:
    name = f"safemem-tests-{os.getpid()}-{time.monotonic_ns()}"
    new = (NEW / "cgroup.controllers").exists() and "memory" in (NEW / "cgroup.subtree_control").read_text().split()
    folder = (NEW if new else OLD) / name
    try:
        folder.mkdir()
        (folder / ("memory.max" if new else "memory.limit_in_bytes")).write_text(str(limit))
        swap = folder / ("memory.swap.max" if new else "memory.swappiness")
        if swap.exists():
            swap.write_text("0")
    except OSError as error:
        if folder.exists():
            folder.rmdir()
        pytest.skip(f"no control group with a limit can be made here: {error}")
    return folder, ("cgroup.procs",)


def _run(procs: Path, script: Path, arguments: tuple[str, ...], seconds: float) -> subprocess.CompletedProcess[str]:
    # The script enters the group itself: a hook between fork and exec would not go with threads.
    enter = f"open({str(procs)!r}, 'w').write('0'); import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    paths = os.pathsep.join([str(Path(safemem.__file__).parent.parent), str(TESTS)])
    return subprocess.run(
        [sys.executable, "-c", enter, str(script), *arguments],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        env={**os.environ, "PYTHONPATH": paths},
    )
