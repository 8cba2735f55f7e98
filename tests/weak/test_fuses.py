"""Finalisers, callbacks and comparisons that use the cache from inside each of its methods, while values die."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest
from helpers.fuse import Fuse
from helpers.kinds import watched
from helpers.mortal import Thing

from safemem import WeakCache

OUTER: dict[str, Callable[[Any], object]] = {
    "get": lambda cache: cache.get("weak"),
    "revive": lambda cache: cache["kept"],
    "peek": lambda cache: cache.peek("weak"),
    "store": lambda cache: cache.__setitem__("new", Thing()),
    "replace": lambda cache: cache.__setitem__("weak", Thing()),
    "set": lambda cache: cache.set("new", Thing(), ttl=5),
    "setdefault": lambda cache: cache.setdefault("weak", Thing()),
    "get_or_create": lambda cache: cache.get_or_create("weak", Thing),
    "pop": lambda cache: cache.pop("weak", None),
    "popitem": lambda cache: cache.popitem(),
    "evict": lambda cache: cache.evict(2),
    "shrink": lambda cache: cache.shrink(1.0),
    "resize": lambda cache: cache.resize(1),
    "resize to 0": lambda cache: cache.resize(0),
    "clear": lambda cache: cache.clear(),
    "copy": lambda cache: cache.copy(),
    "len": len,
    "iterate": lambda cache: list(cache.items()),
    "expire": lambda cache: cache.expire(),
    "stats": lambda cache: cache.stats(),
    "init": lambda cache: cache.__init__(2),
}

INNER: dict[str, Callable[[Any], object]] = {
    "get": lambda cache: cache.get("kept"),
    "store": lambda cache: cache.__setitem__("inner", Thing()),
    "store weak": lambda cache: cache.__setitem__("weak", Thing()),
    "fill": lambda cache: cache.update((number, Thing()) for number in range(6)),
    "pop": lambda cache: cache.pop("kept", None),
    "popitem": lambda cache: cache.popitem() if len(cache) else None,
    "clear": lambda cache: cache.clear(),
    "evict": lambda cache: cache.evict(5),
    "resize": lambda cache: cache.resize(0),
    "collect": lambda _cache: gc.collect(),
    "iterate": list,
    "set": lambda cache: cache.set("timed", Thing(), ttl=3),
}


class Bomb(Thing):
    """A value whose finaliser blows."""

    def __init__(self, fuse: Fuse, *, cyclic: bool) -> None:
        super().__init__("bomb", cyclic=cyclic)
        self.fuse = fuse

    def __del__(self) -> None:
        self.fuse.blow()


# What looks at the key of the entry "weak", and so compares or hashes it.
KEYED = {"get", "peek", "replace", "setdefault", "get_or_create", "pop"}
# What lets go of no value that the cache alone holds, and what tells of nothing.
SPARING = {"get", "peek", "setdefault", "get_or_create", "popitem", "copy", "len", "iterate", "expire", "stats"}
SILENT = {"peek", "copy", "len", "iterate", "expire", "stats", "init"}


def explode(outer: str, inner: str, prepare: Callable[[Any, Fuse], list[Thing]], **options: Any) -> int:
    """Run one operation with another going off inside, see that all is whole, and return how often it went off; `prepare` says what is held."""
    fuse = Fuse()
    cache = watched(WeakCache(2, **options))
    kept = Thing("kept")
    cache["kept"] = kept
    held = prepare(cache, fuse)
    fuse.arm(lambda: INNER[inner](cache))
    try:
        OUTER[outer](cache)
    except KeyError:
        pass
    gc.collect()
    assert fuse.errors == []
    fuse.disarm()
    assert cache.currsize <= cache.maxsize
    cache._check()
    cache["after"] = kept
    assert cache["after"] is kept
    cache.resize(0)
    gc.collect()
    del kept
    held.clear()
    assert len(cache) == 0
    cache._check()
    return fuse.blown


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("outer", OUTER)
def test_finaliser(outer: str, inner: str) -> None:
    """A value that dies in the middle, by itself or by the collector."""
    for cyclic in (False, True):

        def prepare(cache: Any, fuse: Fuse, cyclic: bool = cyclic) -> list[Thing]:
            cache["weak"] = Bomb(fuse, cyclic=cyclic)
            cache["x"] = Thing()
            return []

        blown = explode(outer, inner, prepare)
        assert cyclic or blown == (outer not in SPARING)


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("outer", OUTER)
def test_callback(outer: str, inner: str) -> None:
    """An `on_remove` that uses the cache."""
    fuses: list[Fuse] = []

    def on_remove(*_: object) -> None:
        for fuse in fuses:
            fuse.blow()

    def prepare(cache: Any, fuse: Fuse) -> list[Thing]:
        fuses.append(fuse)
        cache["weak"] = Thing(cyclic=True)
        cache["text"] = "not weakable"
        cache["x"] = Thing()
        return []

    assert explode(outer, inner, prepare, on_remove=on_remove) == (outer not in SILENT)


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("outer", OUTER)
def test_comparison(outer: str, inner: str) -> None:
    """Keys that use the cache when they are compared or hashed."""

    class Key(str):
        fuse: Fuse | None = None
        __slots__ = ()

        def __hash__(self) -> int:
            if Key.fuse is not None:
                Key.fuse.blow()
            return str.__hash__(self)

        def __eq__(self, other: object) -> bool:
            if Key.fuse is not None:
                Key.fuse.blow()
            return str.__eq__(self, str(other))

    def prepare(cache: Any, fuse: Fuse) -> list[Thing]:
        held = [Thing("weak")]
        cache[Key("weak")] = held[0]
        for name in ("x", "y"):
            cache[Key(name)] = Thing(name)
        Key.fuse = fuse
        return held

    assert explode(outer, inner, prepare) >= (outer in KEYED)
