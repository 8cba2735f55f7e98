"""Measures how long operations take: `python -m benchmarks.run [--quick] [--only PATTERN] [--out FILE]`."""

from __future__ import annotations

import argparse
import fnmatch
import subprocess
import sys
import tempfile
from pathlib import Path

import pyperf

from benchmarks.cores import CORES, which_are_there
from benchmarks.facts import ROOT, command_line, default_file
from benchmarks.goals import goals_in_words
from benchmarks.operations import OPERATIONS
from benchmarks.results import Results, save
from benchmarks.sampling import Effort

__all__ = ["IMPORT", "select"]

IMPORT = "import"
_ROWS = [*(operation.name for operation in OPERATIONS), IMPORT]

_THOROUGH = Effort(seconds=0.002, rounds=31)
_QUICK = Effort(seconds=0.001, rounds=21)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.run", description="Measure operations of safemem beside those of its peers."
    )
    parser.add_argument("--quick", action="store_true", help="one process and shorter samples: about two minutes")
    parser.add_argument(
        "--only", action="append", metavar="PATTERN", help="rows whose name is, matches (lru-*) or contains this; may be repeated"
    )
    parser.add_argument("--core", choices=CORES, action="append", help="only this core (default: all that are there)")
    parser.add_argument("--processes", type=int, help="processes, one after the other (default 3, with --quick 1)")
    parser.add_argument("--out", type=Path, default=default_file(), metavar="FILE", help="where the results go (default: %(default)s)")
    parser.add_argument("--list", action="store_true", help="print the rows and stop")
    options = parser.parse_args(arguments)
    rows = select(_ROWS, options.only)
    if not rows:
        parser.error(f"no row is called like {options.only}; --list shows them all")
    if options.list:
        words = {operation.name: operation.words for operation in OPERATIONS}
        print("\n".join(f"{row:<24} {words.get(row, 'the first import in a fresh interpreter')}" for row in rows))
        return 0
    command = command_line("benchmarks.run", arguments)
    suite = _measure(
        which_are_there(options.core),
        rows,
        _QUICK if options.quick else _THOROUGH,
        options.processes or (1 if options.quick else 3),
        command,
    )
    save(suite, options.out)
    print("\n".join(["", *goals_in_words(Results(suite)), "", f"results: {options.out}"]))
    return 0


def select(rows: list[str], patterns: list[str] | None) -> list[str]:
    """Return the rows that one of the patterns names, or fits, or is part of; all of them if there are none."""
    if not patterns:
        return rows
    parts = [pattern for pattern in patterns if pattern not in rows]  # lru-hit-1000 is not to bring lru-hit-100000 with it
    return [
        row
        for row in rows
        if row in patterns or any(fnmatch.fnmatchcase(row, pattern) for pattern in patterns) or any(part in row for part in parts)
    ]


def _measure(cores: list[str], rows: list[str], effort: Effort, processes: int, command: str) -> pyperf.BenchmarkSuite:
    """Run the workers one after the other, and put their results together."""
    suite: pyperf.BenchmarkSuite | None = None
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "part.json"
        for process in range(processes):
            given = {
                "cores": ",".join(cores),
                "rows": ",".join(rows),
                "process": process,
                "seconds": effort.seconds,
                "rounds": effort.rounds,
                "command": command,
                "out": file,
            }
            options = [f"--{name}={value}" for name, value in given.items()]
            done = subprocess.run([sys.executable, "-m", "benchmarks.worker", *options], cwd=ROOT, check=False)
            if done.returncode:
                raise SystemExit(f"a process failed with status {done.returncode}")
            part = pyperf.BenchmarkSuite.load(str(file))
            if suite is None:
                suite = part
            else:
                suite.add_runs(part)
    assert suite is not None
    return suite


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
