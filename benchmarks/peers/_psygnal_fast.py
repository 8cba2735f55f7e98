"""psygnal, its way to emit that leaves out checks, blocking and the sender."""

from __future__ import annotations

import psygnal

from benchmarks.peers import Peer, connected, signals

PEER = Peer(
    name="psygnal-fast",
    distribution=None,
    offers=signals(lambda receivers: connected(psygnal.SignalInstance((object,)), receivers), {"emit": "c.emit_fast(k)"}),
)
