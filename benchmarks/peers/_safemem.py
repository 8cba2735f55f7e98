"""safemem, with the core that this process runs on."""

from __future__ import annotations

from typing import Any

from benchmarks.peers import CALLS, CONNECT, LIFE, MAPPING, MORTAL, TTL, Offer, Peer, connected, coroutine_of, method_of, signals
from benchmarks.shapes import trees
from safemem import LRUCache, Signal, TLRUCache, TreeNode, TTLCache, WeakCache, WeakIdentityDict, cached, core, lru_cache


class _Emitter:
    changed: Signal[object] = Signal()


def _use(emitter: Any, receiver: Any) -> None:
    emitter.changed.connect(receiver)


_OF_INSTANCES = Offer(lambda _n: (_Emitter, _use), {})


class Node(TreeNode):
    __slots__ = ("name",)

    def __init__(self, name: int, parent: Node | None) -> None:
        self.name = name
        self.parent = parent


PEER = Peer(
    name="safemem",
    distribution="safemem",
    module="safemem",
    core=core.CORE,
    offers={
        "lru": Offer(LRUCache, {**MAPPING, "get_or_create": "c.get_or_create(k, int)"}),
        "ttl": Offer(lambda n: TTLCache(n, TTL), {**MAPPING, "set_for": f"c.set(k, v, {LIFE})"}),
        "ttl ticking": Offer(lambda n, now: TTLCache(4 * n, n, now.__len__), {"expire": "tick(0); c[k] = v"}),
        "tlru": Offer(lambda n: TLRUCache(n, lambda k, _v, now: now + 600 + (hash(k) & 255)), MAPPING),
        "weak": Offer(WeakCache, {**MAPPING, **MORTAL}, bounded=False),
        "weak bare": Offer(lambda _n: WeakCache(0), {**MAPPING, **MORTAL}, bounded=False),
        "weak tight": Offer(lambda n: WeakCache(n // 8), {**MAPPING, **MORTAL}, bounded=False),
        "weak owners": Offer(lambda _n: WeakIdentityDict(), MAPPING, bounded=False),
        "lru_cache": Offer(lambda n, work: lru_cache(n)(work), CALLS),
        "lru_cache typed": Offer(lambda n, work: lru_cache(n, typed=True)(work), CALLS),
        "cached": Offer(lambda n, work: cached(maxsize=n)(work), CALLS),
        "cached typed": Offer(lambda n, work: cached(maxsize=n, typed=True)(work), CALLS),
        "cached ttl": Offer(lambda n, work: cached(maxsize=n, ttl=TTL)(work), CALLS),
        "method": Offer(lambda n, work: method_of(cached(maxsize=n), work), {"call": "o.f(k)"}),
        **signals(lambda receivers: connected(Signal(), receivers), {**CONNECT, "emit": "c.emit(k)"}),
        "signal idle": _OF_INSTANCES,
        "signal in use": _OF_INSTANCES,
        **trees(Node),
        "coroutine": Offer(lambda n, work: coroutine_of(cached(maxsize=n), work), {"await": "await f(k)"}),
    },
)
