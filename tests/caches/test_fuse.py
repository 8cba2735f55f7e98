"""User code that calls back into the same cache, in the middle of every operation, with every operation.

Finalisers of values and keys, comparisons, hashes, `getsizeof`, `on_remove` and factories may do anything; afterwards the cache is whole and within its
bound, nothing was raised that the callback did not cause, and nothing hangs.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable
from typing import Any

import pytest
from helpers.clock import Clock
from helpers.fuse import DelBomb, EqBomb, Fuse, HashBomb
from helpers.kinds import Kind
from helpers.recorder import unraisable

Operation = Callable[[Any, Any], object]

SIZE = 4

# What the user does from the outside; `key` is one that the cache holds, or an equal one.
OUTER: dict[str, Operation] = {
    "get": lambda cache, key: cache.get(key),
    "[]": lambda cache, key: cache[key],
    "replace": lambda cache, key: cache.__setitem__(key, "new"),
    "insert": lambda cache, _key: cache.__setitem__("fresh", "new"),
    "set": lambda cache, key: cache.set(key, "new", ttl=3) if hasattr(cache, "set") else cache.update({key: "new"}),
    "del": lambda cache, key: cache.__delitem__(key),
    "pop": lambda cache, key: cache.pop(key, None),
    "popitem": lambda cache, _key: cache.popitem(),
    "clear": lambda cache, _key: cache.clear(),
    "setdefault": lambda cache, key: cache.setdefault(key, "new"),
    "get_or_create": lambda cache, key: cache.get_or_create(key, str),
    "update": lambda cache, key: cache.update([("u", 1), (key, 2), ("v", 3)]),
    "evict": lambda cache, _key: cache.evict(2),
    "shrink": lambda cache, _key: cache.shrink(0.5),
    "resize": lambda cache, _key: cache.resize(2),
    "expire": lambda cache, _key: cache.expire() if hasattr(cache, "expire") else len(cache),
    "iterate": lambda cache, _key: list(cache.items()),
    "==": lambda cache, _key: cache == dict.fromkeys(["a", "b", "c"]),
    "copy": lambda cache, _key: cache.copy(),
    "in": lambda cache, key: key in cache,
    "init": lambda cache, _key: cache.__init__(
        SIZE, **({"ttl": 5} if hasattr(cache, "ttl") else {"ttu": lambda _k, _v, now: now + 5} if hasattr(cache, "ttu") else {})
    ),
}

# What the bomb does from the inside.
INNER: dict[str, Callable[[Any], object]] = {
    "get": lambda cache: cache.get("x"),
    "insert": lambda cache: cache.__setitem__("inner", 1),
    "fill": lambda cache: cache.update((number, number) for number in range(SIZE + 2)),
    "pop first": lambda cache: cache.pop(next(iter(cache), None), None),
    "popitem": lambda cache: cache.popitem() if len(cache) else None,
    "clear": lambda cache: cache.clear(),
    "clear and fill": lambda cache: (cache.clear(), cache.update((number, number) for number in range(SIZE))),
    "evict": lambda cache: cache.evict(1),
    "resize": lambda cache: cache.resize(SIZE),
    "iterate": lambda cache: list(cache.items()),
    "setdefault": lambda cache: cache.setdefault("inner", 1),
    "get_or_create": lambda cache: cache.get_or_create("inner", int),
    "expire": lambda cache: cache.expire() if hasattr(cache, "expire") else None,
    "copy": lambda cache: cache.copy(),
    "len": len,
    "repr": repr,
    "collect": lambda _cache: gc.collect(0),
}


def run(outer: Operation, cache: Any, key: Any) -> None:
    """Run the outer operation; a KeyError is a fair answer when the inside took the key away."""
    with contextlib.suppress(KeyError):
        outer(cache, key)


def whole(cache: Any, fuse: Fuse, inner: str) -> None:
    """What must hold after every explosion."""
    fuse.disarm()
    assert not fuse.errors, (inner, fuse.errors)
    cache._check()
    assert len(list(cache.items())) == len(list(cache)) == len(cache), inner
    assert cache.currsize <= cache.maxsize, inner
    cache["afterwards"] = 1
    assert cache["afterwards"] == 1, inner
    cache.update((number, number) for number in range(SIZE * 2))
    assert cache.currsize <= cache.maxsize, inner
    assert len(cache) <= SIZE, inner
    cache._check()


def fill(cache: Any, key: Any, value: Any) -> None:
    """Fill the cache up to the brim with `key` the coldest."""
    cache[key] = value
    for name in ("b", "c", "d"):
        cache[name] = name


def explode(kind: Kind, outer: Operation, prepare: Callable[[Any, Fuse], Any], **options: Any) -> int:
    """Run `outer` once for each inner operation, armed just before; return how often the fuse was blown."""
    blown = 0
    for name, inner in INNER.items():
        clock = Clock()
        fuse = Fuse()
        cache = kind.make(SIZE, ttl=5, clock=clock, **options)
        key = prepare(cache, fuse)
        clock.tick(1)
        fuse.arm(lambda inner=inner, cache=cache: inner(cache))
        run(outer, cache, key)
        blown += fuse.blown
        whole(cache, fuse, name)
        del cache, key, fuse
    return blown


@pytest.mark.parametrize("outer", OUTER)
def test_finaliser_of_a_value(kind: Kind, outer: str) -> None:
    """A value whose `__del__` calls back."""

    def prepare(cache: Any, fuse: Fuse) -> str:
        fill(cache, "a", DelBomb(fuse))
        return "a"

    blown = explode(kind, OUTER[outer], prepare)
    assert blown or outer in {"get", "[]", "setdefault", "get_or_create", "expire", "iterate", "==", "copy", "in"}


@pytest.mark.parametrize("outer", OUTER)
def test_finaliser_of_a_key(kind: Kind, outer: str) -> None:
    """A key whose `__del__` calls back."""

    def prepare(cache: Any, fuse: Fuse) -> EqBomb:
        fill(cache, DelKey(fuse), "a")
        return DelKey(Fuse())

    blown = explode(kind, OUTER[outer], prepare)
    assert blown or outer not in {"insert", "del", "pop", "popitem", "clear", "evict", "shrink", "resize", "init"}


class DelKey(DelBomb):
    """A key, equal to its kind, whose `__del__` calls back."""

    def __hash__(self) -> int:
        return 11

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DelKey)


@pytest.mark.parametrize("outer", OUTER)
def test_comparison_of_a_key(kind: Kind, outer: str) -> None:
    """A key whose `__eq__` calls back."""

    def prepare(cache: Any, fuse: Fuse) -> EqBomb:
        cache[EqBomb(fuse, 1)] = "a"
        cache[EqBomb(fuse, 2)] = "b"
        cache[EqBomb(fuse, 3)] = "c"
        cache["d"] = "d"
        return EqBomb(fuse, 3)

    blown = explode(kind, OUTER[outer], prepare)
    assert blown or outer in {"insert", "popitem", "clear", "evict", "shrink", "resize", "expire", "iterate", "==", "copy", "init"}


@pytest.mark.parametrize("outer", OUTER)
def test_hash_of_a_key(kind: Kind, outer: str) -> None:
    """A key whose `__hash__` calls back."""

    def prepare(cache: Any, fuse: Fuse) -> HashBomb:
        fill(cache, HashBomb(Fuse(), 1), "a")
        return HashBomb(fuse, 1)

    blown = explode(kind, OUTER[outer], prepare)
    assert blown or outer in {"insert", "popitem", "clear", "evict", "shrink", "resize", "expire", "iterate", "==", "copy", "init"}


@pytest.mark.parametrize("outer", OUTER)
def test_on_remove(kind: Kind, outer: str) -> None:
    """An `on_remove` that calls back."""
    fuses: list[Fuse] = []

    def prepare(cache: Any, fuse: Fuse) -> str:
        fuses[:] = [fuse]
        fill(cache, "a", "a")
        return "a"

    with unraisable() as caught:
        blown = explode(kind, OUTER[outer], prepare, on_remove=lambda *_: fuses[0].blow() if fuses else None)
    assert not caught
    assert blown or outer not in {"insert", "replace", "del", "pop", "popitem", "clear", "evict", "shrink", "resize", "update"}


@pytest.mark.parametrize("outer", ["replace", "insert", "set", "setdefault", "get_or_create", "update"])
def test_getsizeof(kind: Kind, outer: str) -> None:
    """A `getsizeof` that calls back."""
    fuses: list[Fuse] = []

    def weigh(_value: object) -> int:
        if fuses:
            fuses[0].blow()
        return 1

    def prepare(cache: Any, fuse: Fuse) -> str:
        fuses.clear()
        fill(cache, "a", "a")
        fuses[:] = [fuse]
        return "missing" if outer in {"setdefault", "get_or_create"} else "a"

    assert explode(kind, OUTER[outer], prepare, getsizeof=weigh)


@pytest.mark.parametrize("key", ["a", "missing"])
def test_factory(kind: Kind, key: str) -> None:
    """A factory that calls back."""
    fuses: list[Fuse] = []

    def factory() -> str:
        fuses[0].blow()
        return "made"

    def prepare(cache: Any, fuse: Fuse) -> str:
        fuses[:] = [fuse]
        fill(cache, "a", "a")
        return key

    assert bool(explode(kind, lambda cache, key: cache.get_or_create(key, factory), prepare)) is (key == "missing")


@pytest.mark.parametrize("outer", ["==", "in items", "in values"])
def test_comparison_of_a_value(kind: Kind, outer: str) -> None:
    """A value whose `__eq__` calls back, when caches are compared or searched."""
    operations: dict[str, Operation] = {
        "==": lambda cache, _key: cache == {"a": 0, "b": "b", "c": "c", "d": "d"},
        "in items": lambda cache, key: (key, 0) in cache.items(),
        "in values": lambda cache, _key: 0 in cache.values(),
    }

    def prepare(cache: Any, fuse: Fuse) -> str:
        fill(cache, "a", EqBomb(fuse, 1))
        return "a"

    assert explode(kind, operations[outer], prepare)


@pytest.mark.parametrize("inner", INNER)
def test_expired_value_with_a_finaliser(timed: Kind, inner: str) -> None:
    """A value that expired and whose `__del__` calls back, removed by each operation that expires."""
    for remove in (
        len,
        repr,
        lambda cache: cache.expire(),
        lambda cache: cache.__setitem__("n", 1),
        lambda cache: cache.evict(),
        lambda cache: cache.currsize,
    ):
        clock = Clock()
        fuse = Fuse()
        cache = timed.make(SIZE, ttl=5, clock=clock)
        fill(cache, "a", DelBomb(fuse))
        clock.tick(5)
        fuse.arm(lambda cache=cache: INNER[inner](cache))
        remove(cache)
        assert fuse.blown == 1
        whole(cache, fuse, inner)


@pytest.mark.parametrize("inner", INNER)
def test_timer_that_calls_back(timed: Kind, inner: str) -> None:
    """A timer that uses the cache it times."""

    class Nosy(Clock):
        fuse = Fuse()

        def __call__(self) -> float:
            self.fuse.blow()
            return super().__call__()

    for outer in OUTER.values():
        clock = Nosy()
        cache = timed.make(SIZE, ttl=5, clock=clock)
        fill(cache, "a", "a")
        clock.fuse = Fuse()
        clock.fuse.arm(lambda cache=cache: INNER[inner](cache))
        run(outer, cache, "a")
        whole(cache, clock.fuse, inner)


@pytest.mark.parametrize("inner", INNER)
def test_ttu_that_calls_back(inner: str) -> None:
    """A `ttu` that uses the cache it serves."""
    from helpers.kinds import watched

    from safemem import TLRUCache

    for name in ("replace", "insert", "setdefault", "get_or_create", "update"):
        fuse = Fuse()

        def ttu(_key: object, _value: object, now: float, fuse: Fuse = fuse) -> float:
            fuse.blow()
            return now + 5

        cache = watched(TLRUCache(SIZE, ttu, Clock()))
        fill(cache, "a", "a")
        fuse.arm(lambda cache=cache: INNER[inner](cache))
        run(OUTER[name], cache, "missing" if name in {"setdefault", "get_or_create"} else "a")
        assert fuse.blown == 1
        whole(cache, fuse, inner)


def test_long_chains_of_finalisers(kind: Kind) -> None:
    """A finaliser that evicts the next, which evicts the next, and so on, ends without exhausting the stack."""
    cache = kind.make(300)

    class Next:
        def __del__(self) -> None:
            cache.evict(1)

    cache.update((number, Next()) for number in range(300))
    cache.evict(1)
    assert len(cache) == 0


def test_finaliser_that_puts_itself_back(kind: Kind) -> None:
    """A value that stores itself again from its finaliser lives on; the bound holds."""
    cache = kind.make(2)

    class Phoenix:
        lives = 3

        def __del__(self) -> None:
            if Phoenix.lives:
                Phoenix.lives -= 1
                cache["phoenix"] = self

    cache["phoenix"] = Phoenix()
    cache.clear()
    assert isinstance(cache["phoenix"], Phoenix)
    cache.update(a=1, b=2)
    assert len(cache) <= 2
    cache._check()
    Phoenix.lives = 0
    cache.clear()


class Cyclic:
    """A value in a cycle with itself, whose finaliser changes the cache."""

    def __init__(self, cache: Any, number: int) -> None:
        self.me = self
        self.cache = cache
        self.number = number

    def __del__(self) -> None:
        self.cache.pop(self.number % 5, None)
        self.cache[self.number % 3] = self.number


def test_collector_at_the_worst_place(kind: Kind) -> None:
    """The collector runs at every allocation and finds values whose finalisers change the cache; it stays whole."""
    clock = Clock()
    cache = kind.make(SIZE, ttl=5, clock=clock)
    threshold = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for number in range(400):
            cache[number % 7] = Cyclic(cache, number)
            cache.get(number % 3)
            cache.setdefault(number % 5, number)
            if number % 10 == 0:
                cache.update({key: [key] for key in range(3)})
                clock.tick(1)
                list(cache.items())
                cache.evict(1)
            if number % 50 == 0:
                cache.clear()
            assert cache.currsize <= SIZE
    finally:
        gc.set_threshold(*threshold)
    cache._check()
    cache.clear()
    gc.collect()
    cache._check()
