"""The private side of decorated functions, used as nobody should: an exception or an answer comes out, never a crash."""

from __future__ import annotations

import asyncio
import gc
import itertools
import sys
import threading
import types
import warnings
import weakref
from typing import Any

import pytest

from safemem import LRUCache, cached, core, lru_cache
from safemem.caches import wrappers
from safemem.core import _native
from safemem.core._owners import Handle, Owners

KINDS = (wrappers.CachedFunction, wrappers.AsyncCachedFunction, wrappers.CachedMethodFunction, wrappers.AsyncCachedMethodFunction)
DEEP = 100_000


class Store:
    """What a function may be told to look into."""

    def __init__(self, direct: Any) -> None:
        self.direct = direct


@pytest.mark.parametrize("kind", [*KINDS, _native.CallCore])
def test_never_initialised(kind: Any) -> None:
    """A function without __init__ raises whatever it is asked, and goes quietly."""
    empty = kind.__new__(kind, 1, x=2)
    for arguments in ((), (1,), (Store(None), 2), (1, 2, 3)):
        with pytest.raises(AttributeError):
            empty(*arguments)
        with pytest.raises(AttributeError):
            empty(*arguments, x=1)
    assert empty._store is None
    bound = _native.BoundCore(empty, Store(None))
    with pytest.raises(AttributeError):
        bound(1)
    with pytest.raises(TypeError):
        object.__new__(kind)


def test_with_a_store_only() -> None:
    """A function that knows nothing but where to look finds what is there."""
    empty: Any = _native.CallCore()
    cache: Any = LRUCache(3)
    cache[1,] = "one"
    empty._store = Store(cache)
    assert empty(1) == "one"
    with pytest.raises(AttributeError, match="_load"):
        empty(2)


def test_a_store_is_set_once() -> None:
    """The store stays what it is, even if asking the first one sets a second; anything that is no core is not looked into."""
    empty: Any = _native.CallCore()
    with pytest.raises(AttributeError, match="direct"):
        empty._store = None
    with pytest.raises(AttributeError, match="only once"):
        del empty._store
    inner, outer = Store(LRUCache(1)), Store(LRUCache(1))
    counts = sys.getrefcount(inner), sys.getrefcount(outer), sys.getrefcount(inner.direct)

    class Asked:
        @property
        def direct(self) -> Any:
            empty._store = inner
            return outer.direct

    with pytest.raises(AttributeError, match="only once"):
        empty._store = Asked()
    assert empty._store is inner
    with pytest.raises(AttributeError, match="only once"):
        empty._store = outer
    empty = None
    assert (sys.getrefcount(inner), sys.getrefcount(outer), sys.getrefcount(inner.direct)) == counts
    for direct in (None, object(), 3, dict, LRUCache, {}):
        plain: Any = _native.CallCore()
        plain._store = Store(direct)
        with pytest.raises(AttributeError, match="_dispatch"):
            plain(1)


def test_preparing() -> None:
    """It is prepared once, with Owners; a key function that is no function is found out by calling it."""
    empty: Any = _native.CallCore()
    good = {"key": None, "typed": 1, "awaited": 0, "owners": Owners("x")}
    for wrong in ({}, {"key": 1}, {**good, "owners": None}, {**good, "owners": Owners}, {**good, "more": 1}):
        with pytest.raises(TypeError):
            empty._prepare(**wrong)
    empty._prepare(**{**good, "key": 42})
    with pytest.raises(TypeError, match="again"):
        empty._prepare(**good)
    empty._store = Store(LRUCache(1))
    with pytest.raises(TypeError, match="not callable"):
        empty(1)
    function = cached(lambda x: x)
    with pytest.raises(TypeError, match="again"):
        function.__init__(lambda x: x, function._settings, None)
    assert function(1) == 1


def test_turning_into_other_classes() -> None:
    """Only a class above or below of the same layout will do, and attributes keep their values whatever they were."""

    class Wider(wrappers.CachedFunction):
        __slots__ = ("more",)

    class Other(wrappers.CachedFunction):
        pass

    function: Any = cached(lambda x: x)
    for cls in (int, _native.CallCore, Wider, wrappers.CachedMethod, None, "x", types.FunctionType):
        with pytest.raises(TypeError, match="cannot turn into"):
            function._turn_into(cls)
    for names in itertools.permutations("abc"):
        empty: Any = wrappers.CachedFunction.__new__(wrappers.CachedFunction)
        seeded: Any = Other.__new__(Other)
        for number, name in enumerate(names):
            setattr(empty, name, [number])
            setattr(seeded, names[-1 - number], [number])
        empty._turn_into(Other)
        assert [getattr(empty, name) for name in names] == [[0], [1], [2]]
        assert empty.__dict__ == {name: [number] for number, name in enumerate(names)}
        empty.d = 1
        empty._turn_into(wrappers.CachedFunction)
        assert (empty.a, empty.d) == ([names.index("a")], 1)
        seeded._turn_into(wrappers.CachedFunction)
        assert sorted(map(str, seeded.__dict__.values())) == ["[0]", "[1]", "[2]"]


def test_turning_in_threads() -> None:
    """Threads that turn one function into this and that leave the reference counts of the classes right."""
    gc.collect()
    before = [sys.getrefcount(kind) for kind in KINDS[::2]]
    functions: list[Any] = [cached(lambda x: x) for _ in range(50)]

    def work() -> None:
        for function in functions * 20:
            for kind in (KINDS[2], KINDS[0]):
                function._turn_into(kind)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for function in functions:
        function._turn_into(KINDS[0])
    functions.clear()
    del function
    gc.collect()
    after = [sys.getrefcount(kind) for kind in KINDS[::2]]
    assert after == before or min(after) >= 2**30  # without a GIL classes live for ever as soon as there are threads


