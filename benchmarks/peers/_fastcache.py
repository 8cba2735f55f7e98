"""fastcache, written in C: the ancestor of functools.lru_cache; like it, on methods it keeps the instances alive."""

from __future__ import annotations

from fastcache import clru_cache

from benchmarks.peers import CALLS, Offer, Peer, method_of

_PLAIN = Offer(lambda n, work: clru_cache(n)(work), CALLS)
_TYPED = Offer(lambda n, work: clru_cache(n, typed=True)(work), CALLS)

PEER = Peer(
    name="fastcache",
    distribution="fastcache",
    module="fastcache",
    offers={
        "lru_cache": _PLAIN,
        "lru_cache typed": _TYPED,
        "cached": _PLAIN,
        "cached typed": _TYPED,
        "method": Offer(lambda n, work: method_of(clru_cache(n), work), {"call": "o.f(k)"}),
    },
)
