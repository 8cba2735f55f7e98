"""All that can be seen of decorated functions is the same with both cores."""

from __future__ import annotations

import difflib
from pathlib import Path

from helpers.isolate import assert_clean, run_script

SCRIPT = Path(__file__).parent / "scripts" / "transcript_calls.py"


def transcript(core: str, *arguments: str) -> str:
    """What the script says with one core; SAFEMEM_PURE=0 demands the native one."""
    done = run_script(SCRIPT, *arguments, SAFEMEM_PURE={"pure": "1", "native": "0"}[core], PYTHONHASHSEED="1")
    assert_clean(done)
    return done.stdout


def test_one_transcript(tmp_path: Path) -> None:
    """Results, exceptions and their text, names, signatures, keys, what caches hold, statistics and pickles do not tell the cores apart."""
    pure = transcript("pure", str(tmp_path / "pure")).splitlines()
    native = transcript("native", str(tmp_path / "native")).splitlines()
    differences = list(difflib.unified_diff(pure, native, "pure", "native", lineterm="", n=2))
    assert not differences, "\n".join(differences[:200])
    assert len(pure) > 5000


def test_pickles_cross(tmp_path: Path) -> None:
    """What one core's functions kept, pickled, is found by the other's."""
    for writer, reader in (("pure", "native"), ("native", "pure")):
        path = str(tmp_path / writer)
        transcript(writer, path)
        assert transcript(reader, path, "load") == transcript(writer, path, "load")
