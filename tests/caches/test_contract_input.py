"""Bad input is refused at once, by a message that names the argument, the rule and the offender."""

from __future__ import annotations

import math
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from helpers.clock import Clock
from helpers.kinds import Kind, for_ever
from helpers.naming import source

from safemem import LRUCache, TLRUCache, TTLCache

NAN = math.nan

BAD_MAXSIZE = [
    (-1, ValueError),
    (-0.5, ValueError),
    (-math.inf, ValueError),
    (NAN, ValueError),
    (None, TypeError),
    ("3", TypeError),
    (True, TypeError),
    (1j, TypeError),
    ([], TypeError),
]

BAD_TTL = [
    (-1, ValueError),
    (-0.1, ValueError),
    (-math.inf, ValueError),
    (NAN, ValueError),
    (timedelta(seconds=-1), ValueError),
    (None, TypeError),
    ("3", TypeError),
    (1j, TypeError),
]


@pytest.mark.parametrize(("maxsize", "error"), BAD_MAXSIZE)
def test_maxsize(kind: Kind, maxsize: Any, error: type[Exception]) -> None:
    """maxsize is a real number >= 0: neither NaN, nor bool, nor None."""
    with pytest.raises(error, match=r"^maxsize must be .*got ") as caught:
        kind.make(maxsize)
    assert repr(maxsize) in str(caught.value) or type(maxsize).__name__ in str(caught.value)


def test_the_message_of_a_negative_maxsize(kind: Kind) -> None:
    """The example of the contract, to the letter."""
    with pytest.raises(ValueError, match=r"^maxsize must be >= 0, got -1$"):
        kind.make(-1)


@pytest.mark.parametrize(("ttl", "error"), BAD_TTL)
def test_ttl(ttl: Any, error: type[Exception]) -> None:
    """ttl is a number >= 0, not NaN, or a timedelta that is not negative; the same for one item."""
    with pytest.raises(error, match=r"^ttl must be .*got "):
        TTLCache(5, ttl)
    for cache in (TTLCache(5, 10, Clock()), TLRUCache(5, for_ever, Clock())):
        cache["a"] = 1
        with pytest.raises(error, match=r"^ttl must be .*got "):
            cache.set("a", 2, ttl=ttl)
        assert dict(cache) == {"a": 1}


@pytest.mark.parametrize("good", [0, 0.0, 1, 2.5, math.inf, timedelta(0), timedelta(days=1)], ids=repr)
def test_good_ttl(good: Any) -> None:
    """0, fractions, infinity and timedeltas are lives."""
    assert TTLCache(5, good, Clock()).maxsize == 5
    TTLCache(5, 1, Clock()).set("a", 1, ttl=good)


@pytest.mark.parametrize("name", ["getsizeof", "on_remove"])
@pytest.mark.parametrize("wrong", [1, "len", []], ids=repr)
def test_callables(kind: Kind, name: str, wrong: object) -> None:
    """What must be callable is checked when it is given, not when it is needed."""
    with pytest.raises(TypeError, match=rf"^{name} must be .*got "):
        kind.make(**{name: wrong})


@pytest.mark.parametrize("wrong", [None, 1, "time"], ids=repr)
def test_timer(wrong: Any) -> None:
    """timer must be callable."""
    with pytest.raises(TypeError, match=r"^timer must be .*got "):
        TTLCache(5, 1, wrong)
    with pytest.raises(TypeError, match=r"^timer must be .*got "):
        TLRUCache(5, for_ever, wrong)


@pytest.mark.parametrize("wrong", [None, 1, "ttu"], ids=repr)
def test_ttu(wrong: Any) -> None:
    """ttu must be callable."""
    with pytest.raises(TypeError, match=r"^ttu must be .*got "):
        TLRUCache(5, wrong)


@pytest.mark.parametrize("wrong", ["soon", None, 1j], ids=repr)
def test_ttu_returns_nonsense(wrong: Any) -> None:
    """A ttu that returns no moment of its timer raises where the value is stored, and nothing is stored or lost."""
    answers: list[Any] = [100.0]
    cache = TLRUCache(5, lambda _key, _value, _now: answers[0], Clock())
    cache["a"] = 1
    answers[0] = wrong
    for key in ("a", "b"):
        with pytest.raises((TypeError, ValueError)):
            cache[key] = 2
    assert dict(cache) == {"a": 1}
    cache._check()


def test_ttu_returns_nan() -> None:
    """A ttu of NaN is no moment at all: the value is refused, or dead on arrival; it is never stored, and nothing else suffers."""
    answers: list[Any] = [100.0]
    clock = Clock()
    cache = TLRUCache(5, lambda _key, _value, _now: answers[0], clock)
    cache.update(a=1, b=2)
    answers[0] = NAN
    with suppress(ValueError):
        cache["c"] = 3
    assert dict(cache) == {"a": 1, "b": 2}
    cache._check()
    clock.jump(100)
    assert len(cache.expire()) == 2


