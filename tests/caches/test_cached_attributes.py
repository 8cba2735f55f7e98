"""What a cached function has and is: cache_info() and its like, name and signature, what it may decorate."""

from __future__ import annotations

import functools
import inspect
import typing
import weakref
from typing import Any

import pytest
from helpers.calls import Calls, counting

from safemem import LRUCache, cached, lru_cache


def test_info_clear_and_parameters() -> None:
    """cache_info() is functools' named tuple in shape; cache_clear() forgets results and counts; cache_parameters() tells the settings."""
    function, calls = counting(maxsize=5, typed=True)
    function(1)
    function(1)
    info = function.cache_info()
    assert info == (1, 1, 5, 1)
    assert info._fields == ("hits", "misses", "maxsize", "currsize")
    assert repr(info) == "CacheInfo(hits=1, misses=1, maxsize=5, currsize=1)"
    assert (
        function.cache_parameters() == {"maxsize": 5, "typed": True}
        or {"maxsize": 5, "typed": True}.items() <= function.cache_parameters().items()
    )
    assert function.cache_clear() is None
    assert function.cache_info() == (0, 0, 5, 0)
    function(1)
    assert len(calls) == 2


def test_parameters_are_a_copy() -> None:
    """Changing what cache_parameters() returned changes nothing."""
    function, _ = counting()
    function.cache_parameters()["maxsize"] = 1
    assert function.cache_parameters()["maxsize"] == 128


def test_cache_remove() -> None:
    """cache_remove() forgets one call and tells whether it was there."""
    function, calls = counting()
    function(1, x=2)
    function(2)
    assert function.cache_remove(1, x=2) is True
    assert function.cache_remove(1, x=2) is False
    assert function.cache_remove(9) is False
    function(1, x=2)
    function(2)
    assert len(calls) == 3


def test_cache_key() -> None:
    """cache_key() is the key under which a call's result is stored, in `cache`."""
    function, _ = counting()
    result = function(1, x=2)
    assert function.cache[function.cache_key(1, x=2)] is result
    assert function.cache_key(1, x=2) == function.cache_key(1, x=2)
    assert function.cache_key(1, x=2) != function.cache_key(1, x=3)
    assert len(function.cache) == 1
    assert isinstance(function.cache, LRUCache)


def test_the_cache_may_be_used_directly() -> None:
    """What is stored in `cache` is found by the function, what is deleted is not."""
    function, calls = counting()
    function.cache[function.cache_key("a")] = "stored"
    assert function("a") == "stored"
    del function.cache[function.cache_key("a")]
    assert function("a") != "stored"
    function.cache.resize(1)
    function("b")
    assert function.cache_info().maxsize == 1
    assert len(calls) == 2


def test_identity_of_the_function_survives() -> None:
    """Name, docstring, module, annotations, signature and __wrapped__ are the function's own."""

    def function(a: int, /, b: str, *rest: float, c: bool = True, **more: object) -> list[int]:
        """The docstring."""
        return []

    function.mark = "attribute"
    for wrapped in (cached(function), cached(maxsize=3)(function), lru_cache(function)):
        for name in functools.WRAPPER_ASSIGNMENTS:
            assert getattr(wrapped, name) == getattr(function, name)
        assert wrapped.__wrapped__ is function
        assert inspect.signature(wrapped) == inspect.signature(function)
        assert inspect.getdoc(wrapped) == "The docstring."
        assert wrapped.mark == "attribute"
        assert typing.get_type_hints(wrapped) == typing.get_type_hints(function)
        assert inspect.unwrap(wrapped) is function
        assert callable(wrapped)
    assert "function" in repr(cached(function))


def test_annotations_of_methods() -> None:
    """A method's annotations are its own, bound or not, a coroutine function's as well."""

    class Owner:
        def plain(self, a: int) -> str: ...

        method = cached(plain)

        @cached
        async def awaited(self, a: int) -> str: ...

        @cached
        @classmethod
        def of_class(cls, a: int) -> str: ...

    owner = Owner()
    for method in (Owner.method, owner.method, Owner.awaited, owner.awaited, Owner.of_class, owner.of_class):
        assert method.__annotations__ == Owner.plain.__annotations__
        assert typing.get_type_hints(method) == {"a": int, "return": str}
    assert type(owner.method).__annotations__ == {}


def test_signatures_of_the_attributes() -> None:
    """cache_info(), cache_clear() and cache_parameters() take no arguments."""
    function, _ = counting()
    for name in ("cache_info", "cache_clear", "cache_parameters"):
        assert not inspect.signature(getattr(function, name)).parameters
        with pytest.raises(TypeError):
            getattr(function, name)(1)


@pytest.mark.parametrize(
    "function",
    [len, functools.partial(pow, 2), "abc".upper, int, Calls().__call__],
    ids=["builtin", "partial", "bound builtin", "class", "bound method"],
)
def test_other_callables(function: Any) -> None:
    """Built-in functions, partials, bound methods and classes can be cached."""
    wrapped = cached(function)
    arguments = (
        {len: ("abc",), int: ("5",)}.get(function, ())
        if callable(function) and function in (len, int)
        else ((3,) if isinstance(function, functools.partial) else ())
    )
    first = wrapped(*arguments)
    assert wrapped(*arguments) == first
    assert wrapped.cache_info().hits == 1


def test_callable_objects() -> None:
    """An object with `__call__` can be cached."""
    calls = Calls()
    wrapped = cached(calls)
    assert wrapped(1) is wrapped(1)
    assert len(calls) == 1


@pytest.mark.parametrize("wrong", [None, 5, "function", object()], ids=["None", "int", "str", "object"])
def test_not_callable(wrong: Any) -> None:
    """What cannot be called cannot be cached."""
    with pytest.raises(TypeError, match="callable|function"):
        cached()(wrong)


def test_generators_are_refused() -> None:
    """Generators would be exhausted by their first user: the error says so, for async ones too."""

    def generator() -> Any:
        yield 1

    async def async_generator() -> Any:
        yield 1

    for function in (generator, async_generator, functools.partial(generator)):
        for decorate in (cached, cached(maxsize=5), cached(ttl=5)):
            with pytest.raises(TypeError, match="generator"):
                decorate(function)


def test_properties_are_refused() -> None:
    """A property is not callable; the error is an ordinary TypeError."""
    with pytest.raises(TypeError):
        cached(property(lambda _self: 1))


def test_weak_references_to_the_function() -> None:
    """A cached function can be weakly referenced, and dies with its last reference."""
    function, _ = counting()
    function(1)
    reference = weakref.ref(function)
    assert reference() is function
    del function
    assert reference() is None


def test_attributes_can_be_set() -> None:
    """A cached function takes attributes as a function does."""
    function, _ = counting()
    function.note = "mine"
    assert function.note == "mine"


def test_stacked_with_other_decorators() -> None:
    """It stacks with functools.wraps-style decorators, and with itself, in both orders."""

    def shouting(function: Any) -> Any:
        @functools.wraps(function)
        def wrapper(*args: Any) -> Any:
            return function(*args).upper()

        return wrapper

    calls: list[str] = []

    @cached
    @shouting
    def outer(x: str) -> str:
        calls.append(x)
        return x

    @shouting
    @cached
    def inner(x: str) -> str:
        calls.append(x)
        return x

    assert [outer("a"), outer("a"), inner("b"), inner("b")] == ["A", "A", "B", "B"]
    assert calls == ["a", "b"]
    assert cached(cached(lambda: 5))() == 5
