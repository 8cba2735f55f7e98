"""psygnal, its usual way to emit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psygnal

from benchmarks.peers import CONNECT, Offer, Peer, connected, fields, signals


class _Emitter:
    changed = psygnal.Signal(object)


def _use(emitter: Any, receiver: Any) -> None:
    emitter.changed.connect(receiver)


@psygnal.evented
@dataclass
class _Point:
    x: object = None


def _observed(count: int) -> Any:
    point: Any = _Point()
    for _ in range(count):
        point.events.x.connect(lambda _new, _old: None)
    return point


_OF_INSTANCES = Offer(lambda _n: (_Emitter, _use), {})

PEER = Peer(
    name="psygnal",
    distribution="psygnal",
    module="psygnal",
    offers={
        **signals(lambda receivers: connected(psygnal.SignalInstance((object,)), receivers), {**CONNECT, "emit": "c.emit(k)"}),
        **fields(_observed),
        "signal idle": _OF_INSTANCES,
        "signal in use": _OF_INSTANCES,
    },
)
