"""The benchmark of two caches of very different cost and size runs, and the budget saves what it is there for."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def test_two_caches_of_very_different_cost_and_size(tmp_path):
    """A budget that knows the costs saves more than a fixed split, and more than one LRU for both."""
    out = tmp_path / "budget.json"
    command = [sys.executable, "-m", "benchmarks.budget", "--quick", "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    split, one, budget = map(
        statistics.median, zip(*(saved.values() for saved in json.loads(out.read_text(encoding="utf-8"))["saved"]), strict=True)
    )
    assert budget > 1.3 * split
    assert budget > 1.1 * one
