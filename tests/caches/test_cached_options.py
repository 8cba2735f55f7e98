"""The options of @cached: key, cache_if, ttl, on_remove, cache."""

from __future__ import annotations

import weakref
from collections import OrderedDict, defaultdict
from typing import Any

import cachetools
import pytest
from helpers.calls import counting
from helpers.clock import Clock
from helpers.naming import source
from helpers.recorder import Recorder

from safemem import LRUCache, TTLCache, cached


def test_key() -> None:
    """key= makes the key of a call from its arguments."""
    function, calls = counting(key=lambda *args, **kwargs: (tuple(args[0]), tuple(sorted(kwargs))))
    first = function([1, 2], x=1)
    assert function([1, 2], x=9) is first
    assert function((1, 2), x=0) is first
    assert function([1, 3], x=1) is not first
    assert len(calls) == 2
    assert function.cache_key([1, 2], x=1) == ((1, 2), ("x",))


def test_key_of_cachetools() -> None:
    """cachetools' key functions fit."""
    from cachetools.keys import hashkey, typedkey

    for key, expected in ((hashkey, 1), (typedkey, 3)):
        function, calls = counting(key=key)
        for x in (1, 1.0, True):
            function(x)
        assert len(calls) == expected


def test_key_may_raise() -> None:
    """What key= raises reaches the caller, and the function does not run."""

    def key(*_: object) -> None:
        raise LookupError

    function, calls = counting(key=key)
    with pytest.raises(LookupError):
        function(1)
    assert len(calls) == 0


@pytest.mark.parametrize("make", [lambda: LRUCache(10), dict], ids=["own", "dict"])
def test_cache_if(make: Any) -> None:
    """Values that cache_if declines are returned and not kept."""
    values = iter([None, None, 5, 6])
    asked: list[object] = []

    def keep(value: object) -> bool:
        asked.append(value)
        return value is not None

    @cached(cache_if=keep, cache=make())
    def function() -> object:
        return next(values)

    assert [function() for _ in range(5)] == [None, None, 5, 5, 5]
    assert asked == [None, None, 5]
    info = function.cache_info()
    assert (info.hits, info.misses, info.currsize) == (2, 3, 1)


def test_cache_if_may_raise() -> None:
    """What cache_if raises reaches the caller, and nothing is kept."""
    fail = [True]

    def keep(_value: object) -> bool:
        if fail[0]:
            raise LookupError
        return True

    function = cached(cache_if=keep)(lambda: 5)
    with pytest.raises(LookupError):
        function()
    assert function.cache_info().currsize == 0
    fail[0] = False
    assert function() == 5
    assert function.cache_info().currsize == 1


def test_ttl_and_timer() -> None:
    """With ttl= results expire by the timer given."""
    clock = Clock()
    function, calls = counting(ttl=10, timer=clock)
    function(1)
    clock.tick(9)
    function(1)
    assert len(calls) == 1
    clock.tick(1)
    function(1)
    assert len(calls) == 2
    assert isinstance(function.cache, TTLCache)


def test_ttl_without_bound() -> None:
    """ttl= works with maxsize=None."""
    clock = Clock()
    function, calls = counting(maxsize=None, ttl=10, timer=clock)
    for x in range(300):
        function(x)
    function(0)
    assert len(calls) == 300
    clock.tick(10)
    function(0)
    assert len(calls) == 301
    assert function.cache_info() == (1, 301, None, 1)


@pytest.mark.parametrize("ttl", [-1, float("nan")])
def test_bad_ttl(ttl: float) -> None:
    """A bad ttl is refused when decorating."""
    with pytest.raises(ValueError, match="ttl must be"):
        cached(ttl=ttl)(len)


def test_on_remove(told: Recorder) -> None:
    """on_remove= is told of what leaves the cache, with the key of the call."""
    function, _ = counting(maxsize=1, on_remove=told)
    one = function(1)
    two = function(2)
    function.cache_clear()
    assert told.take() == [(function.cache_key(1), one, "SIZE"), (function.cache_key(2), two, "EXPLICIT")]


