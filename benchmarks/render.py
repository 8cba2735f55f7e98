"""Writes docs/benchmarks.md from the results: `python -m benchmarks.render [--results DIR] [--out FILE]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import tables
from benchmarks.facts import ROOT
from benchmarks.operations import GROUPS
from benchmarks.results import Results

_INTRODUCTION = """\
# Benchmarks

% Written by `python -m benchmarks.render` from benchmarks/results/: change that, not this.

What operations cost in time and memory, beside a plain dict, the standard library and the libraries that do the same job.
The figures are from one machine; what carries over to others is the ratios.

## Run it yourself

From a checkout, on a machine that has little else to do:

```sh
.venv/bin/pip install -e '.[bench]'
.venv/bin/python -m benchmarks.run                    # times; --quick, --only 'lru-*', --list
.venv/bin/python -m benchmarks.memory                 # bytes per entry, pauses of the garbage collector
.venv/bin/python -m benchmarks.threads                # two threads and one cache, for a Python without the GIL
.venv/bin/python -m benchmarks.render                 # writes this page
.venv/bin/python -m pyperf compare_to OLD.json NEW.json
```

Who is not installed is left out; fastcache, which needs a compiler, is not part of the extra.
Each core of safemem that is there is measured, both in the same processes, sample by sample in turn with everybody else.
The results in `benchmarks/results/` are files of [pyperf](https://pypi.org/project/pyperf/), with every sample.

## How it is measured

* A row is one statement, such as `c[k]`, in a loop over keys; each library has its own code for it.
* A sample is as many statements as take one or two milliseconds, after a thousand that are not counted.
  In each round everybody gives one sample, in another order each time, so that what disturbs the machine disturbs all alike.
* Time is the processor time of the process, so that waiting for other processes is not part of it; but for the rows that say "by the clock".
* Shared memory is compared like with like. `SharedMemory` gives a segment a size but no memory, which comes page by page with the first writes;
  `managed_shm` has it at once, so that a lack of it is an error and no signal (`prealloc`). So there are rows in which neither has it (`prealloc=False`)
  and rows in which both have written it all; one row shows the price of the default. They go by the clock, as half of what the standard library does is
  done by another process, its resource tracker, which on a machine with a processor to spare costs the caller only the waking.
* A figure is the median of all samples, a ratio that of two medians.
* The loop and the keys are part of each figure; what they cost alone is the last column. Nothing is subtracted.
* Before samples are taken, every statement is checked to return what the row says, and hits are checked not to call the function.
* `dict`, which has no bound, is there for what a lookup costs at least.
* The garbage collector is on. What was built before the samples is kept out of its sight, so that nobody pays for the objects of another.
* Bytes and pauses are from a process for each number, with one container in it.

## What this is blind to

* Threads: nobody has to wait for a lock here, but in the table about two threads.
* Hit ratios: theine and moka-py may keep other entries than an LRU, and a better choice can be worth more than all of these figures.
* Keys with `__eq__` and `__hash__` in Python, which cost more than any cache.
* A cold processor cache: a thousand entries in a loop stay in it. The rows with 100,000 entries show the other end:
  what the others did meanwhile has driven them out of it. In those that say "over and over" everything is read once before each sample.
* Luck: in one process of ten or so, a row takes a fifth to a half longer throughout for one of the libraries, by where its objects happen to lie.
  `--quick` has one process, the default is three, and the median of all samples is given; more processes (`--processes`) tell luck from loss.
* The longest pause: medians hide what happens once in a thousand operations. The collector's pauses have a table of their own.
* Resident memory is that of the whole process, in pages; `tracemalloc` sees only what Python's allocators gave out, which is next to nothing of what is written in Rust.
"""

# What the names of results end in that are no table of operations of their own; those of budgets are in docs/concepts/budgets.md.
_OTHERS = ("-memory", "-threads", "-burst", "-budget")


def page(results: Path) -> str:
    """Return the whole page."""
    files = sorted((file for file in results.glob("*.json") if not file.stem.endswith(_OTHERS)), key=_version, reverse=True)
    if not files:
        raise SystemExit(f"no results in {results}: run python -m benchmarks.run first")
    measured: dict[str, list[Results]] = {}
    for file in files:
        found = [path for path in (file, file.with_name(f"{file.stem}-memory.json")) if path.exists()]
        times = [Results.load(path) for path in found]
        measured[_python(times[0])] = times
    threads = [Results.load(file) for file in sorted(results.glob("*-threads.json"))]
    aims = {python: list(several) for python, several in measured.items()}
    for each in threads:
        aims.setdefault(_python(each), []).append(each)
    parts = [_INTRODUCTION, _goals(aims), _losses(measured)]
    parts += [section for python, several in measured.items() for section in _sections(python, several)]
    parts += [f"## {_python(each)}: two threads\n\n{_facts([each])}\n{_THREADS}\n\n{tables.threads_table(each)}\n" for each in threads]
    return "\n".join(part for part in parts if part)


def _python(results: Results) -> str:
    name = f"{results.facts['python_implementation']} {results.facts['python_version']}"
    return f"{name}, free-threaded" if "no GIL" in results.facts["build"] else name


def _version(file: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in file.stem.rpartition("-")[2].rstrip("t").split("."))


def _goals(measured: dict[str, list[Results]]) -> str:
    goals = tables.goals_table(measured)
    if not goals:
        return ""
    return f"## What is aimed at\n\nSafemem's median divided by the other's, and the middle half of the rounds' ratios.\n\n{goals}\n"


def _losses(measured: dict[str, list[Results]]) -> str:
    lines = ["## Where safemem loses", "", _LOSSES, ""]
    for python, (times, *memory) in measured.items():
        for core in times.cores:
            found = [tables.losses(times, core), *(tables.memory_losses(results, core) for results in memory)]
            lines += [f"{python}, {core} core:", "", "\n".join(text for text in found if text) or "* nowhere.", ""]
    return "\n".join(lines)


def _sections(python: str, several: list[Results]) -> list[str]:
    times, *memory = several
    parts: list[str] = []
    for core in times.cores:
        parts += [f"## {python}, {core} core\n", _facts(several)]
        for group, title in GROUPS.items():
            if found := tables.times_table(times, group, core):
                parts += [
                    f"### {title}\n",
                    f"Nanoseconds; in brackets: safemem's time divided by it.\n{tables.spread(times, group, core)}\n",
                    f"{found}\n",
                ]
        if found := tables.growth_table(times, core):
            parts += ["### With the number of entries\n", f"{_GROWTH}\n", f"{found}\n"]
        for results in memory:
            if found := tables.bytes_table(results, core):
                parts += ["### Bytes per entry\n", "Without the keys and the values themselves, which are strings.\n", f"{found}\n"]
            if found := tables.pause_table(results, core):
                parts += ["### Pause of a full garbage collection\n", f"{_PAUSE}\n", f"{found}\n"]
        if found := tables.import_table(times, core):
            parts += ["### Import\n", "The first one in a fresh interpreter, compiled files being there.\n", f"{found}\n"]
    return parts


_LOSSES = """\
Rows in which it takes more than 1.05 times as much as the other, with the ratio; `python -m benchmarks.run --list` says what the rows are.
A dict is left out: it has no bound, no order and no lock."""

_GROWTH = """\
How many times as long one operation takes among many entries as among few.
What a dict has here is memory: a hundred times the entries do not fit into the processor's caches, and keys in random order find them nowhere.
The rows with hot keys are free of that."""

_THREADS = """\
Nanoseconds for one operation: in one thread; and in two that use the same container at once, each with half of the operations, until both are
through; in brackets the second divided by the first. 0.5 is twice as fast, 1 is what threads would take one after the other.
Time is that of the clock on the wall, and each thread has a processor of its own where the system allows it."""

_PAUSE = """\
Milliseconds that `gc.collect()` takes, with one container of so many entries and little else in the process.
`nobody` is the same process with no container.
lru-dict and moka-py hide their contents from the collector: no pause, and a cycle that goes through them is never freed."""


def _facts(several: list[Results]) -> str:
    times = several[0]
    commands = [f"* `{results.facts['command']}` on {results.date[:16]}, load up to {results.load_average:.1f}" for results in several]
    lines = [
        *commands,
        f"* machine: {times.facts.get('cpu_model_name', 'unknown')}, {times.facts['cpu_count']} processors, {times.facts['platform']}",
        f"* Python: {times.facts['python_implementation']} {times.facts['python_version']}, {times.facts['build']}",
        f"* libraries: {times.facts['versions']}",
        f"* not there: {times.facts['absent']}",
        "",
    ]
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.render", description="Write the page with the results.")
    parser.add_argument(
        "--results", type=Path, default=Path(__file__).resolve().parent / "results", metavar="DIR", help="default: %(default)s"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "benchmarks.md", metavar="FILE", help="default: %(default)s")
    options = parser.parse_args(arguments)
    options.out.write_text(page(options.results), encoding="utf-8")
    print(f"written: {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
