"""A fresh interpreter for one call, as it is written by hand: started, told what to do by its command line, and read."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.lent import lent
from benchmarks.peers import Peer


def _isolated() -> None:
    done = subprocess.run([sys.executable, "-c", "print(abs(-1))"], capture_output=True, check=True)
    assert done.stdout.strip() == b"1"


PEER = Peer(name="subprocess", distribution=None, offers=lent(isolated=_isolated))
