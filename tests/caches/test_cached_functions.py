"""@cached on plain functions: results, keys, bounds, failures."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from helpers.calls import Calls, counting
from helpers.naming import source

from safemem import cached, lru_cache


@pytest.mark.parametrize(
    "decorate",
    [
        lambda f: cached(f),
        lambda f: cached()(f),
        lambda f: cached(16)(f),
        lambda f: cached(maxsize=16)(f),
        lambda f: cached(maxsize=None)(f),
        lambda f: cached(ttl=5)(f),
        lambda f: cached(typed=True)(f),
        lambda f: cached(cache={})(f),
    ],
    ids=source,
)
def test_one_call_for_equal_arguments(decorate: Any) -> None:
    """The function runs once for equal arguments; later calls get the very same object."""
    calls = Calls()

    def function(*args: Any, **kwargs: Any) -> Any:
        return calls(*args, **kwargs)

    wrapped = decorate(function)
    first = wrapped(1, 2, x=3)
    assert wrapped(1, 2, x=3) is first
    assert wrapped(1, 2) is not first
    assert wrapped(1, 2, x=4) is not first
    assert wrapped(1, 2, 3) is not first
    assert calls.calls[0] == ((1, 2), {"x": 3})
    assert len(calls) == 4


def test_bounded_by_default() -> None:
    """128 results are kept, the least recently used goes first."""
    function, calls = counting()
    for x in range(129):
        function(x)
    function(1)
    assert len(calls) == 129
    function(0)
    assert len(calls) == 130
    assert function.cache_info() == (1, 130, 128, 128)


def test_maxsize_none_is_unbounded() -> None:
    """Everything is kept."""
    function, calls = counting(maxsize=None)
    for _ in range(2):
        for x in range(500):
            function(x)
    assert len(calls) == 500
    assert function.cache_info() == (500, 500, None, 500)


def test_maxsize_zero_keeps_nothing() -> None:
    """Every call gets through and counts as a miss."""
    function, calls = counting(maxsize=0)
    function(1)
    function(1)
    assert len(calls) == 2
    assert function.cache_info() == (0, 2, 0, 0)


def test_maxsize_one() -> None:
    """The last result is kept."""
    function, calls = counting(maxsize=1)
    for x in (1, 1, 2, 2, 1):
        function(x)
    assert len(calls) == 3
    assert function.cache_info() == (2, 3, 1, 1)


@pytest.mark.parametrize(("maxsize", "error"), [(-1, ValueError), (float("nan"), ValueError), ("5", TypeError), (True, TypeError)])
def test_bad_maxsize(maxsize: Any, error: type[Exception]) -> None:
    """maxsize is a number >= 0 or None."""
    with pytest.raises(error, match="maxsize must be"):
        cached(maxsize=maxsize)(len)


def test_no_arguments() -> None:
    """A function without arguments is called once."""
    function, calls = counting()
    assert function() is function()
    assert len(calls) == 1


def test_typed() -> None:
    """typed=True tells 1 from 1.0 and True, by position and by keyword; without it they share."""
    typed, typed_calls = counting(typed=True)
    plain, plain_calls = counting()
    for x in (1, 1.0, True):
        typed(x)
        typed(x=x)
        plain(x)
        plain(x=x)
    assert len(typed_calls) == 6
    assert len(plain_calls) == 2


def test_keywords_are_not_positions() -> None:
    """Arguments that look alike as a flat sequence are different calls."""
    function, calls = counting()
    function(1, "a", 2)
    function(1, a=2)
    function(("a", 2), 1)
    function(1, ("a", 2))
    function((1, "a", 2))
    function([].__class__)
    assert len(calls) == 6


def test_tuples_and_none_are_not_flattened() -> None:
    """f((1, 2)) is not f(1, 2), f(None) is not f(), f(()) is neither."""
    function, calls = counting()
    for arguments in (((1, 2),), (1, 2), (None,), (), ((),), ((None,),)):
        function(*arguments)
        function(*arguments)
    assert len(calls) == 6


def test_unhashable_arguments() -> None:
    """Unhashable arguments raise TypeError and the function does not run."""
    function, calls = counting()
    for arguments in (([],), ({},), (1, set())):
        with pytest.raises(TypeError, match="unhashable"):
            function(*arguments)
    with pytest.raises(TypeError, match="unhashable"):
        function(x=[])
    assert len(calls) == 0


def test_exceptions_are_not_cached() -> None:
    """A call that raised is tried again, and raises without context of ours."""
    attempts: list[int] = []

    @cached
    def function(x: int) -> int:
        attempts.append(x)
        if len(attempts) < 3:
            raise LookupError(x)
        return x

    for _ in range(2):
        with pytest.raises(LookupError) as caught:
            function(1)
        assert caught.value.__context__ is None
        assert caught.value.__cause__ is None
    assert function(1) == function(1) == 1
    assert attempts == [1, 1, 1]
    assert function.cache_info()[:2] == (1, 3)


@pytest.mark.parametrize(
    "error", [KeyError, ValueError, TypeError, RecursionError, StopIteration, KeyboardInterrupt, SystemExit, GeneratorExit]
)
def test_any_exception_passes_through(error: type[BaseException]) -> None:
    """Whatever the function raises reaches the caller as it is."""
    raised = error("mine")

    @cached
    def function() -> None:
        raise raised

    for _ in range(2):
        with pytest.raises(error) as caught:
            function()
        assert caught.value is raised


def test_none_and_false_are_results() -> None:
    """A result of None, 0 or False is cached as any other."""
    for result in (None, 0, False, "", NotImplemented, Ellipsis):
        calls: list[int] = []

        @cached
        def function(calls: list[int] = calls, result: object = result) -> object:
            calls.append(1)
            return result

        assert function() is function() is result
        assert len(calls) == 1


def test_exceptions_as_values() -> None:
    """An exception that is returned, not raised, is a value."""
    error = LookupError()
    function = cached(lambda: error)
    assert function() is function() is error


def test_wrong_arguments() -> None:
    """A call that the function refuses raises its TypeError and keeps nothing."""

    @cached
    def function(x: int) -> int:
        return x

    for _ in range(2):
        with pytest.raises(TypeError, match=r"function\(\)"):
            function()
        with pytest.raises(TypeError, match=r"function\(\)"):
            function(1, 2)
    assert function.cache_info().currsize == 0


def test_any_names_of_keywords() -> None:
    """Keywords may have any name."""
    function, calls = counting()
    names = {"self": 1, "key": 2, "cache": 3, "func": 4, "args": 5, "kwargs": 6, "instance": 7, "owner": 8}
    function(**names)
    function(**names)
    assert calls.calls == [((), names)]
    assert function.cache_remove(**names) is True


def test_stored_while_computing() -> None:
    """A result stored by hand during the call wins; what is cleared or removed during the call is not kept."""
    act: list[Any] = []

    @cached
    def function(x: int) -> str:
        act.pop()()
        return "computed"

    act.append(lambda: function.cache.__setitem__(function.cache_key(1), "stored"))
    assert function(1) == "stored"
    for forget in (function.cache_clear, lambda: function.cache_remove(2), function.cache.clear):
        act.append(forget)
        assert function(2) == "computed"
        assert function.cache_key(2) not in function.cache


def test_lru_cache_refuses_what_functools_refuses() -> None:
    """A maxsize that is no integer, callable or None is a TypeError with functools' words."""
    for wrong in ("5", 2.5, [], {}):
        with pytest.raises(TypeError) as theirs:
            functools.lru_cache(wrong)
        with pytest.raises(TypeError) as ours:
            lru_cache(wrong)
        assert str(ours.value) == str(theirs.value)