@pytest.mark.parametrize(
    "make",
    [
        dict,
        OrderedDict,
        lambda: cachetools.LRUCache(10),
        lambda: cachetools.LFUCache(10),
        lambda: cachetools.FIFOCache(10),
        lambda: cachetools.RRCache(10),
        lambda: cachetools.TTLCache(10, 60),
        lambda: LRUCache(10),
        lambda: TTLCache(10, 60),
        weakref.WeakValueDictionary,
    ],
    ids=source,
)
def test_cache_of_any_kind(make: Any) -> None:
    """cache= takes any mapping; it holds the results under cache_key()."""
    store = make()
    function, calls = counting(cache=store)
    first = function(1)
    assert function(1) is first
    assert len(calls) == 1
    info = function.cache_info()
    assert (info.hits, info.misses, info.currsize) == (1, 1, 1)
    assert info.maxsize == getattr(store, "maxsize", None)
    assert store[function.cache_key(1)] is first
    assert function.cache is store
    del first
    function.cache_clear()
    assert len(store) == 0
    function(1)
    assert len(calls) == 2


def test_cache_of_cachetools_in_threads() -> None:
    """The decorator does the locking for caches that have none."""
    from helpers.threads import run_threads, switching_often

    store: Any = cachetools.LFUCache(20)

    @cached(cache=store)
    def function(x: int) -> int:
        return x

    def work(number: int) -> None:
        for step in range(600):
            x = (step * 7 + number) % 50
            assert function(x) == x

    with switching_often():
        run_threads(6, work)
    assert len(store) == 20
    assert sum(function.cache_info()[:2]) == 3600


@pytest.mark.parametrize("make", [LRUCache, dict, cachetools.LRUCache], ids=["own", "dict", "cachetools"])
def test_forgotten_while_computing(make: Any) -> None:
    """What is removed or cleared while it is being computed is returned and not kept, whatever the mapping."""
    act: list[Any] = []

    @cached(cache=make() if make is dict else make(10))
    def function(x: int) -> str:
        act.pop()()
        return "computed"

    for forget in (lambda: function.cache_remove(2), function.cache_clear):
        act.append(forget)
        assert function(2) == "computed"
        assert function.cache_key(2) not in function.cache


# Not for cachetools.TTLCache, whose own `in` takes such an error for an absent key.
@pytest.mark.parametrize("make", [lambda: LRUCache(10), dict, lambda: cachetools.LRUCache(10)], ids=["own", "dict", "LRU"])
def test_key_error_from_eq_is_no_miss(make: Any) -> None:
    """A KeyError raised by an argument's `__eq__` reaches the caller; it is no miss, and the function is not run."""

    class Sour:
        armed = False

        def __hash__(self) -> int:
            return 1

        def __eq__(self, other: object) -> bool:
            if Sour.armed:
                msg = "from eq"
                raise KeyError(msg)
            return True

    function, calls = counting(cache=make())
    function(Sour())
    Sour.armed = True
    with pytest.raises(KeyError, match="from eq"):
        function(Sour())
    assert len(calls) == 1
    Sour.armed = False


def test_mappings_that_make_things_up() -> None:
    """A mapping with `__missing__` is asked for what it holds, not for what it would make up."""
    function, calls = counting(cache=defaultdict(list))
    first = function(1)
    assert first != []
    assert function(1) is first
    assert len(calls) == 1


def test_a_value_too_large_is_returned() -> None:
    """A result that does not fit is returned and not kept."""
    for store in (LRUCache(2, getsizeof=len), cachetools.LRUCache(2, getsizeof=len)):
        calls: list[int] = []

        @cached(cache=store)
        def function(x: int, calls: list[int] = calls) -> str:
            calls.append(x)
            return "x" * x

        assert [function(5), function(5), function(2), function(2)] == ["xxxxx", "xxxxx", "xx", "xx"]
        assert calls == [5, 5, 2]


def test_a_shared_cache() -> None:
    """Two functions given one cache share its bound; keys are made by key=."""
    store: LRUCache[Any, Any] = LRUCache(10)
    one = cached(cache=store, key=lambda x: ("one", x))(lambda x: f"one {x}")
    two = cached(cache=store, key=lambda x: ("two", x))(lambda x: f"two {x}")
    assert (one(1), two(1), one(1)) == ("one 1", "two 1", "one 1")
    assert dict(store) == {("one", 1): "one 1", ("two", 1): "two 1"}


@pytest.mark.parametrize("wrong", [5, "cache", object()], ids=["int", "str", "object"])
def test_bad_cache(wrong: Any) -> None:
    """cache= must be a mapping, and the message says so."""
    with pytest.raises(TypeError, match="cache must be"):
        cached(cache=wrong)(len)
