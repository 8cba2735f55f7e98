"""Who is coldest: the order of use, and the operations that let go of the cold end."""

from __future__ import annotations

from typing import Any

import pytest
from helpers.kinds import Kind
from helpers.naming import source
from helpers.recorder import Recorder


def filled(kind: Kind, *, maxsize: float = 5, **options: Any) -> Any:
    """A cache of a, b, c, d, e from cold to hot."""
    cache = kind.make(maxsize, **options)
    cache.update((key, key.upper()) for key in "abcde")
    return cache


def test_iteration_is_coldest_first(kind: Kind) -> None:
    """Iteration shows the order in which entries would be evicted, reversed() the opposite."""
    cache = filled(kind)
    assert list(cache) == list(cache.keys()) == list("abcde")
    assert list(reversed(cache)) == list("edcba")
    assert list(cache.values()) == list("ABCDE")
    assert list(cache.items()) == list(zip("abcde", "ABCDE", strict=True))


@pytest.mark.parametrize("view", ["keys", "values", "items"])
def test_views_can_be_reversed(kind: Kind, view: str) -> None:
    """A reversed view is the view from the hot end."""
    cache = filled(kind)
    assert list(reversed(getattr(cache, view)())) == list(reversed(list(getattr(cache, view)())))


@pytest.mark.parametrize(
    "use",
    [
        lambda cache: cache["b"],
        lambda cache: cache.get("b"),
        lambda cache: cache.setdefault("b", "X"),
        lambda cache: cache.get_or_create("b", object),
        lambda cache: cache.__setitem__("b", "X"),
        lambda cache: cache.update(b="X"),
    ],
    ids=["[]", "get", "setdefault", "get_or_create", "[]=", "update"],
)
def test_use_promotes(kind: Kind, use: Any) -> None:
    """Reading and writing an entry make it the hottest."""
    cache = filled(kind)
    use(cache)
    assert list(cache) == list("acdeb")


@pytest.mark.parametrize(
    "look",
    [
        lambda cache: "b" in cache,
        lambda cache: cache.peek("b"),
        lambda cache: list(cache),
        lambda cache: list(cache.items()),
        lambda cache: list(cache.values()),
        lambda cache: ("b", "B") in cache.items(),
        lambda cache: "B" in cache.values(),
        lambda cache: "b" in cache.keys(),
        lambda cache: list(reversed(cache)),
        lambda cache: cache == {"b": "B"},
        lambda cache: cache == dict(zip("abcde", "ABCDE", strict=True)),
        repr,
        len,
        lambda cache: cache.stats(),
        lambda cache: cache.copy(),
        lambda cache: cache | {},
        lambda cache: cache.get("missing"),
        lambda cache: cache.pop("missing", None),
        lambda cache: dict(cache.items()),
    ],
    ids=source,
)
def test_looking_does_not_promote(kind: Kind, look: Any) -> None:
    """Looking at a cache leaves the order alone."""
    cache = filled(kind)
    look(cache)
    assert list(cache) == list("abcde")


def test_peek(kind: Kind) -> None:
    """peek() returns the value or the default and knows no __missing__."""
    cache = kind.subclass({"__missing__": lambda _self, _key: "made up"}).make()
    cache["a"] = 1
    assert cache["z"] == "made up"
    assert cache.peek("a") == 1
    assert cache.peek("z") is None
    assert cache.peek("z", 9) == 9
    assert cache.peek("z", default=9) == 9


def test_eviction_takes_the_coldest(kind: Kind) -> None:
    """A full cache evicts what was not used for longest."""
    cache = filled(kind)
    cache["a"]
    cache["f"] = "F"
    cache["c"]
    cache["g"] = "G"
    assert list(cache) == list("eafcg")


def test_popitem_takes_the_coldest(kind: Kind) -> None:
    """popitem() returns the pairs from cold to hot."""
    cache = filled(kind)
    cache["a"]
    assert [cache.popitem() for _ in range(5)] == [("b", "B"), ("c", "C"), ("d", "D"), ("e", "E"), ("a", "A")]


