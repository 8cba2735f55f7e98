"""Which calls of a decorated function are the same: those whose keys a dict would find equal, however the core looks them up."""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from helpers.calls import counting
from helpers.collect import collector_off
from helpers.fuse import FreshKey

from safemem import LRUCache, cached, lru_cache

NAN = math.nan
EDGES = [sign * (2**bits) + delta for bits in (0, 15, 30, 31, 59, 60, 61, 62, 63, 64, 90) for sign in (1, -1) for delta in (-1, 0, 1)]
VALUES = [
    *EDGES,
    *map(float, EDGES),
    *(True, False, None, 0.0, -0.0, 1 + 0j, 0j, 0.5, NAN, -math.inf, math.inf, sys.hash_info.modulus, sys.hash_info.modulus - 1),
    *("", "a", "\x00", "a\x00", "ä", "\xff", "\u0100", "\u20ac", "\U0001f600", "a" * 100, "1", b"", b"a", b"1"),
    *((), (1,), (1, 2), ((1,),), (1, (2,)), frozenset(), frozenset({1}), int, float, type, str),
    *(FreshKey(number) for number in range(4)),
    *(FreshKey(number) for number in range(4)),
]
CALLS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    *(((value,), {}) for value in VALUES),
    *((pair, {}) for pair in itertools.product(VALUES[::7], VALUES[::5])),
    *((((value, "x"),), {}) for value in VALUES[::3]),
    *(((), {"x": value}) for value in VALUES[::3]),
    *((("x", value), {}) for value in VALUES[::3]),
    *(((1,), {"x": value, "y": 2}) for value in VALUES[::3]),
    *(((1,), {"y": 2, "x": value}) for value in VALUES[::3]),
    ((), {}),
]


def again(value: Any) -> Any:
    """An equal object that is not the same one, where there can be one."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(str(value))
    if isinstance(value, float):
        return value + 0.0 if math.isnan(value) else float(repr(value))
    if isinstance(value, str):
        return "".join(list(value))
    return tuple(map(again, value)) if isinstance(value, tuple) else value


@pytest.mark.parametrize("typed", [False, True])
@pytest.mark.parametrize(
    "decorate", [lambda typed: cached(None, typed=typed), lambda typed: cached(None, typed=typed, ttl=1000)], ids=["lru", "ttl"]
)
def test_one_key_one_result(decorate: Callable[[bool], Any], typed: bool) -> None:
    """Calls have one result where cache_key() gives them equal keys, and different results where it does not."""

    @decorate(typed)
    def function(*args: Any, **kwargs: Any) -> object:
        return object()

    expected: dict[Any, object] = {}
    for _ in range(3):
        for args, kwargs in CALLS:
            others = tuple(map(again, args)), {name: again(value) for name, value in kwargs.items()}
            for some, named in ((args, kwargs), others):
                result = function(*some, **named)
                assert expected.setdefault(function.cache_key(*some, **named), result) is result, (some, named)
    assert len(expected) == len(function.cache)
    assert all(function.cache[key] is result for key, result in expected.items())


@pytest.mark.parametrize("typed", [False, True])
def test_a_method_has_the_keys_of_a_function(typed: bool) -> None:
    """A method's keys are those of its arguments without the instance, and each instance has its own results."""

    class Owner:
        @cached(None, typed=typed)
        def method(self, *args: Any, **kwargs: Any) -> object:
            return object()

    class Slotted:
        __slots__ = ("__weakref__",)
        method = Owner.__dict__["method"]

    owners = [Owner(), Owner(), Slotted(), Slotted()]
    expected: list[dict[Any, object]] = [{} for _ in owners]
    for _ in range(2):
        for (args, kwargs), (owner, known) in itertools.product(CALLS[::2], list(zip(owners, expected, strict=True))):
            key = owner.method.cache_key(*args, **kwargs)
            result = owner.method(*args, **kwargs)
            assert known.setdefault(key, result) is result
            assert owner.method.cache[key] is result is type(owner).method(owner, *args, **kwargs)
    assert len({id(result) for known in expected for result in known.values()}) == sum(map(len, expected))


@pytest.mark.parametrize("count", [2, 15, 16, 17, 31, 32, 33, 100, 1000])
@pytest.mark.parametrize("typed", [False, True])
def test_many_arguments(count: int, typed: bool) -> None:
    """Any number of arguments, positional and named in any order, has one result."""
    function, calls = counting(typed=typed)
    names = [f"name_{number * 7919 % 1009}" for number in range(count)]
    named = {name: name.upper() for name in names}
    first = function(*range(count), **named)
    assert function(*range(count), **dict(sorted(named.items()))) is first
    assert function(*range(count), **dict(sorted(named.items(), reverse=True))) is first
    assert function(*range(count)) is not first
    assert function(**named) is not first
    assert function(*range(count - 1), **named) is not first
    assert function(*range(count - 1), float(count - 1), **named) is first or typed
    assert len(calls) == 4 + typed
    assert function.cache_remove(*range(count), **named)
    lru = lru_cache(typed=typed)(lambda *args, **kwargs: object())
    kept = lru(*range(count), **named)
    assert lru(*range(count), **named) is kept
    assert lru(*range(count), **dict(reversed(named.items()))) is not kept


