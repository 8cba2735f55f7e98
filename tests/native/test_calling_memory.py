"""Memory of decorated functions: exact counts, nothing lost when there is none, and every cycle collected."""

from __future__ import annotations

import asyncio
import gc
import sys
import weakref
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from helpers.collect import Thing, collector_off
from helpers.memory import fails_without_memory
from helpers.recorder import unraisable

from safemem import LRUCache, cached, lru_cache
from safemem.core import _calling, _native
from safemem.core._owners import Owners

WITH_GIL = getattr(sys, "_is_gil_enabled", lambda: True)()
COUNTED = pytest.mark.skipif(not WITH_GIL, reason="without a GIL counts of references are put off")


class Bad:
    """An argument that cannot be compared."""

    def __hash__(self) -> int:
        return hash((1,))

    def __eq__(self, other: object) -> bool:
        raise LookupError


def body(*args: Any, **kwargs: Any) -> Any:
    """Return something new."""
    return [args, kwargs]


def method(decorate: Callable[[Any], Any], *, slotted: bool = False) -> Any:
    """A bound method of an owner of its own."""

    class Owner:
        @decorate
        def method(self, *args: Any, **kwargs: Any) -> Any:
            return [args, kwargs]

    class Slotted:
        __slots__ = ("__weakref__",)
        method = Owner.__dict__["method"]

    owner: Any = Slotted() if slotted else Owner()
    return owner.method


class Raw(_native.CallCore):  # type: ignore[name-defined,misc]
    """The core's part alone, with the simplest way to make a result."""

    cache: Any

    def _load(self, key: Any, args: Any, kwargs: Any) -> Any:
        self.cache[key] = value = [args, kwargs]
        return value

    def cache_info(self) -> Any:
        """Count nothing."""

    def cache_clear(self) -> None:
        """Forget everything."""
        self.cache.clear()


def raw() -> Any:
    """A function of it."""
    function = Raw.__new__(Raw)
    cache: Any = LRUCache(3)
    function.cache = cache
    function._prepare(key=None, typed=True, awaited=False, owners=Owners("x"))
    function._store = SimpleNamespace(direct=cache)
    return function


MAKERS: dict[str, Callable[[], Any]] = {
    "raw": raw,
    "cached": lambda: cached(3)(body),
    "typed": lambda: cached(3, typed=True)(body),
    "key": lambda: cached(3, key=lambda *args, **kwargs: (args, *kwargs))(body),
    "ttl": lambda: cached(3, ttl=60)(body),
    "nothing kept": lambda: cached(0)(body),
    "method": lambda: method(cached(3)),
    "method typed": lambda: method(cached(3, typed=True)),
    "slotted": lambda: method(cached(3), slotted=True),
    "lru_cache": lambda: lru_cache(3)(body),
    "lru_cache typed": lambda: lru_cache(3, typed=True)(body),
    "lru_cache unbounded": lambda: lru_cache(None)(body),
    "lru_cache nothing kept": lambda: lru_cache(0)(body),
}


def use(function: Any, number: int) -> None:
    """Hits, misses and errors, with arguments that nobody else has."""
    many = [f"{number} {i}" for i in range(40)]
    for _ in range(2):
        function(many[0]), function(many[0], many[1]), function(x=many[0]), function(many[0], y=many[1], x=number + 0.5), function(*many)
        function(**dict.fromkeys(many, 1)), function(), function(Thing(), x=Thing()), function(10**20 + number)
    for wrong in ((([],), {}), ((1, {}), {}), ((), {"x": []})):
        try:
            function(*wrong[0], **wrong[1])
        except TypeError:
            pass
    function(Bad())
    try:
        function(Bad())
    except LookupError:
        pass
    function.cache_info(), repr(function), function.cache_clear()


@COUNTED
@pytest.mark.parametrize("name", MAKERS)
def test_no_reference_leaks(name: str) -> None:
    """A round more of everything leaves no block of memory more."""
    function = MAKERS[name]()
    with collector_off():
        for number in range(6):
            use(function, number)
        gc.collect()
        before = sys.getallocatedblocks()
        for number in range(6, 46):
            use(function, number)
        gc.collect()
        grown = sys.getallocatedblocks() - before
    assert grown < 40, grown


