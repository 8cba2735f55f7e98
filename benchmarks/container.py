"""Fills one container in a process of its own and prints, as JSON, what it cost. Started by `benchmarks.memory`."""

from __future__ import annotations

import gc
import json
import sys
import tracemalloc
from collections.abc import Callable, Hashable, Iterable

import psutil

from benchmarks.clock import now
from benchmarks.keys import Thing, text
from benchmarks.peers import Offer, load_one
from benchmarks.results import SUBJECT
from benchmarks.sampling import VALUE, Subject, compile_sample

NOBODY = "nobody"
_COLLECTIONS = 21
_WARM_UP = 1000


def _fill(offer: Offer, kind: str, n: int, keys: Iterable[Hashable], value: object = VALUE) -> Subject:
    subject = Subject(offer, kind, n)
    _store(offer, subject, keys, value)
    return subject


def _store(offer: Offer, subject: Subject, keys: Iterable[Hashable], value: object) -> None:
    statement = offer.statement("set") or offer.statement("one")
    assert statement is not None
    compile_sample(statement)([keys], subject.it, value, subject.tick)


def _values(kind: str, n: int) -> list[object]:
    """Return a value for each entry: the same for all, or for weak containers, which do not keep them, one for each."""
    return [Thing(i) for i in range(n)] if kind.startswith("weak") else [VALUE] * n


def _pair_up(offer: Offer, kind: str, keys: list[str], values: list[object]) -> object:
    if not kind.startswith("weak"):
        return _fill(offer, kind, len(keys), keys)
    it = offer.make(len(keys))
    for key, value in zip(keys, values, strict=True):
        it[key] = value
    return it


def _filling(offer: Offer | None, kind: str, n: int) -> Callable[[int], object]:
    """Return a function that makes what is measured, with so many entries; keys and values are made now."""
    if offer is None or kind.startswith("signal"):
        return _emitting(offer, kind, n)
    keys, values = [text(i) for i in range(n)], _values(kind, n)
    return lambda count: _pair_up(offer, kind, *((keys, values) if count == n else (keys[:count], values[:count])))


class _Emitter:
    """An instance that has no signals."""


def _hear(x: object) -> None: ...


def _emitting(offer: Offer | None, kind: str, n: int) -> Callable[[int], object]:
    """Return a function that makes instances with signals that nobody uses, or connects a receiver to those of instances made now."""
    emitter, use = (_Emitter, None) if offer is None else offer.make(n)
    if kind == "signal idle" or use is None:
        return lambda count: [emitter() for _ in range(count)]
    instances = [(emitter or _Emitter)() for _ in range(n + _WARM_UP)]

    def connect(count: int) -> object:
        for _ in range(count):
            use(instances[-1], _hear)
            kept.append(instances.pop())
        return kept

    kept: list[object] = []
    return connect


def rss(offer: Offer | None, kind: str, n: int) -> list[float]:
    """Return the bytes for each entry by which the process grew; keys and values were there before."""
    fill = _filling(offer, kind, n)
    fill(_WARM_UP)  # whatever is needed once
    gc.collect()
    process = psutil.Process()
    before = process.memory_info().rss
    kept = fill(n)
    gc.collect()
    grown = process.memory_info().rss - before
    del kept
    return [grown / n]


def traced(offer: Offer | None, kind: str, n: int) -> list[float]:
    """Return the bytes for each entry that Python's allocators gave out; keys and values were there before."""
    fill = _filling(offer, kind, n)
    gc.collect()
    tracemalloc.start(1)
    before, _ = tracemalloc.get_traced_memory()
    kept = fill(n)
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    del kept
    return [grown / n]


def pause(offer: Offer | None, kind: str, n: int) -> list[float]:
    """Return how long full collections took with `str: int` entries in one container, which alone holds its keys."""
    kept = None if offer is None else _fill(offer, kind, n, (text(i) for i in range(n)), 1234)
    return _collections(kept)


def pause_list(offer: Offer | None, kind: str, n: int) -> list[float]:
    """Return the same where one of the values is a list."""
    kept = None if offer is None else _fill(offer, kind, n, (text(i) for i in range(n)), 1234)
    if offer is not None and kept is not None:
        _store(offer, kept, [text(0)], [])
    return _collections(kept)


def _collections(kept: object) -> list[float]:
    for _ in range(2):
        gc.collect()
    seconds: list[float] = []
    for _ in range(_COLLECTIONS):
        start = now()
        gc.collect()
        seconds.append(now() - start)
    del kept
    return seconds


METHODS: dict[str, Callable[..., list[float]]] = {"rss": rss, "traced": traced, "pause": pause, "pause-list": pause_list}


def main(method: str, kind: str, name: str, n: int) -> None:
    load_one(SUBJECT)  # everybody has the same modules loaded, which the collector also looks through
    offer = None if name == NOBODY else load_one(name).offers[kind]
    print(json.dumps(METHODS[method](offer, kind, n)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
