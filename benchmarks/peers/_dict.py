"""A plain dict: what a lookup costs without bound, order or lock."""

from __future__ import annotations

from benchmarks.peers import MAPPING, Offer, Peer

# popitem() takes the newest entry: another operation than that of the caches.
_VERBS = {verb: statement for verb, statement in MAPPING.items() if verb != "popitem"}
_BOUNDLESS = Offer(lambda _n: {}, _VERBS, bounded=False)

PEER = Peer(name="dict", distribution=None, offers={"lru": _BOUNDLESS, "ttl": _BOUNDLESS})
