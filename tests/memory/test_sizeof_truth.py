"""What `sizeof` says against what was allocated: tracemalloc is the truth."""

from __future__ import annotations

import gc
import json
import random
import sys
import tracemalloc
from collections import OrderedDict, defaultdict, deque
from dataclasses import dataclass
from itertools import count

import pytest

from safemem._compat import GIL_DISABLED
from safemem.memory.sizeof import sizeof

NUMBERS = count(10**6)


def fresh() -> int:
    """A number that nobody has yet; by arithmetic, for some other ways of making one allocate four bytes less of the same block."""
    return next(NUMBERS) + 0


ROW = '{"id": %d, "name": "user %d", "mail": "user%d@example.org", "score": %d.5, "tags": ["a%d", "bb%d"], "address": {"town": "T%d"}}'


class Plain:
    def __init__(self) -> None:
        self.number = fresh()
        self.name = f"name {self.number}"
        self.parts = [f"part {self.number}"]


class Slotted:
    __slots__ = ("name", "number")

    def __init__(self) -> None:
        self.number = fresh()
        self.name = f"name {self.number}"


@dataclass
class Point:
    x: float
    y: float


class Node:
    def __init__(self, depth: int) -> None:
        self.number = fresh()
        self.left = Node(depth - 1) if depth else None
        self.right = Node(depth - 1) if depth else None


class Listed(list):
    pass


class Table(dict):
    def __init__(self, rows: int) -> None:
        super().__init__((fresh(), row()) for _ in range(rows))
        self.title = f"title {fresh()}"


def row() -> dict[str, object]:
    number = fresh()
    return json.loads(ROW % ((number,) * 7))


def rows(number: int) -> list[dict[str, object]]:
    start = fresh()
    text = ",".join(ROW % ((start + each,) * 7) for each in range(number))
    return json.loads(f"[{text}]")


def categories() -> list[dict[str, str]]:
    pool = [f"word {fresh()}" for _ in range(200)]
    columns = [f"column {each}" for each in range(8)]
    return [{column: SHUFFLED.choice(pool) for column in columns} for _ in range(2000)]


def cycle() -> list[object]:
    found: list[object] = [fresh()]
    found.append(found)
    return found


def used(obj: object) -> object:
    vars(obj)
    return obj


SHUFFLED = random.Random(3)

true = pytest.mark.skipif(GIL_DISABLED, reason="without a GIL, tables that were outgrown are freed later, and are counted until then")

# Shapes with how many are made at once, so that what the interpreter keeps for later use does not count, and what the estimate may be off.
COMMON = {
    "str": (1, lambda: f"{fresh()}" * 1000),
    "bytes": (100, lambda: bytes(5000)),
    "list of int": (1, lambda: list(range(10**6, 10**6 + 50_000))),
    "dict of 10": (100, lambda: {f"key {number} {fresh()}": fresh() for number in range(10)}),
    "row": (100, row),
    "rows": (1, lambda: rows(1500)),
    "rows apart": (1, lambda: [row() for _ in range(1500)]),
    "nested": (1, lambda: {f"a{fresh()}": {f"b{fresh()}": [fresh() for _ in range(10)] for _ in range(10)} for _ in range(30)}),
    "instance": (100, Plain),
    "instance after vars()": (100, lambda: used(Plain())),
    "instances": (1, lambda: [Plain() for _ in range(1000)]),
    "slots": (100, Slotted),
    "dataclass": (100, lambda: Point(fresh() / 3, fresh() / 3)),
    "list subclass": (100, lambda: Listed([fresh()])),
    "list subclass with attributes": (100, lambda: (found := Listed([fresh()]), setattr(found, "name", None))[0]),
    "dict subclass": (1, lambda: Table(100)),
    "large dict subclass": (1, lambda: Table(1500)),
    "tree": (1, lambda: Node(9)),
    "deep tree": (1, lambda: Node(12)),
    "memoryview": (1, lambda: memoryview(bytes(10**6))),
    "cycle": (100, cycle),
    "dict of str": (1, lambda: {f"key {number}": f"value {number}" * (number % 10) for number in range(10_000)}),
    "set": (1, lambda: {f"member {number}" for number in range(10_000)}),
    "tuples": (1, lambda: [(fresh(), f"name {number}", number / 3) for number in range(10_000)]),
    "deque": (1, lambda: deque(f"item {number}" for number in range(5000))),
    "ordered": (1, lambda: OrderedDict((f"key {number}", fresh()) for number in range(3000))),
    "groups": (1, lambda: defaultdict(list, {f"group {number}": [f"x{fresh()}" for _ in range(5)] for number in range(1000)})),
    "matrix": (1, lambda: [[fresh() / 3 for _ in range(100)] for _ in range(100)]),
    "from a pool": (1, lambda: (pool := [f"pooled {fresh()}" for _ in range(200)]) and [SHUFFLED.choice(pool) for _ in range(10_000)]),
    "huge int": (50, lambda: [10**5000 + fresh()]),
}
ODD = {
    "large ones in order": (1, lambda: [bytes(10_000) if number % 100 == 0 else fresh() for number in range(10_000)]),
    "large ones in step": (1, lambda: [bytes(1000) if number % 100 == 0 else None for number in range(48_000)]),
    "large ones at random": (1, lambda: [bytes(10_000) if SHUFFLED.random() < 0.01 else fresh() for _ in range(10_000)]),
    "of all lengths": (1, lambda: [[fresh() for _ in range(int(SHUFFLED.paretovariate(1.5)))] for _ in range(3000)]),
    "many kinds": (1, lambda: {"rows": rows(300), "blob": bytes(30_000), "index": {fresh(): f"i{fresh()}" for _ in range(500)}}),
    "a few of another kind": (1, lambda: [Plain(), Slotted(), *([fresh()] for _ in range(2000)), Plain()]),
    "sorted by size": (1, lambda: [bytes(number) for number in range(5000)]),
    "one large of two": (1, lambda: {"small": [row() for _ in range(10)], "large": [row() for _ in range(1500)]}),
    "categories": (1, categories),
}


