"""Each leak script in a process of its own: exact reference counts and flat memory need an interpreter that does nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.isolate import assert_clean, run_script

SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_script(script: Path) -> None:
    """The script ends with status 0 and says nothing on stderr."""
    assert_clean(run_script(script))


def test_there_are_scripts() -> None:
    """The scripts were found."""
    assert len(SCRIPTS) >= 10
