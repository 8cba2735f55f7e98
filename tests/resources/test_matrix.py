"""Processes that really die, in every way and structure: nothing is left, nothing is taken from anybody, nothing is said.

Each cell is a fresh program of its own. By default a part of the matrix is run; SAFEMEM_MATRIX=full in the environment runs all of it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

import safemem
from safemem.resources.sweep import sweep

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the programs look into /dev/shm")

SCRIPT = Path(__file__).parent / "scripts" / "mortal.py"
FULL = os.environ.get("SAFEMEM_MATRIX") == "full"
LIMIT = 20.0

SOFT = ["normal", "exception", "sys.exit", "SIGINT"]
HARD = ["os._exit", "execv", "abort", "SIGSEGV", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGKILL"]
GROUP = [f"group-{name}" for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGKILL")]
WAYS = [*SOFT, *HARD, *GROUP]
METHODS = ["os.fork", "fork", "spawn", "forkserver"]
CHILDREN = [f"{kind}:{method}" for kind in ("child creates", "both create", "child attaches") for method in METHODS]


class Cell(NamedTuple):
    """One program: its structure, how it dies, and whether there is a guardian."""

    structure: str
    way: str
    guardian: str

    def __str__(self) -> str:
        return f"{self.structure}-{self.way}-{self.guardian}".replace(" ", "_")


def cells() -> list[Cell]:
    """Return the matrix; of children's deaths, one of each sort unless all are asked for."""
    found = [Cell("alone", way, guardian) for way in WAYS for guardian in ("auto", "off")]
    for number, structure in enumerate(CHILDREN):
        ways = WAYS if FULL else ["normal", "os._exit", "SIGKILL", "group-SIGKILL"]
        for turn, way in enumerate(ways):
            guardians = ("auto", "off") if FULL else (("auto", "off")[(number + turn) % 2],)
            found += [Cell(structure, way, guardian) for guardian in guardians]
    found += [Cell("no exit handler", way, "auto") for way in SOFT]
    found += [Cell("guardian killed", way, "auto") for way in ("normal", "SIGKILL", "group-SIGHUP")]
    return found


CELLS = cells()


class Result(NamedTuple):
    """What was seen of a program and after it."""

    made: list[str]
    lost: list[str] | None  # None if the program did not live to say so
    left: list[str]  # at the end; with a guardian, after it had time
    errors: str


def present(names: list[str]) -> list[str]:
    """Return those of the names that are still there."""
    return [name for name in names if os.path.exists(f"/dev/shm/{name}")]


def run(cell: Cell) -> Result:
    """Run one program to its end, and wait for what is to happen then."""
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), *cell],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={
            **os.environ,
            "PYTHONPATH": str(Path(safemem.__file__).parent.parent),
            "SAFEMEM_GUARDIAN": "",
            "SAFEMEM_TEST_TOP": str(os.getpid()),
        },
    )
    output, errors = process.communicate(timeout=60)  # until all who could write have ended, not only the first
    lines = [json.loads(line) for line in output.splitlines()]
    made = [name for line in lines for name in line.get("made", ())]
    lost = next((line["lost"] for line in lines if "lost" in line), None)
    deadline = time.monotonic() + (LIMIT if cell.guardian == "auto" and cell.structure != "guardian killed" else 0)
    while present(made) and time.monotonic() < deadline:
        time.sleep(0.01)
    return Result(made, lost, present(made), errors)


def is_soft(cell: Cell) -> bool:
    """Whether no process in the cell dies without running what is to be run at exit."""
    return cell.way in {*SOFT, "group-SIGINT"}


@pytest.fixture(scope="module")
def results():
    """Every cell's result; all are there before any test sweeps."""
    with ThreadPoolExecutor(4) as pool:
        running = {cell: pool.submit(run, cell) for cell in CELLS}
        found = {cell: future.result() for cell, future in running.items()}
    yield found
    sweep()


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_cell(results, cell):
    """What was made is gone after the guardian, or after the end that cleans up by itself, or after one sweep; nobody lost anything."""
    result = results[cell]
    assert len(result.made) >= 4, result.errors
    assert not result.lost
    if cell.structure == "guardian killed" or (cell.guardian == "off" and not is_soft(cell)):
        sweep()
        assert present(result.made) == []
    else:
        assert result.left == []
    assert "safemem" not in result.errors.replace(str(SCRIPT), "").replace("safemem-test", "") or "as told" in result.errors, result.errors
    assert "Warning" not in result.errors
    assert "Exception ignored" not in result.errors
    if cell.way not in {"exception", "SIGINT", "group-SIGINT"}:
        assert result.errors == ""
