"""Users' code that calls back into the same function in the middle of a call: from hashes, comparisons, key functions and finalisers."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest
from helpers.fuse import DelBomb, EqBomb, Fuse, HashBomb

from safemem import cached, lru_cache

SIZE = 4


class Hooked:
    """A method on an instance, as a function of its arguments."""

    def __init__(self, decorate: Callable[[Any], Any], body: Callable[..., Any]) -> None:
        class Owner:
            @decorate
            def method(self, *args: Any, **kwargs: Any) -> Any:
                return body(*args, **kwargs)

        self.owner: Any = Owner()
        self.cache_clear = self.owner.method.cache_clear

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.owner.method(*args, **kwargs)

    def cache_info(self) -> Any:
        return self.owner.method.cache_info()

    @property
    def cache(self) -> Any:
        return self.owner.method.cache


KINDS: dict[str, Callable[[Any], Any]] = {
    "cached": lambda body: cached(SIZE)(body),
    "typed": lambda body: cached(SIZE, typed=True)(body),
    "ttl": lambda body: cached(SIZE, ttl=1000)(body),
    "timer": lambda body: cached(SIZE, ttl=1000, timer=lambda: 5)(body),
    "method": lambda body: Hooked(cached(SIZE), body),
    "lru_cache": lambda body: lru_cache(SIZE)(body),
    "lru_cache typed": lambda body: lru_cache(SIZE, typed=True)(body),
    "lru_cache unbounded": lambda body: lru_cache(None)(body),
}
INNER: dict[str, Callable[[Any], object]] = {
    "hit": lambda function: function("a"),
    "miss": lambda function: function("fresh"),
    "fill": lambda function: [function(number) for number in range(SIZE + 2)],
    "clear": lambda function: function.cache_clear(),
    "clear and fill": lambda function: (function.cache_clear(), [function(number) for number in range(SIZE)]),
    "info": lambda function: function.cache_info(),
    "named": lambda function: function("a", x=1),
    "collect": lambda _function: gc.collect(1),
    "raise": lambda _function: 1 / 0,
}


def whole(function: Any, fuse: Fuse) -> None:
    """What must hold after every explosion; an error can only be the one that was asked for."""
    fuse.disarm()
    if hasattr(function, "cache"):
        function.cache._check()
    info = function.cache_info()
    assert info.maxsize is None or info.currsize <= info.maxsize
    assert function("afterwards") is function("afterwards")
    assert all(isinstance(error, ZeroDivisionError) for error in fuse.errors)
    fuse.errors.clear()


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bomb", [EqBomb, HashBomb])
def test_keys_that_call_back(kind: str, inner: str, bomb: Any) -> None:
    """A hash or a comparison may call the function, empty its cache, or collect garbage; the call that asked gets its result all the same."""
    fuse = Fuse()
    function: Any = KINDS[kind](lambda *args, **kwargs: [args, kwargs])
    for arguments in ((1,), (1, 2), (2, 1)):
        for named in ({}, {"x": 1}):
            function("a"), function("b")
            keys = [bomb(fuse, name) for name in arguments]
            first = function(*keys, **named)
            for _ in range(3):
                fuse.arm(lambda: INNER[inner](function))
                result = function(*[bomb(fuse, name) for name in arguments], **named)
                assert [key.name for key in result[0]] == [key.name for key in first[0]]
                assert result[1] == first[1]
                whole(function, fuse)


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("kind", KINDS)
def test_finalisers_that_call_back(kind: str, inner: str) -> None:
    """The finaliser of an argument or of a result that goes may do what it likes."""
    fuse = Fuse()
    function: Any = KINDS[kind](lambda *args, **kwargs: DelBomb(fuse, args))
    for outer in (
        lambda: function("fresh"),
        lambda: [function(number) for number in range(100, 106)],
        lambda: function.cache_clear(),
        lambda: function("b"),
        lambda: function(DelBomb(fuse), x=DelBomb(fuse)),
    ):
        for number in range(SIZE):
            function(DelBomb(fuse, number), number)
        before = fuse.blown
        fuse.arm(lambda: INNER[inner](function))
        outer()
        assert kind == "lru_cache unbounded" or fuse.blown == before + 1
        whole(function, fuse)


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("kind", KINDS)
def test_functions_that_call_themselves(kind: str, inner: str) -> None:
    """The function itself may call what decorates it, and empty its cache."""
    fuse = Fuse()

    def body(*args: Any, **kwargs: Any) -> Any:
        fuse.blow()
        return [args]

    function: Any = KINDS[kind](body)
    function("a"), function("b")
    for argument in ("c", "d", 1.5, (1, 2)):
        fuse.arm(lambda: INNER[inner](function))
        assert function(argument)[0] == (argument,)
        whole(function, fuse)


@pytest.mark.parametrize("inner", INNER)
def test_key_functions_that_call_back(inner: str) -> None:
    """A key function may call the function that it makes keys for."""
    fuse = Fuse()

    def key(*args: Any, **kwargs: Any) -> Any:
        fuse.blow()
        return (args, *kwargs.items())

    function: Any = cached(SIZE, key=key)(lambda *args, **kwargs: [args])
    for argument in ("a", "b", "a", 1.5):
        fuse.arm(lambda: INNER[inner](function))
        assert function(argument)[0] == (argument,)
        whole(function, fuse)


@pytest.mark.parametrize("inner", INNER)
def test_owners_that_go_in_the_middle(inner: str) -> None:
    """A bound method's owner may lose everything, and a result's finaliser may call the method of an owner that goes."""
    fuse = Fuse()

    class Owner:
        @cached(SIZE)
        def method(self, *args: Any) -> Any:
            return DelBomb(fuse, args)

    for _ in range(3):
        owner = Owner()
        bound: Any = owner.method
        for number in range(SIZE):
            bound(number)
        fuse.arm(lambda bound=bound: INNER[inner](bound))
        del owner
        vars(bound.__self__).clear()
        assert bound("a").name == ("a",)
        fuse.disarm()
        del bound
        other = Owner()
        other.method("a")
        fuse.arm(lambda: INNER[inner](Owner().method))
        del other
        gc.collect()
        fuse.disarm()
