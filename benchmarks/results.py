"""Results as pyperf keeps them: one benchmark for each row and contestant, one run for each process."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyperf

__all__ = ["ANY", "SUBJECT", "Ratio", "Results", "alone", "in_words", "make_benchmark", "save", "time_in_words"]

# Whom the others are compared with.
SUBJECT = "safemem"

# The core of what was measured where no safemem was around.
ANY = "any"

# What is smaller is noise, and makes the files long.
_DIGITS = 5


def alone(contestant: str) -> str:
    """Return the name for what a contestant does in one thread where it otherwise does it in two."""
    return f"{contestant}, one thread"


class Ratio(NamedTuple):
    """How safemem compares: its median divided by the other's, and the middle half of the rounds' ratios."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}-{self.high:.2f}]"


def make_benchmark(row: str, contestant: str, values: Sequence[float], about: Mapping[str, Any]) -> pyperf.Benchmark:
    """Return the benchmark of one process; `about` has its core and number and whatever else is known."""
    who = f"{contestant} {about['core']}" if contestant in {SUBJECT, alone(SUBJECT)} else contestant
    names = {"name": f"{row} [{who}]", "row": row, "contestant": contestant}
    run = pyperf.Run([float(f"{value:.{_DIGITS}g}") for value in values], metadata={**about, **names}, collect_metadata=False)
    return pyperf.Benchmark([run])


def save(suite: pyperf.BenchmarkSuite, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    suite.dump(str(file), replace=True)


class Results:
    """What was measured, to be read by row, core and contestant."""

    def __init__(self, suite: pyperf.BenchmarkSuite) -> None:
        self.facts: dict[str, Any] = suite.get_metadata()
        # row -> core -> contestant -> process -> values, each in the order of measuring
        self._values: dict[str, dict[str, dict[str, dict[int, tuple[float, ...]]]]] = {}
        dates: list[str] = []
        loads: list[float] = []
        for benchmark in suite:
            for run in benchmark.get_runs():
                about = run.get_metadata()
                cores = self._values.setdefault(about["row"], {})
                cores.setdefault(about["core"], {}).setdefault(about["contestant"], {})[about["process"]] = run.values
                dates.append(about["date"])
                loads.append(about.get("load_avg_1min", 0.0))
        self.date = min(dates)
        self.load_average = max(loads)

    @classmethod
    def load(cls, file: Path) -> Results:
        return cls(pyperf.BenchmarkSuite.load(str(file)))

    @property
    def rows(self) -> list[str]:
        return list(self._values)

    @property
    def cores(self) -> list[str]:
        """The cores of safemem that were measured, the pure one first."""
        return sorted({core for cores in self._values.values() for core in cores if core != ANY}, reverse=True)

    def contestants(self, row: str, core: str) -> list[str]:
        """Return who did it beside that core, safemem included."""
        cores = self._values.get(row, {})
        return [*cores.get(core, {}), *cores.get(ANY, {})]

    def _processes(self, row: str, core: str, contestant: str) -> dict[int, tuple[float, ...]]:
        cores = self._values.get(row, {})
        return cores.get(core, {}).get(contestant) or cores.get(ANY, {}).get(contestant) or {}

    def median(self, row: str, core: str, contestant: str = SUBJECT) -> float | None:
        """Return the median of all samples; None if there are none."""
        processes = self._processes(row, core, contestant)
        return statistics.median(value for values in processes.values() for value in values) if processes else None

    def ratio(self, row: str, core: str, contestant: str) -> Ratio | None:
        """Return how safemem compares with another; None if one of them was not there."""
        mine, other = self.median(row, core), self.median(row, core, contestant)
        if mine is None or other is None:
            return None
        theirs = self._processes(row, core, contestant)
        rounds = [
            first / second
            for process, values in self._processes(row, core, SUBJECT).items()
            for first, second in zip(values, theirs.get(process, ()), strict=False)
        ]
        value = mine / other
        low, _, high = statistics.quantiles(rounds, n=4) if len(rounds) > 1 else (value, value, value)
        return Ratio(value, low, high)


def time_in_words(seconds: float) -> str:
    for unit, factor in (("ns", 1e9), ("us", 1e6), ("ms", 1e3)):
        if seconds * factor < 10_000:
            return f"{seconds * factor:,.0f} {unit}" if seconds * factor >= 100 else f"{seconds * factor:.3g} {unit}"
    return f"{seconds:.1f} s"


def in_words(results: Results, row: str, core: str) -> str:
    """Return a row as a line of text: safemem's time, and its ratio to each of the others."""
    mine = results.median(row, core)
    parts = [f"{row:<22} {core:<6} {'' if mine is None else time_in_words(mine):>9} "]
    for contestant in results.contestants(row, core):
        ratio = results.ratio(row, core, contestant)
        if contestant != SUBJECT and ratio is not None:
            parts.append(f"{contestant} {ratio}")
    return "  ".join(parts)
