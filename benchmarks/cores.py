"""The cores of safemem that are there, one at a time in an environment that asks for it, or all in one process."""

from __future__ import annotations

import os
import subprocess
import sys

from benchmarks.facts import ROOT
from benchmarks.peers import Peer, load_one
from benchmarks.results import SUBJECT

__all__ = ["CORES", "environment", "load_cores", "which_are_there"]

# What SAFEMEM_PURE must be.
CORES = {"pure": "1", "native": "0"}


def environment(core: str) -> dict[str, str]:
    """Return the environment of a process that runs on that core."""
    return {**os.environ, "SAFEMEM_PURE": CORES[core]}


def load_cores(cores: list[str]) -> list[Peer]:
    """Import safemem once for each of the cores, so that they can be measured in turn like strangers, and return them."""
    return [_load_core(core) for core in cores]


def _load_core(core: str) -> Peer:
    before = os.environ.get("SAFEMEM_PURE")
    for name in [name for name in sys.modules if name.partition(".")[0] == "safemem" or name == f"benchmarks.peers._{SUBJECT}"]:
        del sys.modules[name]
    os.environ["SAFEMEM_PURE"] = CORES[core]
    try:
        return load_one(SUBJECT)
    finally:
        if before is None:
            del os.environ["SAFEMEM_PURE"]
        else:
            os.environ["SAFEMEM_PURE"] = before


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
