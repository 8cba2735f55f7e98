"""Random making, attaching, forking and killing with sweepers at work; SAFEMEM_CHAOS in the environment says how many seconds it lasts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import safemem

SCRIPT = Path(__file__).parent / "scripts" / "chaos.py"
SECONDS = float(os.environ.get("SAFEMEM_CHAOS") or 3)


@pytest.mark.skipif(sys.platform != "linux", reason="the programs look into /dev/shm")
def test_nothing_taken_and_nothing_left(tmp_path):
    """No name that somebody holds is removed, nobody sees what is half made, and one sweep leaves nothing."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(SECONDS), "seed"],
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS + 120,
        env={
            **os.environ,
            "PYTHONPATH": str(Path(safemem.__file__).parent.parent),
            "SAFEMEM_GUARDIAN": "",
            "SAFEMEM_TEST_TOP": str(os.getpid()),
            "TMPDIR": str(tmp_path),
        },
    )
    assert done.stderr == ""
    assert done.returncode == 0
    *complaints, summary = map(json.loads, done.stdout.splitlines())
    print(summary)
    assert complaints == []
    assert summary.pop("left") == []
    assert summary["killed"] > 0
    assert summary["made"] > 0
    assert os.listdir(tmp_path) == []
