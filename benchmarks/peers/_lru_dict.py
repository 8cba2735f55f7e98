"""lru-dict, written in C; it takes no part in garbage collection."""

from __future__ import annotations

from lru import LRU

from benchmarks.peers import MAPPING, Offer, Peer

# popitem() loses a reference at each call, which would fill the memory; there is no iterator but that over a list.
_VERBS = {**{verb: statement for verb, statement in MAPPING.items() if verb != "popitem"}, "iterate": "for _ in c.keys(): pass"}

PEER = Peer(name="lru-dict", distribution="lru-dict", module="lru", offers={"lru": Offer(LRU, _VERBS)})
