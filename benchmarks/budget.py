"""Measures what a memory budget costs and what it saves: `python -m benchmarks.budget [--quick] [--out FILE]`.

Two tables. Stores and hits with a budget beside the same without, in turns, by the processor time of the process. And two caches of very
different cost and size, by the cost of misses that is saved: with a budget, with an equal fixed split, and with one LRU cache for both.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safemem import LRUCache, MemoryBudget
from safemem.core import CORE

__all__ = ["Stream", "costs", "savings"]

_VALUE = bytes(100)
_KEYS = 10_000


# -- what it costs ------------------------------------------------------------------------------------------------------------------------


def _put(cache: Any, count: int) -> None:
    for number in range(count):
        cache[number] = _VALUE


def _get(cache: Any, count: int) -> None:
    for number in range(count):
        cache[number % 1000]


def _filled(budget: MemoryBudget | None, maxsize: float = _KEYS) -> LRUCache[int, bytes]:
    cache: LRUCache[int, bytes] = LRUCache(maxsize, budget=budget)
    _put(cache, _KEYS)
    return cache


def costs(rounds: int, count: int) -> dict[str, float]:
    """Return nanoseconds for each operation: medians of rounds in which all take turns."""
    full = MemoryBudget(_KEYS * 100)
    cases: dict[str, tuple[Callable[[Any, int], None], Any]] = {
        "c[k] = v, a full cache": (_put, _filled(None)),
        "the same with a budget that has room": (_put, _filled(MemoryBudget(10**12))),
        'the same with MemoryBudget("auto")': (_put, _filled(MemoryBudget())),
        "c[k] = v, a full budget": (_put, _filled(full, float("inf"))),
        "c[k]": (_get, _filled(None)),
        "c[k] with a budget": (_get, _filled(MemoryBudget(10**12))),
    }
    for _put_or_get, cache in cases.values():
        _put(cache, 1000)
    samples: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, (work, cache) in cases.items():
            started = time.process_time()
            work(cache, count)
            samples[name].append((time.process_time() - started) / count * 1e9)
    return {name: statistics.median(each) for name, each in samples.items()}


# -- what it saves ------------------------------------------------------------------------------------------------------------------------


@dataclass
class Stream:
    """What is asked of one cache: so many things of such sizes, each at such a cost, by Zipf's law; which are popular changes twice."""

    name: str
    things: int
    smallest: int
    largest: int
    cost: float
    share: float
    keys: list[int] = field(default_factory=list[int])
    sizes: list[int] = field(default_factory=list[int])

    def make(self, requests: int, seed: int) -> None:
        """Make up all requests beforehand, so that all policies get the same."""
        dice = random.Random(seed)
        self.sizes = [dice.randrange(self.smallest, self.largest) for _ in range(self.things)]
        weights = list(itertools.accumulate(1 / (number + 1) ** 0.8 for number in range(self.things)))
        order = dice.sample(range(self.things), self.things)
        self.keys = []
        for _ in range(3):
            self.keys += dice.choices(order, cum_weights=weights, k=requests // 3 + 1)
            order = order[-self.things // 5 :] + order[: -self.things // 5]


STREAMS = [
    Stream("rows", 100_000, 200, 800, 1, 0.95),
    Stream("images", 1_000, 200_000, 2_000_000, 80, 0.05),
]
BYTES = 60_000_000
SEEDS = 3


class Thing:
    """Something of a size."""

    __slots__ = ("bytes",)

    def __init__(self, nbytes: int) -> None:
        self.bytes = nbytes


def _size(thing: Thing) -> int:
    return thing.bytes


def _played(streams: list[Stream], requests: int, caches: list[LRUCache[Any, Any]], *, shared: bool = False) -> float:
    """Return the part of the cost of all requests that the caches have saved."""
    dice = random.Random(1)
    saved = total = 0.0
    turns = [iter(stream.keys) for stream in streams]
    for which in dice.choices(range(len(streams)), [stream.share for stream in streams], k=requests):
        stream, cache, number = streams[which], caches[which], next(turns[which], 0)
        key = (which, number) if shared else number
        total += stream.cost
        if cache.get(key) is not None:
            saved += stream.cost
        elif stream.sizes[number] <= cache.maxsize:
            cache[key] = Thing(stream.sizes[number])
    return saved / total


def savings(requests: int, seed: int) -> dict[str, float]:
    """Return the part of the cost that each policy saves."""
    for number, stream in enumerate(STREAMS):
        stream.make(requests, seed * len(STREAMS) + number)
    budget = MemoryBudget(BYTES)
    split: list[LRUCache[Any, Any]] = [LRUCache(BYTES / len(STREAMS), _size) for _ in STREAMS]
    one: LRUCache[Any, Any] = LRUCache(BYTES, _size)
    together: list[LRUCache[Any, Any]] = [budget.attach(LRUCache(10**9), size=_size, cost=stream.cost) for stream in STREAMS]
    return {
        "equal split, an LRU cache each": _played(STREAMS, requests, split),
        "one LRU cache for all": _played(STREAMS, requests, [one] * len(STREAMS), shared=True),
        "a budget with costs": _played(STREAMS, requests, together),
    }


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.budget", description="What a memory budget costs and what it saves.")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and requests")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the figures there too, as JSON")
    options = parser.parse_args(arguments)
    found: dict[str, Any] = {
        "ns": costs(5 if options.quick else 21, 20_000),
        "saved": [savings(30_000 if options.quick else 200_000, seed) for seed in range(SEEDS)],
    }
    print("\n".join(f"{name:<40} {number:9.1f} ns" for name, number in found["ns"].items()))
    for saved in found["saved"]:
        print(", ".join(f"{name}: {part:.1%}" for name, part in saved.items()), "of the cost of misses saved")
    if options.out is not None:
        options.out.write_text(json.dumps({"python": sys.version, "core": CORE, **found}, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
