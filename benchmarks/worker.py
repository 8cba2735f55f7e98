"""One process of the runner: safemem with each of its cores, and its peers beside it. Started by `benchmarks.run`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pyperf

from benchmarks.cores import load_cores
from benchmarks.facts import facts
from benchmarks.imports import measure_imports
from benchmarks.operations import OPERATIONS
from benchmarks.peers import load
from benchmarks.results import ANY, SUBJECT, Results, in_words, make_benchmark, save
from benchmarks.run import IMPORT
from benchmarks.sampling import Effort, contest

_IMPORT_ROUNDS = 15


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.worker", description=__doc__)
    parser.add_argument("--cores", required=True, help="names, with commas between")
    parser.add_argument("--rows", required=True, help="names, with commas between")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--process", required=True, type=int)
    parser.add_argument("--seconds", required=True, type=float)
    parser.add_argument("--rounds", required=True, type=int)
    parser.add_argument("--command", required=True)
    options = parser.parse_args()

    installed, absent = load()
    about = {**facts(installed, absent, options.command), "process": options.process}
    cores = options.cores.split(",")
    peers = [*load_cores(cores), *(peer for peer in installed if peer.name != SUBJECT)]
    rows = set(options.rows.split(","))
    benchmarks: list[pyperf.Benchmark] = []
    for operation in OPERATIONS:
        if operation.name in rows:
            taken = contest(operation, peers, Effort(options.seconds, options.rounds))
            benchmarks += [
                make_benchmark(
                    operation.name,
                    each.name,
                    each.values,
                    {**about, "core": each.core, "loops": each.loops, "inner_loops": each.inner_loops},
                )
                for each in taken
            ]
            _tell(benchmarks[-len(taken) :], operation.name, cores)
    if IMPORT in rows:
        imported = measure_imports(peers, _IMPORT_ROUNDS)
        benchmarks += [make_benchmark(IMPORT, peer.name, values, {**about, "core": peer.core or ANY}) for peer, values in imported]
        _tell(benchmarks[-len(imported) :], IMPORT, cores)
    save(pyperf.BenchmarkSuite(benchmarks), options.out)


def _tell(benchmarks: list[Any], row: str, cores: list[str]) -> None:
    results = Results(pyperf.BenchmarkSuite(benchmarks))
    print("\n".join(in_words(results, row, core) for core in cores), flush=True)


if __name__ == "__main__":
    main()
