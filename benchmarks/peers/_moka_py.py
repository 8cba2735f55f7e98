"""moka-py, written in Rust; measured with its LRU policy. On methods it keeps the instances alive."""

from __future__ import annotations

from moka_py import Moka, cached

from benchmarks.peers import CALLS, LIFE, TTL, Offer, Peer, coroutine_of, method_of

_VERBS = {
    "getitem": "c.get(k)",
    "get": "c.get(k)",
    "set": "c.set(k, v)",
    "pop": "c.remove(k); c.set(k, v)",
    "get_or_create": "c.get_with(k, int)",
}

PEER = Peer(
    name="moka-py",
    distribution="moka-py",
    module="moka_py",
    offers={
        "lru": Offer(lambda n: Moka(n, policy="lru"), _VERBS),
        "ttl": Offer(lambda n: Moka(n, ttl=TTL, policy="lru"), {**_VERBS, "set_for": f"c.set(k, v, {LIFE})"}),
        "cached": Offer(lambda n, work: cached(n, policy="lru")(work), CALLS),
        "cached typed": Offer(lambda n, work: cached(n, typed=True, policy="lru")(work), CALLS),
        "cached ttl": Offer(lambda n, work: cached(n, ttl=TTL, policy="lru")(work), CALLS),
        "method": Offer(lambda n, work: method_of(cached(n, policy="lru"), work), {"call": "o.f(k)"}),
        "coroutine": Offer(lambda n, work: coroutine_of(cached(n, policy="lru"), work), {"await": "await f(k)"}),
    },
)