def test_ttu_raises(told: Any) -> None:
    """What ttu raises reaches who stores; the old value stays and nobody is told."""
    fail = [False]

    def ttu(_key: object, _value: object, now: float) -> float:
        if fail[0]:
            raise LookupError
        return now + 5

    cache = TLRUCache(5, ttu, Clock(), on_remove=told)
    cache["a"] = 1
    fail[0] = True
    for key in ("a", "b"):
        with pytest.raises(LookupError):
            cache[key] = 2
    assert dict(cache) == {"a": 1}
    assert told.take() == []


@pytest.mark.parametrize("wrong", [-1, -5])
def test_evict_negative(kind: Kind, wrong: int) -> None:
    """evict() takes a number of entries."""
    with pytest.raises(ValueError, match=rf"^n must be >= 0, got {wrong}$"):
        kind.make().evict(wrong)


@pytest.mark.parametrize("wrong", [1.5, "1", None])
def test_evict_type(kind: Kind, wrong: Any) -> None:
    """evict() takes a whole number."""
    with pytest.raises(TypeError):
        kind.make().evict(wrong)


@pytest.mark.parametrize("wrong", ["0.5", None, 1j])
def test_shrink_type(kind: Kind, wrong: Any) -> None:
    """shrink() takes a real number."""
    with pytest.raises(TypeError):
        kind.make().shrink(wrong)


@pytest.mark.parametrize("wrong", [None, 5, "x"])
def test_factory(kind: Kind, wrong: Any) -> None:
    """get_or_create() of a missing key needs something to call."""
    cache = kind.make()
    with pytest.raises(TypeError):
        cache.get_or_create("a", wrong)
    assert len(cache) == 0


def test_budget_is_attached(kind: Kind) -> None:
    """A budget is told of the cache when it is made; what cannot be attached to is refused."""
    attached: list[Any] = []

    class Budget:
        def attach(self, cache: Any) -> None:
            attached.append((cache, cache.maxsize, len(cache)))

    cache = kind.make(5, budget=Budget())
    assert attached == [(cache, 5, 0)]
    with pytest.raises(TypeError, match=r"^budget must .*got "):
        kind.make(5, budget=5)


def test_constructor_needs_its_arguments() -> None:
    """maxsize, ttl and ttu are required."""
    for cls, given in ((LRUCache, []), (TTLCache, []), (TTLCache, [1]), (TLRUCache, []), (TLRUCache, [1])):
        with pytest.raises(TypeError, match="required|missing"):
            cls(*given)


def test_unknown_keywords(kind: Kind) -> None:
    """An unknown keyword is refused."""
    with pytest.raises(TypeError, match="policy"):
        kind.make(policy="auto")


def test_on_remove_and_budget_are_keywords(kind: Kind) -> None:
    """What cachetools does not have is keyword-only."""
    positional = [5, *kind.required(), None]
    kind.cls(*positional)
    with pytest.raises(TypeError, match="positional"):
        kind.cls(*positional, print)


def test_init_again_starts_anew(kind: Kind) -> None:
    """Calling __init__ a second time leaves a whole cache, within its new bound, and leaks nothing of the old."""
    cache = kind.make(5)
    cache.update(a=1, b=2, c=3)
    cache.__init__(2, **kind.arguments())
    assert cache.maxsize == 2
    assert len(cache) <= 2
    cache.update(x=1, y=2, z=3)
    assert list(cache) == ["y", "z"]
    cache._check()


def test_failed_init_again(kind: Kind) -> None:
    """A second __init__ that fails leaves a whole cache."""
    cache = kind.make(5)
    cache.update(a=1, b=2, c=3)
    with pytest.raises(ValueError, match="maxsize"):
        cache.__init__(-1, **kind.arguments())
    cache["d"] = 4
    assert len(cache) <= 5
    cache._check()


@pytest.mark.parametrize(
    "operation",
    [
        lambda c: c["a"],
        lambda c: c.__setitem__("a", 1),
        lambda c: c.get("a"),
        lambda c: c.pop("a", None),
        lambda c: c.popitem(),
        lambda c: c.setdefault("a"),
        lambda c: c.update(a=1),
        lambda c: "a" in c,
        len,
        list,
        repr,
        lambda c: c.clear(),
        lambda c: c.stats(),
        lambda c: c.copy(),
        lambda c: c.evict(),
        lambda c: c.resize(3),
        lambda c: c.peek("a"),
        lambda c: c.maxsize,
        lambda c: c.currsize,
        lambda c: c == {},
        lambda c: c.get_or_create("a", int),
    ],
    ids=source,
)
def test_new_without_init(kind: Kind, operation: Any) -> None:
    """A cache whose __init__ never ran behaves as an empty one or raises an ordinary exception; it never crashes."""
    cache = kind.cls.__new__(kind.cls)
    try:
        operation(cache)
    except Exception as error:  # noqa: BLE001 - any ordinary exception will do
        assert not isinstance(error, SystemError)  # noqa: PT017
    del cache


def test_a_failed_constructor_leaves_nothing(kind: Kind) -> None:
    """An exception in a subclass's constructor after that of the cache leaks no cache."""
    import weakref

    made: list[weakref.ref[Any]] = []

    class Fails(kind.cls):
        def __init__(self) -> None:
            super().__init__(3, **kind.arguments())
            made.append(weakref.ref(self))
            self["a"] = 1
            raise LookupError

    with pytest.raises(LookupError) as caught:
        Fails()
    del caught
    assert made[0]() is None
