"""A list of callables and a `for` loop: what telling a few functions something costs at least."""

from __future__ import annotations

from benchmarks.peers import Peer, signals

_VERBS = {
    "emit": "for receiver in c: receiver(k)",
    "connect": "c.append(k); c.remove(k)",
    "connect method": "c.append(k.hear); c.remove(k.hear)",
}

PEER = Peer(name="for-loop", distribution=None, offers=signals(list, _VERBS))
