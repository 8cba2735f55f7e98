"""What an import costs, each time in a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import safemem
from benchmarks.clock import CLOCK
from benchmarks.peers import Peer

__all__ = ["measure_imports"]

# -I keeps the environment and the current directory out; safemem may be used from a checkout, so its place is given.
_SCRIPT = """
import sys, time
sys.path.append(sys.argv[1])
start = time.{clock}()
import {module}
print(time.{clock}() - start)
"""


def measure_imports(peers: Iterable[Peer], rounds: int) -> dict[str, list[float]]:
    """Return for each library the seconds that `import` took, in turn; compiled files are made beforehand."""
    modules = {peer.name: peer.module for peer in peers if peer.module}
    for module in modules.values():
        _import(module)
    seconds: dict[str, list[float]] = {name: [] for name in modules}
    for _ in range(rounds):
        for name, module in modules.items():
            seconds[name].append(_import(module))
    return seconds


def _import(module: str) -> float:
    place = str(Path(safemem.__file__).parent.parent)
    command = [sys.executable, "-I", "-c", _SCRIPT.format(module=module, clock=CLOCK), place]
    return float(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout)
