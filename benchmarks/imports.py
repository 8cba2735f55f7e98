"""What an import costs, each time in a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import safemem
from benchmarks.clock import CLOCK
from benchmarks.cores import environment
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


def measure_imports(peers: Iterable[Peer], rounds: int) -> list[tuple[Peer, list[float]]]:
    """Return for each library the seconds that `import` took, in turn; compiled files are made beforehand."""
    measured: list[tuple[Peer, list[float]]] = [(peer, []) for peer in peers if peer.module]
    for peer, _ in measured:
        _import(peer)
    for _ in range(rounds):
        for peer, seconds in measured:
            seconds.append(_import(peer))
    return measured


def _import(peer: Peer) -> float:
    place = str(Path(safemem.__file__).parent.parent)
    command = [sys.executable, "-I", "-c", _SCRIPT.format(module=peer.module, clock=CLOCK), place]
    env = None if peer.core is None else environment(peer.core)
    return float(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60, env=env).stdout)
