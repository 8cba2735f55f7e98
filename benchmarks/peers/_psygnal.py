"""psygnal, its usual way to emit."""

from __future__ import annotations

from typing import Any

import psygnal

from benchmarks.peers import CONNECT, Offer, Peer, connected, signals


class _Emitter:
    changed = psygnal.Signal(object)


def _use(emitter: Any, receiver: Any) -> None:
    emitter.changed.connect(receiver)


_OF_INSTANCES = Offer(lambda _n: (_Emitter, _use), {})

PEER = Peer(
    name="psygnal",
    distribution="psygnal",
    module="psygnal",
    offers={
        **signals(lambda receivers: connected(psygnal.SignalInstance((object,)), receivers), {**CONNECT, "emit": "c.emit(k)"}),
        "signal idle": _OF_INSTANCES,
        "signal in use": _OF_INSTANCES,
    },
)
