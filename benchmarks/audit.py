"""Measures what the audit costs on a large heap: `python -m benchmarks.audit [--quick] [--objects N] [--out FILE]`.

Times are medians of the processor time of the process; the peers do what comes nearest to the same, on the same heap, in the same process. Memory is
the most that a round takes above what was in use before. With SAFEMEM_PURE=1 the figures are those of the core in Python.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import statistics
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path

from safemem import check_leaks, monitor, watch, why_alive
from safemem.core import CORE

__all__ = ["costs", "make_heap"]


class Node:
    """One object of the heap, with a dict and a list of its own."""

    def __init__(self, number: int) -> None:
        self.content = {"number": number, "more": []}


heap: list[Node] = []


def make_heap(objects: int) -> None:
    """Fill the module's list until the collector knows this many objects."""
    heap.extend(map(Node, range((objects - len(gc.get_objects())) // 3)))
    gc.collect()


def _seconds(call: Callable[[], object], times: int) -> float:
    samples: list[float] = []
    for _ in range(times):
        started = time.process_time()
        call()
        samples.append(time.process_time() - started)
    return statistics.median(samples)


def _nothing() -> None:
    """Be the function that is checked."""


def _round(times: int) -> float:
    """Return the seconds of one more round, besides the function's own time."""
    few, many = 2, 6
    return (_seconds(lambda: check_leaks(_nothing, rounds=many), times) - _seconds(lambda: check_leaks(_nothing, rounds=few), times)) / (
        many - few
    )


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _watch(count: int) -> float:
    """Return the seconds for one object; they are gone before anybody looks."""
    objects = [Node(0) for _ in range(count)]
    started = time.process_time()
    for obj in objects:
        watch(obj)
    return (time.process_time() - started) / count


def _tick(count: int) -> float:
    """Return the seconds that a monitor takes for one tick, the dear readings of every tenth among them."""
    watching = monitor(3600)
    started = time.process_time()
    for _ in range(count):
        watching.tick()
    return (time.process_time() - started) / count


def _peers() -> Iterable[tuple[str, Callable[[], object]]]:
    try:
        objgraph = import_module("objgraph")
    except ImportError:
        pass
    else:
        known: dict[str, int] = {}
        yield "objgraph: growth()", lambda: objgraph.growth(peak_stats=known)
        yield "objgraph: find_backref_chain()", lambda: objgraph.find_backref_chain(heap[-1], objgraph.is_proper_module)
    try:
        muppy, summary = import_module("pympler.muppy"), import_module("pympler.summary")
    except ImportError:
        pass
    else:
        yield "Pympler: summarize(get_objects())", lambda: summary.summarize(muppy.get_objects())


def _traced(objects: int) -> float:
    """Return the seconds that a snapshot and its comparison take, after the heap was made anew with tracemalloc on."""
    heap.clear()
    tracemalloc.start()
    try:
        make_heap(objects)
        first = tracemalloc.take_snapshot()
        return _seconds(lambda: tracemalloc.take_snapshot().compare_to(first, "lineno"), 1)
    finally:
        tracemalloc.stop()


def costs(objects: int, times: int) -> dict[str, float]:
    """Return seconds by what was done, and bytes for an object of the heap."""
    make_heap(objects)
    known = len(gc.get_objects())
    before = _peak()
    check_leaks(_nothing, rounds=2)
    found = {"bytes an object during a round": (_peak() - before) / known}
    found["check_leaks: a round"] = _round(times)
    found["why_alive"] = _seconds(lambda: why_alive(heap[-1]), times)
    found["monitor: a tick"] = _tick(200)
    found["watch: an object"] = _watch(20_000)
    gc.collect()
    assert threading.active_count() == 1
    found |= {name: _seconds(call, 1) for name, call in _peers()}
    found["tracemalloc: a snapshot compared"] = _traced(objects)
    return found


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.audit", description="What the audit costs on a large heap.")
    parser.add_argument("--quick", action="store_true", help="fewer samples")
    parser.add_argument("--objects", type=int, default=1_000_000, metavar="N", help="that the heap has (default: 1000000)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the figures there too, as JSON")
    options = parser.parse_args(arguments)
    found = costs(options.objects, 1 if options.quick else 5)
    for name, number in found.items():
        print(f"{name:<36} {number:12.1f} bytes" if name.startswith("bytes") else f"{name:<36} {number * 1e6:12.1f} us")
    if options.out is not None:
        figures = {"python": sys.version, "core": CORE, "objects": options.objects, "figures": found}
        options.out.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