@pytest.mark.parametrize("tool", [core.callable_core, core.method_descriptor])
def test_marking_classes(tool: Any) -> None:
    """Only classes of the core's can be marked."""
    for wrong in (int, type, object, None, 3, LRUCache, types.FunctionType):
        with pytest.raises(TypeError):
            tool(wrong)


def test_binding() -> None:
    """Only a decorated function can be bound, to anything."""
    for arguments in ((), (1,), (len, 1), (1, 2, 3), (lru_cache(len), 1), (_native.CallCore, 1)):
        with pytest.raises(TypeError):
            _native.BoundCore(*arguments)
    function = cached(lambda owner, x: (owner, x))
    with pytest.raises(TypeError, match="weak"):
        _native.BoundCore(function, 5)(1)


def test_handles_that_are_not_what_they_seem() -> None:
    """Whatever lies where an owner keeps its results is looked at twice."""

    class Owner:
        @cached
        def method(self, x: int) -> tuple[Any, int]:
            return (self, x)

    function: Any = vars(Owner)["method"]
    name = function._owners._attribute
    one, other = Owner(), Owner()
    one.method(1), other.method(2)
    strangers = [vars(other)[name], None, 3, object(), Handle(one), Handle(other), len, function]
    with_home = Handle(one)
    with_home.home = function._owners.home
    strangers.append(with_home)
    odd = Handle(one)
    odd.home, odd.owned = function._owners.home, Store(LRUCache(1))
    for stranger in strangers:
        vars(one)[name] = stranger
        try:
            assert one.method(1) == (one, 1)
        except AttributeError:  # the pure core's too
            assert not hasattr(stranger, "owned")
    vars(one)[name] = odd
    with pytest.raises(AttributeError):
        one.method(1)
    del vars(one)[name]
    assert one.method(1) == (one, 1)
    for attribute in (None, 3, "", "name"):
        function._owners._attribute = attribute
        try:
            one.method(1)
        except TypeError:
            pass


def test_deep_chains_are_freed() -> None:
    """Chains of bound methods, functions, wrappers and results that are ready, 100,000 long, do not exhaust the stack."""
    function: Any = cached(lambda x: x)
    chain: Any = function
    for _ in range(DEEP):
        chain = _native.BoundCore(function, chain)
    watch = weakref.ref(chain)
    del chain
    assert watch() is None
    chain = None
    for _ in range(DEEP):
        owner = types.SimpleNamespace(inner=chain)
        chain = wrappers.CachedMethod(function, owner)
    del chain, owner
    chain = len
    for _ in range(DEEP):
        chain = core.lru_wrapper(chain, 1, False, tuple)
    del chain
    chain = None
    for _ in range(DEEP):
        link = _native.CallCore()
        link._prepare(key=chain, typed=False, awaited=False, owners=Owners("x"))
        chain = link
    del chain, link


@pytest.mark.filterwarnings("ignore:coroutine:RuntimeWarning")
def test_deep_chains_of_results_are_freed() -> None:
    """Results that are ready, in results that are ready, 100,000 deep, do not exhaust the stack."""
    cache: Any = LRUCache(1)

    @cached(cache=cache, key=lambda: "key")
    async def function() -> Any:
        return None

    asyncio.run(function())
    for _ in range(DEEP):
        cache["key"] = function()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cache.clear()


def test_deep_wrappers_end_in_a_recursion_error() -> None:
    """Wrappers around wrappers, too many to call, raise."""
    for maxsize in (None, 1, 0):
        chain: Any = len
        for _ in range(DEEP):
            chain = core.lru_wrapper(chain, maxsize, False, tuple)
        with pytest.raises(RecursionError):
            chain("text")
    key: Any = len
    for _ in range(DEEP):
        link = _native.CallCore()
        link._prepare(key=key, typed=False, awaited=False, owners=Owners("x"))
        link._store = Store(LRUCache(1))
        key = link
    with pytest.raises(RecursionError):
        key("text")


def test_names_in_an_empty_tuple() -> None:
    """C code may name no arguments in an empty tuple, which is the same as naming none; and it may have no arguments at all."""
    testcapi = pytest.importorskip("_testcapi", reason="part of CPython's own tests")
    for decorate in (cached, cached(typed=True), lru_cache, lru_cache(typed=True)):
        function: Any = decorate(lambda *args: object())
        for arguments in ((), (3,), ("x",), (3, 4)):
            assert testcapi.pyobject_vectorcall(function, arguments, ()) is function(*arguments)
            assert testcapi.pyobject_vectorcall(function, arguments, None) is function(*arguments)
            assert testcapi.pyobject_fastcalldict(function, arguments or None, None) is function(*arguments)


@pytest.mark.parametrize("maxsize", [2**62, 2**63 - 1, 2**63, 2**64, -1, True, False, 0, 2, 2.0, "text", -(2**70)], ids=repr)
def test_bounds_of_wrappers(maxsize: Any) -> None:
    """The wrapper takes the bounds that the standard library's takes, and says the same of the others."""
    import functools

    answers = []
    for wrapper in (functools._lru_cache_wrapper, core.lru_wrapper):
        try:
            function = wrapper(lambda x: x, maxsize, False, functools._CacheInfo)
            function(1), function(2), function(3), function(3)
            answers.append(repr(function.cache_info()))
        except (TypeError, OverflowError) as error:
            answers.append((type(error), str(error)))
    assert answers[0] == answers[1]


def test_a_bound_that_leads_back() -> None:
    """A wrapper whose bound was an object in a cycle with it is collected."""

    class Bound(int):
        pass

    bound = Bound(5)
    function = lru_cache(bound)(lambda x: x)
    bound.function = function
    watch = weakref.ref(function)
    del bound, function
    gc.collect()
    assert watch() is None
