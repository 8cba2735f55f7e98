"""Measures what it costs that two threads use one cache: `python -m benchmarks.threads [--quick] [--out FILE]`.

The same number of operations is done by one thread, and by two at once, half of them each; what counts is the time until both are through.
Meant for a Python without the GIL: with it, two threads take turns.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import sys
import threading
from collections.abc import Hashable, Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import pyperf

from benchmarks.cores import load_cores, which_are_there
from benchmarks.facts import command_line, default_file, facts
from benchmarks.goals import goals_in_words
from benchmarks.keys import BLOCK, Keys, number, same, text, turnover
from benchmarks.operations import Operation
from benchmarks.peers import Peer, load_one
from benchmarks.results import ANY, Results, alone, make_benchmark, save, time_in_words
from benchmarks.sampling import VALUE, Effort

__all__ = ["ROWS"]

_FEW = 1000
_HIT = "`c[k]`, hit"
# Samples are long: starting and waking threads takes its time.
_THOROUGH = Effort(seconds=0.1, rounds=21)
_QUICK = Effort(seconds=0.01, rounds=5)
_PROCESSORS = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def _go_to_processor(place: int) -> None:
    """Keep the calling thread on a processor of its own where the system can: else two threads may take turns on one, and share nothing."""
    if _PROCESSORS:
        os.sched_setaffinity(0, {_PROCESSORS[place % len(_PROCESSORS)]})


def _one_key(_n: int) -> Keys:
    return Keys([text(0)], [[text(0)] * BLOCK])


ROWS = (
    Operation("threads-hit", _FEW, f"{_HIT}, `str` keys, in random order", "lru", "getitem", same(text), "value"),
    Operation("threads-hit-int", _FEW, f"{_HIT}, `int` keys, in random order", "lru", "getitem", same(number), "value"),
    Operation("threads-one-key", 1, f"{_HIT}, always the same key", "lru", "getitem", _one_key, "value"),
    Operation("threads-ttl-hit", _FEW, f"{_HIT}, `TTLCache`", "ttl", "getitem", same(text), "value"),
    Operation("threads-set", _FEW, "`c[k] = v`, key is there", "lru", "set", same(text)),
    Operation("threads-insert", _FEW, "`c[k] = v`, new key, one is evicted", "lru", "insert", turnover(text)),
)

_CODE = """
def work(blocks, c, v, wrong):
    for keys in blocks:
        for k in keys:
            {statement}
"""
_CHECKED = "if {statement} is not v: wrong.append(k)"


class _Contestant:
    """One container, for one row."""

    def __init__(self, peer: Peer, operation: Operation) -> None:
        offer = peer.offers[operation.kind]
        statement = offer.statement(operation.verb)
        assert statement is not None
        self.name = peer.name
        self.core = peer.core or ANY
        self.one: list[float] = []  # seconds for one operation
        self.two: list[float] = []
        self._it = offer.make(operation.n)
        keys = operation.keys(operation.n)
        for key in keys.stored:
            self._it[key] = VALUE
        names: dict[str, Any] = {}
        exec(_CODE.format(statement=_CHECKED.format(statement=statement) if operation.expect else statement), names)
        self._work = names["work"]
        self._asked = keys.asked
        self._half = 1
        self._bound = operation.n if offer.bounded else None

    def calibrate(self, seconds: float) -> None:
        """Choose how many blocks each of two threads goes through; what runs meanwhile is the warm-up."""
        while self._run(1, 2 * self._half) < seconds:
            self._half *= 2

    def sample(self) -> None:
        operations = 2 * self._half * BLOCK
        self.one.append(self._run(1, 2 * self._half) / operations)
        self.two.append(self._run(2, self._half) / operations)

    def _run(self, threads: int, count: int) -> float:
        """Let so many threads go through so many blocks each; raise if one of them saw what is not so."""
        wrong: list[Hashable] = []
        ready = threading.Barrier(threads)
        starts: list[float] = []
        ends: list[float] = []

        def work(blocks: list[list[Hashable]], place: int) -> None:
            _go_to_processor(place)
            ready.wait()
            starts.append(perf_counter())
            self._work(blocks, self._it, VALUE, wrong)
            ends.append(perf_counter())

        workers = [threading.Thread(target=work, args=(self._blocks(count, i), i)) for i in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        # A thread that a worker's error ended is not among them.
        if wrong or len(ends) < threads or (self._bound is not None and len(self._it) != self._bound):
            msg = f"{self.name} is wrong with {threads} threads: {len(wrong)} answers, {len(ends)} came to their end"
            raise RuntimeError(msg)
        return max(ends) - min(starts)

    def _blocks(self, count: int, seed: int) -> list[list[Hashable]]:
        """Return blocks of keys in an order that is each thread's own."""
        blocks = self._asked * (count // len(self._asked) + 1)
        random.Random(seed).shuffle(blocks)
        return blocks[:count]


def _contest(operation: Operation, peers: list[Peer], effort: Effort) -> list[_Contestant]:
    able = [peer for peer in peers if peer.offers[operation.kind].statement(operation.verb) is not None]
    contestants = [_Contestant(peer, operation) for peer in able]
    for contestant in contestants:
        contestant.calibrate(effort.seconds)
    gc.collect()
    gc.freeze()
    order = random.Random(effort.rounds)
    for _ in range(effort.rounds):
        for contestant in order.sample(contestants, len(contestants)):
            contestant.sample()
    gc.unfreeze()
    return contestants


def _measure(peers: list[Peer], effort: Effort, about: dict[str, Any]) -> Iterator[pyperf.Benchmark]:
    for operation in ROWS:
        for each in _contest(operation, peers, effort):
            more = {**about, "core": each.core, "process": 0}
            yield make_benchmark(operation.name, each.name, each.two, more)
            yield make_benchmark(operation.name, alone(each.name), each.one, more)
            one, two = (sorted(values)[len(values) // 2] for values in (each.one, each.two))
            who = f"{each.name} {'' if each.core == ANY else each.core}"
            print(f"{operation.name:<22} {who:<16} {time_in_words(one):>8} {time_in_words(two):>8}  {two / one:.2f}", flush=True)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.threads", description="Measure two threads that use one cache.")
    parser.add_argument("--quick", action="store_true", help="few and short samples: to see that it runs")
    parser.add_argument(
        "--out", type=Path, default=default_file("-threads"), metavar="FILE", help="where the results go (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    peers = [load_one("dict"), *load_cores(which_are_there(None))]
    about = facts([load_one("safemem")], {}, command_line("benchmarks.threads", arguments))
    # Threads are measured by the clock on the wall: the process's own would add up what both take.
    effort = _QUICK if options.quick else _THOROUGH
    save(pyperf.BenchmarkSuite(list(_measure(peers, effort, {**about, "clock": "perf_counter"}))), options.out)
    print("\n".join(["", *goals_in_words(Results.load(options.out)), "", f"results: {options.out}"]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