def test_replacing_keeps_one_entry(kind: Kind) -> None:
    """A replaced entry is one entry, at the hot end, and keeps the key object it had first, as in a dict."""
    cache = kind.make()
    cache[1] = "int"
    cache[2] = "two"
    cache[1.0] = "float"
    assert [(type(key), value) for key, value in cache.items()] == [(int, "two"), (int, "float")]


def test_evict(kind: Kind) -> None:
    """evict(n) lets the n coldest go, one if not told, and returns how many went."""
    cache = filled(kind)
    assert cache.evict() == 1
    assert list(cache) == list("bcde")
    assert cache.evict(2) == 2
    assert list(cache) == list("de")
    assert cache.evict(0) == 0
    assert cache.evict(10) == 2
    assert cache.evict() == 0
    assert len(cache) == cache.currsize == 0


@pytest.mark.parametrize(("fraction", "left"), [(0, "abcde"), (0.2, "bcde"), (0.6, "de"), (1, ""), (1.0, "")])
def test_shrink(kind: Kind, fraction: float, left: str) -> None:
    """shrink(fraction) lets that part go from the cold end and returns how many went; the bound stays."""
    cache = filled(kind)
    assert cache.shrink(fraction) == 5 - len(left)
    assert list(cache) == list(left)
    assert cache.maxsize == 5


def test_shrink_of_an_empty_cache(kind: Kind) -> None:
    """There is nothing to let go of."""
    assert kind.make().shrink(1.0) == 0


@pytest.mark.parametrize("wrong", [-0.1, 1.1, float("nan"), -1])
def test_shrink_refuses_what_is_no_fraction(kind: Kind, wrong: float) -> None:
    """The fraction lies between 0 and 1."""
    cache = filled(kind)
    with pytest.raises(ValueError, match="fraction.*got"):
        cache.shrink(wrong)
    assert len(cache) == 5


def test_resize_smaller_evicts_at_once(kind: Kind, told: Recorder) -> None:
    """A smaller bound lets the coldest go at once."""
    cache = filled(kind, on_remove=told)
    cache.resize(2)
    assert list(cache) == list("de")
    assert (cache.maxsize, cache.currsize) == (2, 2)
    assert told.take() == [("a", "A", "SIZE"), ("b", "B", "SIZE"), ("c", "C", "SIZE")]
    cache["f"] = "F"
    assert list(cache) == list("ef")


def test_resize_larger(kind: Kind) -> None:
    """A larger bound evicts nothing and leaves room."""
    cache = filled(kind)
    cache.resize(7)
    cache.update(f="F", g="G", h="H")
    assert list(cache) == list("bcdefgh")


def test_resize_to_nothing(kind: Kind) -> None:
    """resize(0) empties the cache; math.inf takes the bound away."""
    cache = filled(kind)
    cache.resize(0)
    assert len(cache) == 0
    with pytest.raises(ValueError, match="too large"):
        cache["a"] = 1
    cache.resize(float("inf"))
    cache.update((number, number) for number in range(100))
    assert len(cache) == 100


@pytest.mark.parametrize(
    ("wrong", "error"), [(-1, ValueError), (float("nan"), ValueError), (None, TypeError), ("3", TypeError), (True, TypeError)]
)
def test_resize_refuses_what_the_constructor_refuses(kind: Kind, wrong: Any, error: type[Exception]) -> None:
    """A bad bound is refused and nothing is evicted."""
    cache = filled(kind)
    with pytest.raises(error, match="maxsize must be"):
        cache.resize(wrong)
    assert (cache.maxsize, len(cache)) == (5, 5)


def test_resize_by_weight(kind: Kind) -> None:
    """With weights resize() evicts until the sum fits."""
    cache = kind.make(10, getsizeof=lambda value: value)
    cache.update(a=4, b=1, c=5)
    cache.resize(6)
    assert list(cache.items()) == [("b", 1), ("c", 5)]


def test_weights_with_evict_and_shrink(kind: Kind) -> None:
    """Evicting gives the weight back."""
    cache = kind.make(10, getsizeof=lambda value: value)
    cache.update(a=4, b=1, c=5)
    assert cache.evict() == 1
    assert cache.currsize == 6
    assert cache.shrink(1.0) == 2
    assert cache.currsize == 0
