"""fastcache, written in C: the ancestor of functools.lru_cache."""

from __future__ import annotations

from fastcache import clru_cache

from benchmarks.peers import CALLS, Offer, Peer

PEER = Peer(
    name="fastcache",
    distribution="fastcache",
    module="fastcache",
    offers={
        "lru_cache": Offer(lambda n, work: clru_cache(n)(work), CALLS),
        "lru_cache typed": Offer(lambda n, work: clru_cache(n, typed=True)(work), CALLS),
    },
)