def allocated(shape: str) -> tuple[float, object]:
    """Make a shape; return how many bytes one took, and one."""
    number, make = {**COMMON, **ODD}[shape]
    kept: list[object] = [make() for _ in range(40)] if number > 1 else [make()]
    kept += [None] * number
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for place in range(number):
            kept[-1 - place] = make()
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
        if was_enabled:
            gc.enable()
    return (after - before) / number, kept[-1]


@true
@pytest.mark.parametrize("shape", COMMON)
def test_common_shapes(shape):
    """The estimate is within 15 %, the exact size within 3 %; or within what the system adds to one small thing."""
    truth, obj = allocated(shape)
    assert sizeof(obj) == pytest.approx(truth, rel=0.15, abs=16)
    assert sizeof(obj, exact=True) == pytest.approx(truth, rel=0.03, abs=16)


@true
@pytest.mark.parametrize("shape", ODD)
def test_odd_shapes(shape):
    """The estimate is never off by a factor of two, the exact size by 3 %."""
    truth, obj = allocated(shape)
    assert truth / 2 < sizeof(obj) < truth * 2
    assert sizeof(obj, exact=True) == pytest.approx(truth, rel=0.03, abs=16)


def test_shared_parts_count_once():
    """However often they are met, in the estimate too."""
    shared = "x" * 100_000
    assert sizeof([shared] * 3) < 101_000
    assert sizeof([shared] * 100_000) < 1_000_000
    assert sizeof([[shared, str(number)] for number in range(1000)]) < 400_000
    assert sizeof({"a": shared, "b": [shared], shared: 1}, exact=True) < 101_000


def test_what_there_is_one_of_counts_nothing():
    """None, bools, small ints, one letter, empty things: they are there whoever refers to them."""
    found = [None, True, False, ..., 7, -5, 256, chr(97), chr(255), "", b"", (), NotImplemented] + [0] * 287
    assert sizeof(found) == sizeof(found, exact=True) == sys.getsizeof(found)


def test_alone():
    """Plain values are as large as `sys.getsizeof` says."""
    for value in ("abc", 5, 10**100, 1.5, b"xyz", bytearray(50), None, True, 2j, range(5)):
        assert sizeof(value) == sizeof(value, exact=True) == sys.getsizeof(value)


def test_instances_are_left_as_they_are():
    """Measuring does not make anything larger, as asking for `__dict__` would."""
    found = [Plain() for _ in range(500)]
    gc.collect()
    sizeof(found)
    sizeof(found, exact=True)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for obj in found:
            sizeof(obj)
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert after - before < 500 * 16
