"""blinker: what is sent is the sender, which receivers get as their only argument."""

from __future__ import annotations

from typing import Any

import blinker

from benchmarks.peers import CONNECT, Offer, Peer, connected, signals


class _Emitter:
    """There are no signals of instances: each makes its own."""

    def __init__(self) -> None:
        self.changed = blinker.Signal()


def _use(emitter: Any, receiver: Any) -> None:
    emitter.changed = blinker.Signal()
    emitter.changed.connect(receiver)


PEER = Peer(
    name="blinker",
    distribution="blinker",
    module="blinker",
    offers={
        **signals(lambda receivers: connected(blinker.Signal(), receivers), {**CONNECT, "emit": "c.send(k)"}),
        "signal idle": Offer(lambda _n: (_Emitter, _use), {}),
        "signal in use": Offer(lambda _n: (None, _use), {}),
    },
)