@COUNTED
@pytest.mark.parametrize("name", MAKERS)
def test_counts_are_exact(name: str) -> None:
    """A function holds what its cache holds and not one reference more; its type and its function are let go of."""
    with collector_off():
        first, second, value = Thing(), Thing(), Thing()
        known = (first, second, value, Thing, body, _calling.KEYWORDS, str, float)
        maker = MAKERS[name]
        maker()
        gc.collect()
        before = [sys.getrefcount(item) for item in known]
        function = maker()
        kinds = [type(function), type(function).__mro__[1], type(getattr(function, "__func__", function))]
        counts = [sys.getrefcount(kind) for kind in kinds]
        for _ in range(20):
            function(first), function(first, second), function(first, x=second), function(*[first] * 40), function(first, 3.5)
        function.cache_clear()
        assert [sys.getrefcount(kind) for kind in kinds] == counts
        del function
        gc.collect()
        assert [sys.getrefcount(item) for item in known] == before


@COUNTED
def test_results_that_are_ready_count_exactly() -> None:
    """However it ends, a result that is ready lets go of everything."""

    @cached
    async def function(x: Any) -> Any:
        return x

    thing = Thing()
    asyncio.run(function(thing))
    ready = function(thing)
    kind: Any = type(ready)
    ready.close()
    del ready
    ends: list[Callable[[Any], Any]] = [
        lambda ready: ready.close(),
        lambda ready: pytest.raises(StopIteration, ready.send, None),
        lambda ready: pytest.raises(StopIteration, next, ready.__await__()),
        lambda ready: pytest.raises(KeyError, ready.throw, KeyError("x")),
        lambda ready: (pytest.raises(TypeError, ready.throw, 5), ready.close()),
        lambda ready: (pytest.raises(TypeError, ready.send, 5), ready.close(), ready.close()),
        lambda ready: (weakref.ref(ready), repr(ready), ready.__name__, ready.close(), pytest.raises(RuntimeError, ready.send, None)),
        lambda ready: asyncio.run(ready),
    ]
    for end in ends:
        end(function(thing))
        gc.collect()
        before = [sys.getrefcount(item) for item in (thing, function, kind)]
        for _ in range(10):
            end(function(thing))
        gc.collect()
        assert [sys.getrefcount(item) for item in (thing, function, kind)] == before


def bound_of(function: Any) -> Any:
    """Something bound to a new owner, which knows it."""
    owner = Thing()
    owner.other = _native.BoundCore(function, owner)
    return owner.other


def tied() -> list[Any]:
    """Objects in cycles of every kind, each to be watched."""

    def cycle_of(decorate: Any) -> list[Any]:
        @decorate
        def function(x: Any) -> Any:
            return function, x

        function.itself = function
        thing = Thing()
        function(thing)
        thing.other = function
        return [function, thing]

    class Owner:
        @cached
        def method(self, *args: Any) -> Any:
            return [self, args]

        @cached
        async def later(self, *args: Any) -> Any:
            return [self, args]

    class Slotted:
        __slots__ = ("__weakref__", "bound")
        method = Owner.__dict__["method"]

    owner, slotted, asleep = Owner(), Slotted(), Owner()
    owner.method(1), owner.method(Thing()), slotted.method.cache_clear()
    owner.bound, slotted.bound = owner.method, slotted.method  # type: ignore[attr-defined]
    asyncio.run(asleep.later(1))
    asleep.ready = ready = asleep.later(1)  # type: ignore[attr-defined]
    asleep.ready.close()  # type: ignore[attr-defined]
    made = [*cycle_of(cached), *cycle_of(cached(typed=True)), *cycle_of(lru_cache), *cycle_of(lru_cache(None)), *cycle_of(lru_cache(0))]
    raw = _native.CallCore()
    holder = Thing()
    holder.other = raw
    raw._prepare(key=holder.__init__, typed=False, awaited=False, owners=vars(Owner)["method"]._owners)
    bound = bound_of(vars(Owner)["method"])
    return [*made, owner, owner.method, slotted, slotted.bound, asleep, ready, holder, bound, bound.__self__, Owner, vars(Owner)["method"]]


