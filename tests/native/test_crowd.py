"""Many threads on one cache, set up anew meanwhile; where there is no GIL this is what critical sections are for."""

from __future__ import annotations

from pathlib import Path

from helpers.isolate import assert_clean, run_script


def test_crowd() -> None:
    """No operation raises what it should not, no value is another key's, and every table is whole in the end."""
    assert_clean(run_script(Path(__file__).parent / "scripts" / "crowd.py", "0.2", limit=120.0, SAFEMEM_PURE="0"))
