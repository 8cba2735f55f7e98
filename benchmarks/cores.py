"""The cores of safemem that are there, and the environment that asks for one."""

from __future__ import annotations

import os
import subprocess
import sys

from benchmarks.facts import ROOT

__all__ = ["CORES", "environment", "which_are_there"]

# What SAFEMEM_PURE must be.
CORES = {"pure": "1", "native": "0"}


def environment(core: str) -> dict[str, str]:
    """Return the environment of a process that runs on that core."""
    return {**os.environ, "SAFEMEM_PURE": CORES[core]}


def which_are_there(wanted: list[str] | None) -> list[str]:
    """Return those of the cores that can be imported, and say why the others cannot; SystemExit if there is none."""
    found: list[str] = []
    for core in wanted or CORES:
        command = [sys.executable, "-c", "import safemem"]
        done = subprocess.run(command, env=environment(core), cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            found.append(core)
        else:
            print(f"without the {core} core: {done.stderr.strip().splitlines()[-1]}", flush=True)
    if not found:
        raise SystemExit("safemem cannot be imported")
    return found
