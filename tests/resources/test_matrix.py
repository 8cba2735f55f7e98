"""Processes that really die, in every way and structure: nothing is left, nothing is taken from anybody, nothing is said.

A cell is one way to die, in one structure of processes, with some of the layers that clean up switched off. Where who dies leaves others alive, the
cells of a structure share a tree of processes. By default a part is run that combines every two things; SAFEMEM_MATRIX=full in the environment
makes it the whole product.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import pytest

import safemem
from safemem.resources.sweep import sweep

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the programs look into /dev/shm and /proc")

SCRIPT = Path(__file__).parent / "scripts" / "mortal.py"
FULL = os.environ.get("SAFEMEM_MATRIX") == "full"
AT_ONCE = 4  # trees
TOGETHER = 12  # children in a tree
LIMIT = 30.0

SOFT = ["normal", "exception", "sys.exit", "SIGINT"]
HARD = ["os._exit", "execv", "abort", "SIGSEGV", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGKILL"]
GROUP = [f"group-{name}" for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGKILL")]
ALL = [*SOFT, *HARD, *GROUP]
METHODS = ["os.fork", "fork", "spawn", "forkserver"]
OFF = ["", "exit", "guardian", "exit and guardian", "guardian killed"]  # which layers are switched off


class Structure(NamedTuple):
    """Who does what in a tree of processes."""

    role: str
    method: str = ""
    started: str = ""  # whether the child was before or after its parent's first things

    @property
    def ways(self) -> list[str]:
        """In which ways somebody can die there."""
        if self.role != "parent dies":
            return ALL
        return [*SOFT, *HARD] if self.method == "os.fork" else HARD  # a parent that ends softly waits for those of multiprocessing


STRUCTURES = [
    Structure("alone"),
    Structure("child attaches", "stranger", "after"),  # it is no child, but started like one
    *(
        Structure(role, method, started)
        for role in ("child creates", "child attaches")
        for method in METHODS
        for started in ("before", "after")
    ),
    *(Structure("child inherits", method, "after") for method in ("os.fork", "fork")),
    *(Structure("parent dies", method, "after") for method in METHODS),
]


class Cell(NamedTuple):
    """One way to die, where, and without what."""

    structure: Structure
    way: str
    off: str

    def __str__(self) -> str:
        words = [*self.structure, self.way, f"no {self.off}" if self.off else ""]
        return "-".join(word.replace(" ", "_") for word in words if word)

    @property
    def shares_a_tree(self) -> bool:
        """Whether who dies leaves a parent alive that has others."""
        return self.structure.method == "stranger" or (self.structure.role.startswith("child") and self.way not in GROUP)

    @property
    def needs_sweep(self) -> bool:
        """Whether there is something left, after all have died, that nobody removes who has not yet started."""
        if self.shares_a_tree or self.off in {"", "exit"}:
            return False
        return self.off == "exit and guardian" or self.way not in {*SOFT, "group-SIGINT"}


def cells() -> list[Cell]:
    """Return the matrix, or a part of it in which every two meet of role, method, way and missing layer."""
    found = [Cell(structure, way, off) for structure in STRUCTURES for way in structure.ways for off in OFF]
    return found if FULL else [cell for cell in found if is_in_part(*cell)]


def is_in_part(structure: Structure, way: str, off: str) -> bool:
    """Choose one layer for each way, other ones in other structures, and less where processes take long to start."""
    number, turn = STRUCTURES.index(structure), ALL.index(way)
    if off != OFF[(number + turn) % len(OFF)]:
        return False
    if structure.method not in {"spawn", "forkserver"}:
        return True
    if structure.role == "parent dies":
        return True
    variant = 2 * (structure.role == "child attaches") + (structure.started == "after")
    return turn % 4 == variant if way in GROUP else (turn + variant) % 2 == 0 or variant == turn % 4


CELLS = cells()


class Tree:
    """Cells that share a program, and what was seen of it and after it."""

    def __init__(self, cells: list[Cell], log: Path) -> None:
        self.cells = cells
        self.log = log
        self.seen: list[dict] = []
        self.left: list[str] = []
        self.unswept: list[str] = []

    def spec(self) -> dict[str, object]:
        """Return what the script is told."""
        first = self.cells[0]
        own = ("normal", "") if first.shares_a_tree else first[1:]
        return {**first.structure._asdict(), "end": own, "ends": [cell[1:] for cell in self.cells], "log": str(self.log)}

    def made(self) -> list[str]:
        """Return all that was made in it."""
        return [path for line in self.seen for path in line.get("made", ())]

    def errors(self) -> list[str]:
        """Return the lines of the errors that were printed but for tracebacks, which may be mixed, where the way to die is an exception."""
        lines = Path(f"{self.log}.errors").read_text(encoding="utf-8").splitlines()
        if not {cell.way for cell in self.cells} & {"exception", "SIGINT", "group-SIGINT"}:
            return lines
        odd = ("Error", "Warning", "ignored", "leak", "tracker")
        return [line for line in lines if any(word in line for word in odd) and "as told" not in line]


def grouped(directory: Path) -> list[Tree]:
    """Put those cells together that can share a tree."""
    groups: dict[object, list[Cell]] = defaultdict(list)
    for cell in CELLS:
        groups[cell.structure, None if cell.shares_a_tree else cell].append(cell)
    parts = [group[at : at + TOGETHER] for group in groups.values() for at in range(0, len(group), TOGETHER)]
    return [Tree(part, directory / f"{number}.log") for number, part in enumerate(parts)]


def present(paths: list[str]) -> list[str]:
    """Return those that are still there."""
    return [path for path in paths if os.path.lexists(path)]


def run_script(specs: list[dict[str, object]], directory: Path) -> None:
    """Run all programs to their ends."""
    (directory / "specs").write_text(json.dumps(specs), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(directory / "specs"), str(AT_ONCE)],
        capture_output=True,
        text=True,
        check=False,
        timeout=1000,
        env={
            **os.environ,
            "PYTHONPATH": str(Path(safemem.__file__).parent.parent),
            "SAFEMEM_GUARDIAN": "",
            "SAFEMEM_TEST_TOP": str(os.getpid()),
            "TMPDIR": str(directory / "tmp"),
        },
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == len(specs)


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    """Every cell's tree; all programs have ended, and what was to be removed without a sweep had its time, before the one sweep."""
    directory = tmp_path_factory.mktemp("matrix")
    (directory / "tmp").mkdir()
    found = grouped(directory)
    run_script([tree.spec() for tree in found], directory)
    for tree in found:
        tree.seen = [json.loads(line) for line in tree.log.read_text(encoding="utf-8").splitlines()]
    deadline = time.monotonic() + LIMIT
    for tree in found:
        if not tree.cells[0].needs_sweep:
            while present(tree.made()) and time.monotonic() < deadline:
                time.sleep(0.01)
        tree.left = present(tree.made())
    sweep(directories=[directory / "tmp"])
    for tree in found:
        tree.unswept = present(tree.made())
    assert [name for name in os.listdir(directory / "tmp") if not name.startswith("pymp-")] == []  # those are multiprocessing's
    return {cell: tree for tree in found for cell in tree.cells}


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_cell(trees, cell):
    """What was made is gone after the guardian, or after the end that cleans up by itself, or after one sweep; nobody lost anything or said a word."""
    tree = trees[cell]
    assert len(tree.made()) >= 11, tree.seen
    assert tree.errors() == []
    if not cell.needs_sweep:
        assert tree.left == []
    assert tree.unswept == []
    checked = [(line["lost"], line["left"]) for line in tree.seen if line.get("checked") == [*cell[1:]]]
    assert checked == ([([], [])] if cell.shares_a_tree or cell.structure.role == "parent dies" else [])
    if cell.structure.role != "alone":
        assert [line for line in tree.seen if line.get("who") == "child" and line.get("end") == [*cell[1:]]]


@pytest.mark.parametrize(
    ("first", "second"), [("role", "way"), ("method", "way"), ("started", "way"), ("role", "off"), ("method", "off"), ("way", "off")]
)
def test_the_part_is_a_fair_one(first, second):
    """Every two values meet that do in the whole matrix."""

    def pairs(cells):
        return {tuple(getattr(cell, name, getattr(cell.structure, name, None)) for name in (first, second)) for cell in cells}

    assert pairs(CELLS) == pairs(Cell(structure, way, off) for structure in STRUCTURES for way in structure.ways for off in OFF)
