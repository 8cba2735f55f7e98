"""Measures bytes per entry and pauses of the garbage collector: `python -m benchmarks.memory [--quick] [--only PATTERN] [--out FILE]`.

Each number is from a process of its own that holds a single container.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyperf

from benchmarks.container import NOBODY
from benchmarks.cores import environment, which_are_there
from benchmarks.facts import ROOT, command_line, default_file, facts
from benchmarks.goals import goals_in_words
from benchmarks.peers import Peer, load
from benchmarks.results import ANY, SUBJECT, Results, make_benchmark, save
from benchmarks.run import select

__all__ = ["BYTES", "KINDS", "PAUSES", "Row", "rows_of"]

BYTES = {"rss": "resident memory", "traced": "`tracemalloc`"}
PAUSES = {"pause": "`str: int`", "pause-list": "one list among the values"}
KINDS = {
    "lru": "LRU cache",
    "ttl": "TTL cache",
    "lru_cache": "`lru_cache`",
    "weak": "`WeakCache(n)`",
    "weak bare": "`WeakCache(0)`",
    "signal idle": "instance with a signal that nobody has used",
    "signal in use": "signal of an instance, with one receiver",
}

# All but the first are just past a power of two, where tables that double are at their emptiest.
_ENTRIES = [500_000, 132_000, 530_000, 1_050_000]
_PAUSE_ENTRIES = [1_000_000]
_INSTANCES = 50_000


@dataclass(frozen=True)
class Row:
    """One thing to measure, of one kind of container with so many entries."""

    method: str
    kind: str
    n: int

    @property
    def name(self) -> str:
        method, _, variant = self.method.partition("-")
        return "-".join(part for part in (method, self.kind, variant, str(self.n)) if part)

    @classmethod
    def named(cls, name: str) -> Row:
        method, kind, *variant, n = name.split("-")
        return cls("-".join([method, *variant]), kind, int(n))


def rows_of(entries: list[int], pause_entries: list[int]) -> list[Row]:
    """Return all rows for these numbers of entries."""
    containers = [kind for kind in KINDS if not kind.startswith("signal")]
    sizes = [Row(method, kind, n) for n in entries for kind in containers for method in BYTES]
    sizes += [Row(method, kind, _INSTANCES) for kind in KINDS if kind not in containers for method in BYTES]
    # A function chooses its values itself: none of them is a list. Weak containers hold no numbers.
    pauses = [Row(method, kind, n) for n in pause_entries for kind in containers if not kind.startswith("weak") for method in PAUSES]
    return sizes + [row for row in pauses if (row.method, row.kind) != ("pause-list", "lru_cache")]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.memory", description="Measure bytes per entry and pauses of the garbage collector."
    )
    parser.add_argument("--quick", action="store_true", help="one process for each number, and one number of entries")
    parser.add_argument(
        "--only", action="append", metavar="PATTERN", help="rows whose name is, matches (rss-*) or contains this; may be repeated"
    )
    parser.add_argument("--core", choices=["pure", "native"], action="append", help="only this core (default: all that are there)")
    parser.add_argument("--entries", type=int, nargs="+", metavar="N", help=f"for bytes per entry (default {_ENTRIES})")
    parser.add_argument("--pause-entries", type=int, nargs="+", metavar="N", help=f"for pauses (default {_PAUSE_ENTRIES})")
    parser.add_argument(
        "--out", type=Path, default=default_file("-memory"), metavar="FILE", help="where the results go (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    every = rows_of(options.entries or (_ENTRIES[:1] if options.quick else _ENTRIES), options.pause_entries or _PAUSE_ENTRIES)
    names = select([row.name for row in every], options.only)
    if not names:
        parser.error(f"no row is called like {options.only}")
    rows = [row for row in every if row.name in names]
    peers, absent = load()
    cores = which_are_there(options.core)
    about = facts(peers, absent, command_line("benchmarks.memory", arguments))
    save(pyperf.BenchmarkSuite(list(_measure(rows, peers, cores, 1 if options.quick else 3, about))), options.out)
    print("\n".join(["", *goals_in_words(Results.load(options.out)), "", f"results: {options.out}"]))
    return 0


def _measure(rows: list[Row], peers: list[Peer], cores: list[str], processes: int, about: dict[str, Any]) -> Iterator[pyperf.Benchmark]:
    for row in rows:
        contestants = [(SUBJECT, core) for core in cores]
        contestants += [(peer.name, ANY) for peer in peers if row.kind in peer.offers and peer.name != SUBJECT]
        if row.method in PAUSES or row.kind == "signal idle":
            contestants.append((NOBODY, ANY))
        values: dict[tuple[str, str], list[float]] = {contestant: [] for contestant in contestants}
        for _ in range(1 if row.method == "traced" else processes):  # tracemalloc counts, and counts the same each time
            for name, core in contestants:
                # What an allocator of its own gives out tracemalloc does not see: no number is better than zero.
                values[name, core] += [value for value in _ask(row, name, core) if value > 0.5 or row.method in PAUSES]
        unit = "byte" if row.method in BYTES else "second"
        for (name, core), taken in values.items():
            if taken:
                yield make_benchmark(row.name, name, taken, {**about, "core": core, "process": 0, "unit": unit})
        print(f"{row.name:<24}", ", ".join(_in_words(name, core, taken, unit) for (name, core), taken in values.items()), flush=True)


def _ask(row: Row, name: str, core: str) -> list[float]:
    command = [sys.executable, "-m", "benchmarks.container", row.method, row.kind, name, str(row.n)]
    env = environment("pure" if core == ANY else core)
    done = subprocess.run(command, cwd=ROOT, env=env, check=True, stdout=subprocess.PIPE, text=True, timeout=600)
    answer: list[float] = json.loads(done.stdout)
    return answer


def _in_words(name: str, core: str, values: list[float], unit: str) -> str:
    who = name if core == ANY else f"{name} {core}"
    if not values:
        return f"{who} not seen"
    middle = sorted(values)[len(values) // 2]
    return f"{who} {middle:.1f} B" if unit == "byte" else f"{who} {middle * 1e3:.2f} ms"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