def test_cycles_are_collected() -> None:
    """Cycles through functions, their attributes, results, arguments, owners and key functions are collected, classes and all."""
    watch = [weakref.ref(item) for item in tied()]
    gc.collect()
    gc.collect()
    assert [reference() for reference in watch if reference() is not None] == []


@pytest.mark.filterwarnings("ignore:coroutine:RuntimeWarning")
def test_a_ready_result_in_a_cycle_comes_back() -> None:
    """A finaliser may save a result that was forgotten in a cycle; it can still be awaited."""
    saved: list[Any] = []

    class Saver:
        def __init__(self) -> None:
            self.me = self
            self.ready: Any = None

        def __del__(self) -> None:
            saved.append(self.ready)

    @cached
    async def function(x: Any) -> Any:
        return x

    saver = Saver()
    asyncio.run(function(1))
    saver.ready = function(1)
    del saver
    function.cache_clear()
    del function
    gc.collect()
    for ready in saved:
        with pytest.raises(StopIteration):
            ready.send(None)


testcapi = pytest.importorskip("_testcapi", reason="part of CPython's own tests")


@COUNTED
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # whatever else runs in this process has no memory either
@pytest.mark.parametrize("name", [name for name in MAKERS if name not in {"key", "nothing kept", "slotted"}])
def test_every_allocation_fails_in_turn(name: str) -> None:
    """Whichever allocation fails, the error comes out or the answer, and nothing is lost half-way."""
    first, second = Thing("first"), Thing("second")
    many = [first] * 40
    named = {
        f"name {number}": second for number in range(12)
    }  # so few that no key is made in Python, whose last MemoryError keeps its frames
    calls: list[Callable[[Any], Any]] = [
        lambda function: function(first),
        lambda function: function(second, 1),
        lambda function: function("text"),
        lambda function: function(first, x=second),
        lambda function: function(x=first, y=second),
        lambda function: function(*many),
        lambda function: function(**named),
        lambda function: function.cache_info(),
        lambda function: function.cache_clear(),
    ]
    # What runs in Python may crash for want of memory (3.13.0 does when a lock is allocated), or keep its frames: hits only, then.
    cold = name == "raw" or name.startswith("lru_cache")
    if not cold:
        del calls[-2:]
    function = MAKERS[name]()
    with collector_off():
        for warm in calls:
            warm(function)
        function.cache_clear()
        before = [sys.getrefcount(item) for item in (first, second)]
        for call in calls:
            for start in range(100):
                function(first, x=second), function(first)
                if not cold:
                    call(function)
                failed = fails_without_memory(start, call, function)
                assert function(second) == [(second,), {}]
                if hasattr(function, "cache"):
                    function.cache._check()
                function.cache_clear()
                gc.collect()  # errors and the frames they came through
                assert [sys.getrefcount(item) for item in (first, second)] == before, (call, start)
                if not failed and start > 20:
                    break


@COUNTED
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_every_allocation_of_ready_results_fails_in_turn() -> None:
    """A result that is ready comes, or an error, and it ends in one way only."""

    @cached
    async def function(x: Any) -> Any:
        return x

    thing = Thing()
    asyncio.run(function(thing))
    ready: Any = None
    before = sys.getrefcount(thing)
    with collector_off(), unraisable():
        for call in (lambda: function(thing), lambda: function(thing).send(None), lambda: function(thing).throw(KeyError, "x")):
            for start in range(30):
                ready = None
                testcapi.set_nomemory(start, start + 1)
                try:
                    ready = call()
                except (MemoryError, StopIteration, KeyError):
                    pass
                finally:
                    testcapi.remove_mem_hooks()
                if ready is not None:
                    assert asyncio.run(ready) is thing
    ready = None
    assert sys.getrefcount(thing) == before
