"""cachetools: pure Python, not locked but for `cachetools.func`."""

from __future__ import annotations

from collections.abc import Callable

from cachetools import LRUCache, TLRUCache, TTLCache, cached, cachedmethod, func
from cachetools.keys import typedkey

from benchmarks.peers import CALLS, MAPPING, TTL, Offer, Peer


def _method(n: int, work: Callable[..., object]) -> object:
    class Owner:
        def __init__(self) -> None:
            self.cache: LRUCache[object, object] = LRUCache(n)

        @cachedmethod(lambda self: self.cache)
        def f(self, k: object) -> object:
            return work(k)

    return Owner()


PEER = Peer(
    name="cachetools",
    distribution="cachetools",
    module="cachetools",
    offers={
        "lru": Offer(LRUCache, MAPPING),
        "ttl": Offer(lambda n: TTLCache(n, TTL), MAPPING),
        "ttl ticking": Offer(lambda n, now: TTLCache(4 * n, n, now.__len__), {"expire": "tick(0); c[k] = v"}),
        "tlru": Offer(lambda n: TLRUCache(n, lambda k, _v, now: now + 600 + (hash(k) & 255)), MAPPING),
        "lru_cache": Offer(lambda n, work: func.lru_cache(n)(work), CALLS),
        "lru_cache typed": Offer(lambda n, work: func.lru_cache(n, typed=True)(work), CALLS),
        "cached": Offer(lambda n, work: cached(LRUCache(n))(work), CALLS),
        "cached typed": Offer(lambda n, work: cached(LRUCache(n), typedkey)(work), CALLS),
        "cached ttl": Offer(lambda n, work: cached(TTLCache(n, TTL))(work), CALLS),
        "method": Offer(_method, {"call": "o.f(k)"}),
    },
)
