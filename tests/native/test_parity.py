"""All that can be seen of the caches, of decorated functions and of trees is the same with both cores."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest
from helpers.isolate import assert_clean, run_script
from helpers.messages import plain

SCRIPTS = Path(__file__).parent / "scripts"
pytestmark = pytest.mark.parametrize("script", ["transcript.py", "transcript_calls.py", "transcript_trees.py"])


def transcript(script: str, core: str, *arguments: str) -> str:
    """What the script says with one core; SAFEMEM_PURE=0 demands the native one."""
    done = run_script(SCRIPTS / script, *arguments, SAFEMEM_PURE={"pure": "1", "native": "0"}[core], PYTHONHASHSEED="1")
    assert_clean(done)
    return plain(done.stdout)


def test_one_transcript(script: str, tmp_path: Path) -> None:
    """Results, exceptions and their text, repr, names, signatures, documentation, statistics and pickles do not tell the cores apart."""
    pure = transcript(script, "pure", str(tmp_path / "pure")).splitlines()
    native = transcript(script, "native", str(tmp_path / "native")).splitlines()
    differences = list(difflib.unified_diff(pure, native, "pure", "native", lineterm="", n=2))
    assert not differences, "\n".join(differences[:200])
    assert len(pure) > 5000


def test_pickles_cross(script: str, tmp_path: Path) -> None:
    """What one core pickled the other one loads, and decorated functions find there."""
    for writer, reader in (("pure", "native"), ("native", "pure")):
        path = str(tmp_path / writer)
        transcript(script, writer, path)
        assert transcript(script, reader, path, "load") == transcript(script, writer, path, "load")
