"""Decorated functions in interpreters, forks, ends of processes and of the module itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.isolate import assert_clean, run_script

SCRIPTS = Path(__file__).parent / "scripts"


def test_forks() -> None:
    """A forked child goes on calling, whatever the threads of its parent were doing."""
    assert_clean(run_script(SCRIPTS / "forked_calls.py", SAFEMEM_PURE="0"))


@pytest.mark.parametrize("attempt", range(3))
@pytest.mark.parametrize("mode", ["finalisers", "thread"])
def test_exit_with_functions_alive(attempt: int, mode: str) -> None:
    """A process may end with decorated functions in globals, cycles and finalisers that call them, and in a thread that is calling one."""
    assert_clean(run_script(SCRIPTS / "late_calls.py", mode, SAFEMEM_PURE="0"))


def test_the_module_is_forgotten() -> None:
    """Finalisers may call what the module made while the collector takes the module apart."""
    assert_clean(run_script(SCRIPTS / "unloaded.py", SAFEMEM_PURE="0"))
