"""theine, in Python and Rust; W-TinyLFU, so a bound but not the order of an LRU. On methods it keeps the instances alive."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from theine import Cache, Memoize

from benchmarks.peers import CALLS, Offer, Peer, coroutine_of, method_of

_VERBS = {"getitem": "c.get(k)[0]", "get": "c.get(k)[0]", "set": "c.set(k, v)", "pop": "c.delete(k); c.set(k, v)", "len": "len(c)"}


class _Timed(Cache):  # type: ignore[type-arg]
    """A cache that knows the lifetime that its entries are given."""

    life = timedelta(seconds=600)


_TIMED = {**_VERBS, "set": "c.set(k, v, c.life)", "set_for": "c.set(k, v, c.life)", "pop": "c.delete(k); c.set(k, v, c.life)"}


def _close(memoized: Any) -> None:
    getattr(memoized, "f", memoized)._cache.close()  # noqa: SLF001 - its maintenance keeps a cache alive until it is closed, and there is no other way to it


PEER = Peer(
    name="theine",
    distribution="theine",
    module="theine",
    offers={
        "lru": Offer(Cache, _VERBS, Cache.close),
        "ttl": Offer(_Timed, _TIMED, Cache.close),
        "cached": Offer(lambda n, work: Memoize(n, None)(work), CALLS, _close),
        "cached typed": Offer(lambda n, work: Memoize(n, None, typed=True)(work), CALLS, _close),
        "cached ttl": Offer(lambda n, work: Memoize(n, timedelta(seconds=600))(work), CALLS, _close),
        "method": Offer(lambda n, work: method_of(Memoize(n, None), work), {"call": "o.f(k)"}, _close),
        "coroutine": Offer(lambda n, work: coroutine_of(Memoize(n, None), work), {"await": "await f(k)"}, _close),
    },
)
