"""Interpreters, forks and ends of processes."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.forks import forks_while_locked
from helpers.isolate import assert_clean, run_script

SCRIPTS = Path(__file__).parent / "scripts"


@pytest.mark.parametrize("script", ["interpreters", pytest.param("forked", marks=forks_while_locked)])
def test_clean_end(script: str) -> None:
    """The script ends with 0 and says nothing."""
    assert_clean(run_script(SCRIPTS / f"{script}.py", SAFEMEM_PURE="0"))


@pytest.mark.parametrize("_attempt", range(5))
def test_exit_with_caches_alive(_attempt: int) -> None:
    """A process may end with caches in globals, threads, cycles and finalisers."""
    assert_clean(run_script(SCRIPTS / "late.py", SAFEMEM_PURE="0"))
