"""Running a script in a process of its own, within a limit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import safemem

TESTS = Path(__file__).resolve().parent.parent


def run_script(path: Path, *arguments: str, limit: float = 60.0, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a Python script with warnings as errors; return it finished, whatever its status."""
    # The package this process tests, installed or not, and not whatever lies next to the tests.
    paths = os.pathsep.join([str(Path(safemem.__file__).parent.parent), str(TESTS)])
    return subprocess.run(
        [sys.executable, "-W", "error", "-X", "faulthandler", str(path), *arguments],
        capture_output=True,
        text=True,
        timeout=limit,
        check=False,
        env={**os.environ, "PYTHONPATH": paths, **environment},
    )


def run_code(code: str, *options: str, limit: float = 60.0, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a piece of Python, with options for the interpreter; return it finished, whatever its status."""
    paths = os.pathsep.join([str(Path(safemem.__file__).parent.parent), str(TESTS)])
    return subprocess.run(
        [sys.executable, "-P", *options, "-c", code],
        capture_output=True,
        text=True,
        timeout=limit,
        check=False,
        env={**os.environ, "PYTHONPATH": paths, **environment},
    )


def assert_clean(done: subprocess.CompletedProcess[str]) -> None:
    """Fail with everything the script said unless it ended with 0; a death by signal is a negative status."""
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert not done.stderr, done.stderr