class Name(str):
    """A name for keyword arguments that sorts the other way round."""

    __slots__ = ()

    def __lt__(self, other: str) -> bool:
        return str(self) > str(other)

    def __gt__(self, other: str) -> bool:
        return str(self) < str(other)


@pytest.mark.parametrize("typed", [False, True])
def test_names_of_a_subclass_of_str(typed: bool) -> None:
    """Names that sort in a way of their own are filed where cache_key() says, from the first call on."""
    function, calls = counting(typed=typed)
    for _ in range(3):
        function(1, **{Name("a"): 1, Name("b"): 2, Name("c"): 3})
    key = function.cache_key(1, **{Name("a"): 1, Name("b"): 2, Name("c"): 3})
    assert list(function.cache) == [key]
    assert len(calls) == 1
    assert function.cache_remove(1, **{Name("a"): 1, Name("b"): 2, Name("c"): 3})


def test_keys_put_there_by_hand() -> None:
    """What the user puts into the cache is found by calls whose key equals it, and stands in nobody's way."""
    function, calls = counting(maxsize=None)

    class Pair(NamedTuple):
        x: int
        y: int

    class Anything:
        def __init__(self, key: Any) -> None:
            self.key = key

        def __hash__(self) -> int:
            return hash(self.key)

        def __eq__(self, other: object) -> bool:
            return bool(self.key == other)

    function.cache[hash((7,))] = "an integer with the hash of a key"
    function.cache[Pair(1, 2)] = "a tuple"
    function.cache[Anything((3,))] = "equal to a key"
    function.cache["text"] = function.cache[5] = function.cache[None] = "not a key"
    function.cache[4.0,] = "a float"
    function.cache[()] = "nothing"
    assert [function(1, 2), function(3), function(4), function()] == ["a tuple", "equal to a key", "a float", "nothing"]
    assert not calls.calls
    function(7), function(5), function("text"), function(None)
    assert len(calls) == 4


def test_unhashable_arguments() -> None:
    """A TypeError that names the type comes out, nothing is counted, kept or called."""
    function, calls = counting()
    function(1)
    for attempt in (
        lambda: function([]),
        lambda: function(1, {}),
        lambda: function(x=[]),
        lambda: function((1, [])),
        lambda: function(1, y={1}),
    ):
        with pytest.raises(TypeError, match="unhashable type"):
            attempt()
    assert len(calls) == 1
    assert function.cache_info() == (0, 1, 128, 1)


def test_a_key_with_a_changing_class() -> None:
    """An argument that becomes something else when it is hashed does no harm."""
    import gc

    fillers: list[list[bytes]] = []

    class After:
        __slots__ = ()

    def make() -> Any:
        class Before:
            __slots__ = ()

            def __hash__(self) -> int:
                if type(self) is not After:
                    self.__class__ = After
                    gc.collect()
                    fillers.append([b"\xff" * size for size in range(800, 1600, 8)])  # in the place of the class, if it has gone
                return 1

        return Before()

    After.__hash__ = lambda _self: 1  # type: ignore[method-assign]
    with collector_off():  # so that collecting has little to look at
        for decorate in (cached(typed=True), lru_cache(typed=True)):
            function = decorate(lambda *args, **kwargs: len(args) + len(kwargs))
            function(1)
            for _ in range(20):
                assert function(make(), make(), x=make()) == 3
                assert function(make()) == 1


def test_decorated_twice() -> None:
    """A cached function that is decorated again, used before or not, keeps its results apart from the new one's."""
    for used in (False, True):
        inner, calls = counting()
        if used:
            inner(1)
        outer = cached(2)(inner)
        assert outer.cache is not inner.cache
        assert outer(2) is outer(2) is inner(2)
        assert outer(1) is inner(1)
        assert len(calls) == 2
        assert outer.cache_info() == (1, 2, 2, 2)


def test_one_cache_for_two_functions() -> None:
    """Functions that share a cache share results of equal arguments."""
    cache: Any = LRUCache(10)
    one, two = (cached(cache=cache)(lambda x, name=name: (name, x)) for name in "ab")
    assert one(1) == two(1) == ("a", 1)
    assert two(2) == one(2) == ("b", 2)


def test_unhashable_keys_of_an_empty_cache() -> None:
    """Forgetting what cannot have been kept raises, whether there is anything to forget or not."""
    function, _ = counting()
    cache: Any = LRUCache(2)
    assert not function.cache
    for _round in range(2):
        for attempt in (lambda: function.cache_remove([]), lambda: cache.pop([]), lambda: cache.pop([], 1), lambda: cache.__delitem__([])):
            with pytest.raises(TypeError, match="unhashable type"):
                attempt()
        function(1)
        cache["a"] = 1
