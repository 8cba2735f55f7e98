"""@cached on plain functions: results, keys, bounds, attributes, and what stays of the function."""

from __future__ import annotations

import functools
import inspect
import threading
import typing
import weakref
from collections import OrderedDict
from typing import Any

import cachetools
import pytest
from helpers.clock import Clock
from helpers.collect import Thing
from helpers.naming import source
from helpers.recorder import Recorder

from safemem import LRUCache, TTLCache, cached, lru_cache


class Calls:
    """A function that counts how often it ran."""

    def __init__(self) -> None:
        self.calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        self.calls.append((args, kwargs))
        return Thing((args, kwargs))

    def __len__(self) -> int:
        return len(self.calls)


def counting(*arguments: Any, **options: Any) -> tuple[Any, Calls]:
    """A cached function and the calls that got through."""
    calls = Calls()

    def function(*args: Any, **kwargs: Any) -> Any:
        return calls(*args, **kwargs)

    decorated = cached(function) if not (arguments or options) else cached(*arguments, **options)(function)
    return decorated, calls


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


def test_cache_if() -> None:
    """Values that cache_if declines are returned and not kept."""
    values = iter([None, None, 5, 6])
    asked: list[object] = []

    def keep(value: object) -> bool:
        asked.append(value)
        return value is not None

    @cached(cache_if=keep)
    def function() -> object:
        return next(values)

    assert [function() for _ in range(5)] == [None, None, 5, 5, 5]
    assert asked == [None, None, 5]
    assert function.cache_info() == (2, 3, 128, 1)


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

        @cached(cache=wrong)
        def function() -> None: ...

        function()


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


def test_signatures_of_the_attributes() -> None:
    """cache_info(), cache_clear() and cache_parameters() take no arguments."""
    function, _ = counting()
    for name in ("cache_info", "cache_clear", "cache_parameters"):
        assert not inspect.signature(getattr(function, name)).parameters
        with pytest.raises(TypeError):
            getattr(function, name)(1)


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


def test_recursion_with_other_arguments() -> None:
    """A function may call itself with other arguments."""

    @cached
    def fibonacci(n: int) -> int:
        return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

    assert fibonacci(60) == 1548008755920
    assert fibonacci.cache_info() == (58, 61, 128, 61)


def test_recursion_with_the_same_arguments() -> None:
    """A function that needs its own result gets a RecursionError that names it, at once."""
    depth: list[int] = []

    @cached
    def endless(x: int) -> int:
        depth.append(x)
        return endless(x)

    for _ in range(2):
        with pytest.raises(RecursionError):
            endless(1)
    assert len(depth) == 2


def test_mutual_recursion() -> None:
    """So do two functions that need each other's."""

    @cached
    def one(x: int) -> int:
        return two(x)

    @cached
    def two(x: int) -> int:
        return one(x)

    with pytest.raises(RecursionError):
        one(1)
    with pytest.raises(RecursionError):
        two(1)


def test_recursion_that_is_caught() -> None:
    """A function may catch the RecursionError and return something, which is kept."""

    @cached
    def careful(x: int) -> str:
        try:
            return careful(x)
        except RecursionError:
            return "base"

    assert careful(1) == careful(1) == "base"
    assert careful.cache_info().currsize == 1


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


def test_statistics_of_many_threads() -> None:
    """Hits and misses add up to the calls."""
    from helpers.threads import run_threads, switching_often

    function, calls = counting(maxsize=10)

    def work(number: int) -> None:
        for step in range(500):
            function((step * number) % 17)

    with switching_often():
        run_threads(6, work)
    info = function.cache_info()
    assert info.hits + info.misses == 3000
    assert info.currsize == 10
    assert len(calls) <= info.misses


def test_64_threads_one_call() -> None:
    """Sixty-four threads that ask for one result call the function once, and all get its very object."""
    from helpers.threads import run_threads

    entered = threading.Semaphore(0)
    calls: list[int] = []

    @cached
    def slow(x: int) -> Thing:
        calls.append(x)
        for _ in range(63):
            assert entered.acquire(timeout=20)
        return Thing(x)

    results: list[Thing] = []

    def work(_number: int) -> None:
        entered.release()
        results.append(slow(1))

    entered.release()
    run_threads(64, work)
    assert calls == [1]
    assert len(results) == 64
    assert len({id(result) for result in results}) == 1
    info = slow.cache_info()
    assert info.hits + info.misses == 64


def test_lru_cache_has_no_single_flight() -> None:
    """lru_cache is functools' own contract: two threads may compute one result side by side."""
    from helpers.threads import run_threads

    barrier = threading.Barrier(2, timeout=20)
    function = lru_cache(lambda: barrier.wait())
    run_threads(2, lambda _number: function())
    assert function.cache_info().misses == 2


def test_lru_cache_accepts_its_own_recursion() -> None:
    """lru_cache does not watch for recursion on equal arguments: it runs into the interpreter's limit or ends."""
    seen: list[int] = []

    @lru_cache
    def function(x: int) -> int:
        seen.append(x)
        return x if len(seen) > 3 else function(x)

    assert function(1) == 1
    assert seen == [1, 1, 1, 1]
    assert function.cache_info() == (0, 4, 128, 1)


def test_lru_cache_refuses_what_functools_refuses() -> None:
    """A maxsize that is no integer, callable or None is a TypeError with functools' words."""
    for wrong in ("5", 2.5, [], {}):
        with pytest.raises(TypeError) as theirs:
            functools.lru_cache(wrong)
        with pytest.raises(TypeError) as ours:
            lru_cache(wrong)
        assert str(ours.value) == str(theirs.value)
