"""Counts who survives when the application needs its part of the memory: `python -m benchmarks.burst [--runs N] [--limits cgroup,...] [--out FILE]`.

A service fills its cache; then, ten times over, the application takes 40 % of the limit and returns it (see `benchmarks.service`). The peers get the
largest bound that is fine as long as nothing is taken, found by bisection. The hits are compared with those of the same cache without a budget and
with the largest bound that survives it all, found in the same way, which nobody could have known before. Limits are a control group, for which one must be allowed to make one, and resource limits.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.facts import ROOT, command_line, default_file
from benchmarks.service import MB, SHARE
from safemem.demo.short_of_memory import control_group

__all__ = ["LIMITS", "Ended", "measure"]

LIMITS = ("cgroup", "RLIMIT_AS", "RLIMIT_DATA")
PEERS = ("dict", "lru_cache", "cachetools", "cachebox")
SIZE = 128 * MB
BURSTS = 10
CORE = "native"
_MOST = 100_000  # entries
_FINEST = 1000
_SURE = 3  # times that a bound has to be fine, each with other requests

_ENTER = """
import runpy, sys
procs = sys.argv.pop(1)
if procs:
    with open(procs, "w") as file:
        file.write("0")
runpy.run_module("benchmarks.service", run_name="__main__")
"""


class Ended:
    """How one run ended, and what it said before."""

    def __init__(self, status: int, phases: list[dict[str, Any]], words: str) -> None:
        self.status = status
        self.phases = phases
        self.words = words

    @property
    def survived(self) -> bool:
        return self.status == 0

    @property
    def hits(self) -> int:
        """All hits, from the first request on."""
        return sum(phase["hits"] for phase in self.phases)

    def p99(self, phase: str) -> float | None:
        """Return the longest that 99 % of the puts took, in seconds: the median of all phases of this name."""
        found = [each["p99"] for each in self.phases if each["phase"] == phase and "p99" in each]
        return statistics.median(found) if found else None


def run(kind: str, bound: int, limit: str, bursts: int, *, seed: int = 1, core: str = CORE) -> Ended:
    """Run the service once."""
    environment = {**os.environ, "SAFEMEM_PURE": str(int(core == "pure")), "PYTHONPATH": str(ROOT)}
    with control_group(SIZE) if limit == "cgroup" else nullcontext("") as procs:
        if limit == "cgroup" and not procs:
            raise SystemExit("no control group with a limit can be made here: try --limits RLIMIT_AS,RLIMIT_DATA")
        command = [sys.executable, "-c", _ENTER, procs, *map(str, (kind, bound, limit, SIZE, bursts, seed))]
        ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False)
    return Ended(ended.returncode, [json.loads(line) for line in ended.stdout.splitlines()], ended.stderr)


def largest(fine: Callable[[int], bool], low: int = 0, high: int = _MOST) -> int:
    """Return the largest bound that is fine, to within a few hundred entries."""
    while high - low > _FINEST:
        middle = (low + high) // 2
        low, high = (middle, high) if fine(middle) else (low, middle)
    return low


def always(kind: str, limit: str, bursts: int, core: str = CORE) -> Callable[[int], bool]:
    """Return a function that says whether a bound is survived every time."""
    return lambda bound: all(run(kind, bound, limit, bursts, seed=seed, core=core).survived for seed in range(1, _SURE + 1))


def _after(phases: Iterable[dict[str, Any]]) -> str:
    """Say how far a run got."""
    names = [phase["phase"] for phase in phases]
    return f"burst {names.count('burst') + 1}" if "quiet" in names else "before any burst"


def measure(limit: str, runs: int, cores: Iterable[str], found: dict[str, Any], tell: Callable[[str], None]) -> None:
    """Add what happens under one limit to what has been found before: about peers nothing is asked twice."""
    for kind in PEERS if limit == "cgroup" else ():
        if kind in found.setdefault("peers", {}) or (kind not in {"dict", "lru_cache"} and find_spec(kind) is None):
            continue
        bound = largest(always(kind, limit, 0))
        ends = [run(kind, bound, limit, BURSTS, seed=seed) for seed in range(1, _SURE + 1)]
        killed = [_after(each.phases) for each in ends if not each.survived]
        found["peers"][kind] = {"bound": bound, "runs": len(ends), "survived": len(ends) - len(killed), "killed": killed}
        tell(f"{limit} {kind}: {found['peers'][kind]}")
    for core in cores:
        found.setdefault("cores", {})[core] = _with_a_budget(limit, runs, core)
        tell(f"{limit} budget, {core} core: {found['cores'][core]}")


def _with_a_budget(limit: str, runs: int, core: str) -> dict[str, Any]:
    bound = largest(always("fixed", limit, BURSTS, core))
    best = statistics.median(run("fixed", bound, limit, BURSTS, seed=seed, core=core).hits for seed in range(1, _SURE + 1))
    ends = [run("budget", 0, limit, BURSTS, seed=seed, core=core) for seed in range(1, runs + 1)]
    alive = [each for each in ends if each.survived]
    return {
        "hindsight": bound,
        "runs": runs,
        "survived": len(alive),
        "hits": statistics.median(each.hits / best for each in alive) if alive else None,
        "quiet": _median(each.p99("quiet") for each in alive),
        "burst": _median(each.p99("burst") for each in alive),
        "died": [f"{_after(each.phases)}: {each.words[-200:]}" for each in ends if not each.survived],
    }


def _median(numbers: Iterable[float | None]) -> float | None:
    known = [number for number in numbers if number is not None]
    return statistics.median(known) if known else None


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.burst", description="Who survives when the application needs its part.")
    parser.add_argument(
        "--runs", type=int, default=20, metavar="N", help="runs with a budget, for each limit and core (default: %(default)s)"
    )
    parser.add_argument("--limits", default=",".join(LIMITS), metavar="LIST", help="default: %(default)s")
    parser.add_argument("--cores", default="native,pure", metavar="LIST", help="default: %(default)s")
    parser.add_argument("--out", type=Path, default=default_file("-burst"), metavar="FILE", help="default: %(default)s")
    options = parser.parse_args(arguments)
    found: dict[str, Any] = json.loads(options.out.read_text(encoding="utf-8")) if options.out.exists() else {}
    found |= {
        "python": sys.version.split()[0],
        "command": command_line("benchmarks.burst", []),
        "size": SIZE,
        "share": SHARE,
        "bursts": BURSTS,
    }
    for limit in options.limits.split(","):
        here = found.setdefault("limits", {}).setdefault(limit, {})
        measure(limit, options.runs, options.cores.split(","), here, lambda line: print(line, flush=True))
        options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
