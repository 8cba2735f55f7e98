"""cachebox, written in Rust; its TTLCache evicts the oldest entry, not the least recently used."""

from __future__ import annotations

from collections.abc import Callable

from cachebox import LRUCache, TTLCache, VTTLCache, cached, make_typed_key

from benchmarks.peers import CALLS, LIFE, MAPPING, TTL, Offer, Peer, coroutine_of


def _method(n: int, work: Callable[..., object]) -> object:
    class Owner:
        def __init__(self) -> None:
            self.cache: LRUCache[object, object] = LRUCache(n)

        @cached(lambda self: self.cache)
        def f(self, k: object) -> object:
            return work(k)

    return Owner()


PEER = Peer(
    name="cachebox",
    distribution="cachebox",
    module="cachebox",
    offers={
        "lru": Offer(LRUCache, {**MAPPING, "get_or_create": "c.setdefault_with(k, int)"}),
        "ttl": Offer(lambda n: TTLCache(n, TTL), MAPPING),
        "tlru": Offer(VTTLCache, {**MAPPING, "set": f"c.insert(k, v, {LIFE})"}),
        "cached": Offer(lambda n, work: cached(LRUCache(n))(work), CALLS),
        "cached typed": Offer(lambda n, work: cached(LRUCache(n), make_typed_key)(work), CALLS),
        "cached ttl": Offer(lambda n, work: cached(TTLCache(n, TTL))(work), CALLS),
        "method": Offer(_method, {"call": "o.f(k)"}),
        "coroutine": Offer(lambda n, work: coroutine_of(cached(LRUCache(n)), work), {"await": "await f(k)"}),
    },
)
