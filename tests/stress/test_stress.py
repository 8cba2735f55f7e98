"""Each stress script for a second, in a process of its own.

A crash proves a bug, a clean run only gives confidence in proportion to its length: run a script by hand, or with SAFEMEM_STRESS_SECONDS=600, for more.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.forks import forks_while_locked
from helpers.isolate import assert_clean, run_script

SCRIPTS = sorted(Path(__file__).parent.glob("stress_*.py"))


@pytest.mark.parametrize(
    "script", [pytest.param(path, id=path.stem, marks=[forks_while_locked] if path.stem == "stress_fork" else []) for path in SCRIPTS]
)
def test_stress(script: Path) -> None:
    """The script ends with status 0, not by a signal, and says nothing on stderr."""
    assert_clean(run_script(script, SAFEMEM_STRESS_SECONDS="1"))


def test_there_are_scripts() -> None:
    """The scripts were found."""
    assert len(SCRIPTS) >= 5
