"""The signals of Django, with the cache of receivers that those of its models use."""

from __future__ import annotations

from django.dispatch import Signal

from benchmarks.peers import CONNECT, Peer, connected, signals

PEER = Peer(
    name="django",
    distribution="django",
    module="django.dispatch",
    offers=signals(
        lambda receivers: connected(Signal(use_caching=True), receivers),
        {**CONNECT, "emit": "c.send(v, x=k)"},
        parameters="signal, sender, x",
    ),
)
