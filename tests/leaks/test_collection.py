"""Leaks taken from the public record of well-known projects: found, named, and told how to mend; their mended twins are clean."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
NAMES = sorted(path.stem for path in HERE.joinpath("corpus").glob("*.py"))


@pytest.fixture(scope="module")
def found():
    """What the audit says of each of them."""
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent.parent)}
    command = [sys.executable, str(HERE / "scripts" / "collection.py")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=560, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def share(found, what):
    """How many in a hundred."""
    return 100 * sum(result[what] for result in found.values()) / len(found)


def test_collection_is_large_enough():
    """At least thirty leaks, each with its twin."""
    assert len(NAMES) >= 30


def test_leaks_are_detected(found):
    """At least 95 in 100, as what they are."""
    missed = {name: result["text"] for name, result in found.items() if not result["detected"]}
    assert share(found, "detected") >= 95, missed


def test_holders_are_named(found):
    """At least 85 in 100, with every attribute and variable on the way."""
    missed = {name: result["text"] for name, result in found.items() if not result["named"]}
    assert share(found, "named") >= 85, missed


def test_fixes_fit(found):
    """At least 80 in 100."""
    missed = {name: result["text"] for name, result in found.items() if not result["fitting"]}
    assert share(found, "fitting") >= 80, missed


@pytest.mark.parametrize("name", NAMES)
def test_mended_twin_is_clean(found, name):
    """Nothing is reported of a program that does not leak."""
    assert found[name]["mended"] == []


def test_each_leak_is_told_once(found):
    """One leak is one entry of the report, for most of them; what follows from it is left out."""
    assert sum(result["found"] == 1 for result in found.values()) >= 0.9 * len(found), {
        name: result["text"] for name, result in found.items() if result["found"] != 1
    }
