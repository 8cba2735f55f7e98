"""The first process of a container, with whose end the system kills all others: the guardian cannot help there, the exit and a sweep can."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import safemem
from safemem.resources.sweep import sweep

SCRIPT = Path(__file__).parent / "scripts" / "mortal.py"
UNSHARE = ["unshare", "--pid", "--fork", "--kill-child"]
SOFT = ["normal", "exception", "sys.exit", "SIGINT"]
# Signals that have no handler do nothing to such a process, unless they come from outside and cannot be caught.
HARD = ["os._exit", "execv", "abort", "fault", "SIGKILL"]
OFF = ["", "exit", "guardian"]
FULL = os.environ.get("SAFEMEM_MATRIX") == "full"
CELLS = [(way, off) for i, way in enumerate([*SOFT, *HARD]) for j, off in enumerate(OFF) if FULL or i % 3 == j]


@pytest.fixture(scope="module", autouse=True)
def allowed():
    """Skip where this cannot be tried."""
    try:
        tried = subprocess.run([*UNSHARE, "true"], check=False, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no unshare(1)")
    if tried.returncode:
        pytest.skip(f"may not make a PID namespace: {tried.stderr.strip()}")


def run(directory: Path, way: str, off: str) -> tuple[list[str], str]:
    """Run a program as the first process; return what it made and what it said."""
    spec = {"role": "alone", "method": "", "started": "", "log": str(directory / "log")}
    process = subprocess.Popen(
        [*UNSHARE, sys.executable, str(SCRIPT), "alone", json.dumps([spec, [way, off]])],
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": str(Path(safemem.__file__).parent.parent),
            "SAFEMEM_GUARDIAN": "",
            "SAFEMEM_TEST_TOP": "0",
            "SAFEMEM_TEST_TREE": spec["log"],
            "TMPDIR": str(directory),
        },
    )
    log = directory / "log"
    if way == "SIGKILL":
        limit = time.monotonic() + 30
        while not (log.exists() and log.read_text(encoding="utf-8").endswith("\n")):
            assert time.monotonic() < limit
            time.sleep(0.01)
        (first,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii").split()
        os.kill(int(first), signal.SIGKILL)
    errors = process.communicate(timeout=60)[1]
    assert log.exists(), (process.returncode, errors)
    (line,) = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert line["pid"] == 1
    return line["made"], errors


@pytest.mark.parametrize(("way", "off"), CELLS)
def test_every_end(tmp_path, way, off):
    """Nothing is left after a soft end, and nothing after one sweep in any case; nothing is said but of the way to die."""
    made, errors = run(tmp_path, way, off)
    if way in SOFT and off != "exit":
        assert [path for path in made if os.path.lexists(path)] == []
    sweep(directories=[tmp_path])
    assert [path for path in made if os.path.lexists(path)] == []
    said = [line for line in errors.splitlines() if not line.startswith((" ", "Traceback", "unshare: "))]
    assert said == {"exception": ["RuntimeError: as told"], "SIGINT": ["KeyboardInterrupt"]}.get(way, [])
