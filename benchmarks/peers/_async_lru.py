"""async-lru, for coroutine functions."""

from __future__ import annotations

from async_lru import alru_cache

from benchmarks.peers import Offer, Peer, coroutine_of

PEER = Peer(
    name="async-lru",
    distribution="async-lru",
    module="async_lru",
    offers={"coroutine": Offer(lambda n, work: coroutine_of(alru_cache(n), work), {"await": "await f(k)"})},
)
