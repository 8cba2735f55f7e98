"""safemem, with the core that this process runs on."""

from __future__ import annotations

from typing import Any

from benchmarks.lent import CHOSEN, SIZE, Closable, Held, lent
from benchmarks.measured import sizes
from benchmarks.peers import CALLS, CONNECT, LIFE, MAPPING, MORTAL, TTL, Offer, Peer, connected, coroutine_of, fields, method_of, signals
from benchmarks.shapes import trees
from safemem import (
    LRUCache,
    Observable,
    ResourceScope,
    Signal,
    TLRUCache,
    TreeNode,
    TTLCache,
    WeakCache,
    WeakIdentityDict,
    cached,
    core,
    lru_cache,
    managed,
    managed_file,
    managed_mmap,
    managed_shm,
    managed_tempdir,
    managed_tempfile,
    run_isolated,
    sizeof,
)


class _Emitter:
    changed: Signal[object] = Signal()


def _use(emitter: Any, receiver: Any) -> None:
    emitter.changed.connect(receiver)


_OF_INSTANCES = Offer(lambda _n: (_Emitter, _use), {})


class _Point(Observable):
    x: object = None


def _observed(count: int) -> _Point:
    point = _Point()
    for _ in range(count):
        point.observe("x", lambda _name, _old, _new: None)
    return point


class Node(TreeNode):
    __slots__ = ("name",)

    def __init__(self, name: int, parent: Node | None) -> None:
        self.name = name
        self.parent = parent


_segments: dict[str, Any] = {}


def _make_segment() -> str:
    shm = managed_shm(SIZE)
    _segments[shm.name] = shm
    return shm.name


def _attach(held: Held) -> None:
    managed_shm(name=held.name, attach=True).close()


def _fill(size: int, contents: bytes) -> None:
    with managed_shm(size) as shm:
        shm.buf[:] = contents


def _end(held: Held) -> None:
    _segments.pop(held.name).close()


def _replace(held: Held) -> None:
    with managed_file(held.path, "w", encoding="utf-8") as file:
        file.write("value")


def _temporary_file(held: Held) -> None:
    with managed_tempfile(dir=held.folder) as file:
        file.write(b"value")


def _temporary_directory(held: Held) -> None:
    with managed_tempdir(dir=held.folder):
        pass


def _map(held: Held) -> None:
    with managed_mmap(held.path) as mapped:
        mapped[0]


def _scope() -> None:
    with ResourceScope() as scope:
        scope.adopt(Closable())
        scope.adopt(Closable())
        scope.adopt(Closable())


def _one() -> None:
    with managed(Closable()):
        pass


def _isolated() -> None:
    assert run_isolated(abs, -1) == 1


PEER = Peer(
    name="safemem",
    distribution="safemem",
    module="safemem",
    core=core.CORE,
    offers={
        **sizes(sizeof),
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
        **fields(_observed),
        **trees(Node),
        **lent(
            create=lambda size, _: managed_shm(size, prealloc=False).close(),
            create_named=lambda size, _: managed_shm(size, name=CHOSEN, prealloc=False).close(),
            allocate=lambda size, _: managed_shm(size).close(),
            fill=_fill,
            segment=(_make_segment, _attach, _end),
            replace=_replace,
            temporary_file=_temporary_file,
            temporary_directory=_temporary_directory,
            map_file=_map,
            scope=_scope,
            one=_one,
            isolated=_isolated,
        ),
        "coroutine": Offer(lambda n, work: coroutine_of(cached(maxsize=n), work), {"await": "await f(k)"}),
    },
)
