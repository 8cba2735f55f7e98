"""`safemem.sizeof` when it is asked to look at everything."""

from __future__ import annotations

from functools import partial

from benchmarks.measured import sizes
from benchmarks.peers import Peer
from safemem import sizeof

PEER = Peer(name="exact", distribution=None, offers=sizes(partial(sizeof, exact=True)))
