"""What a type checker sees of the weak containers and callbacks. Checked by mypy and pyright, not executed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import assert_type

from safemem import (
    RemovalCause,
    WeakCache,
    WeakCacheStats,
    WeakIdentityDict,
    WeakIdentitySet,
    WeakRegistry,
    cached,
    finalize,
    weak_callback,
)


class Shape:
    """Something of the user's."""

    def area(self, scale: int) -> float:
        return float(scale)


def cache(shape: Shape) -> None:
    c: WeakCache[str, Shape] = WeakCache(10, ttl=60, unweakable="raise")
    assert_type(c["a"], Shape)
    assert_type(c.get("a"), Shape | None)
    assert_type(c.get_or_create("a", lambda: shape), Shape)
    assert_type(c.popitem(), tuple[str, Shape])
    assert_type(c.stats(), WeakCacheStats)
    assert_type(c.copy(), WeakCache[str, Shape])
    c.set("a", shape, ttl=5)

    @cached(weak=True)
    def make(name: str) -> Shape:
        return Shape()

    assert_type(make("a"), Shape)


def registry(shape: Shape) -> None:
    def hear(name: str, obj: Shape | None, cause: RemovalCause) -> None: ...

    r: WeakRegistry[str, Shape] = WeakRegistry(on_remove=hear)
    assert_type(r["a"], Shape)
    assert_type(r.get("a"), Shape | None)
    assert_type(r.pop("a", None), Shape | None)
    assert_type(r.popitem(), tuple[str, Shape])
    assert_type(r.copy(), WeakRegistry[str, Shape])
    assert_type(r | {"a": shape}, WeakRegistry[str, Shape])
    assert_type(r.register(shape, "a"), Shape)
    assert_type(iter(r), Iterator[str])

    functions: WeakRegistry[str, Callable[..., object]] = WeakRegistry()

    @functions.register
    def plain(number: int) -> str:
        return str(number)

    @functions.register(name="other", replace=True)
    def named(number: int) -> str:
        return str(number)

    assert_type(plain(1), str)
    assert_type(named(1), str)


def identity(shape: Shape) -> None:
    d: WeakIdentityDict[Shape, int] = WeakIdentityDict()
    assert_type(d[shape], int)
    assert_type(list(d.items()), list[tuple[Shape, int]])
    assert_type(d.popitem(), tuple[Shape, int])
    assert_type(d.copy(), WeakIdentityDict[Shape, int])
    s = WeakIdentitySet([shape])
    assert_type(s, WeakIdentitySet[Shape])
    assert_type(s.pop(), Shape)
    assert_type(s & {1}, WeakIdentitySet[Shape])
    assert_type(list(s), list[Shape])


def callbacks(shape: Shape) -> None:
    assert_type(weak_callback(shape.area)(1), float | None)
    assert_type(weak_callback(shape.area, on_dead="raise")(1), float)

    def instead(scale: int) -> str:
        return str(scale)

    assert_type(weak_callback(shape.area, on_dead=instead)(1), float | str)
    weak_callback(shape.area)("one")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    closing = finalize(shape, print, "closed")
    assert_type(closing.alive, bool)
