"""Programs that are run by `safemem audit`, given as text."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import safemem


def audit(tmp_path: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Run a program, `program.py`, under `safemem audit`; return it finished."""
    path = tmp_path / "program.py"
    path.write_text(code)
    environment = {**os.environ, "PYTHONPATH": str(Path(safemem.__file__).parent.parent)}
    command = [sys.executable, "-m", "safemem", "audit", str(path)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
