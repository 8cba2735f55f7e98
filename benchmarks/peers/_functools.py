"""functools.lru_cache, from the standard library; on methods it keeps the instances alive."""

from __future__ import annotations

from functools import lru_cache

from benchmarks.peers import CALLS, Offer, Peer, method_of

_PLAIN = Offer(lambda n, work: lru_cache(n)(work), CALLS)
_TYPED = Offer(lambda n, work: lru_cache(n, typed=True)(work), CALLS)

PEER = Peer(
    name="functools",
    distribution=None,
    offers={
        "lru_cache": _PLAIN,
        "lru_cache typed": _TYPED,
        "cached": _PLAIN,
        "cached typed": _TYPED,
        "method": Offer(lambda n, work: method_of(lru_cache(n), work), {"call": "o.f(k)"}),
    },
)
