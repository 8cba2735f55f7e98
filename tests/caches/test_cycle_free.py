"""No operation leaves anything to the collector: not on success, not on error; caches die with their last reference."""

from __future__ import annotations

import copy
import pickle
import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from helpers.clock import Clock
from helpers.collect import Thing, freed_by_count, no_cyclic_garbage
from helpers.kinds import Kind, LivesFor
from helpers.naming import source
from helpers.recorder import unraisable

from safemem import SingleFlight, cached, cached_property, lru_cache, maintain


def fail(*_: object) -> Any:
    """Raise."""
    msg = "on purpose"
    raise LookupError(msg)


class Sour:
    """Raises from everything that a cache may call."""

    def __init__(self, *, hashes: bool = False) -> None:
        self.hashes = hashes

    def __hash__(self) -> int:
        return 1 if self.hashes else fail()

    def __eq__(self, other: object) -> bool:
        return bool(fail())

    def __repr__(self) -> str:
        return str(fail())


OPERATIONS: list[Callable[[Any], object]] = [
    lambda c: c["a"],
    lambda c: c["missing"],
    lambda c: c.__setitem__("a", Thing()),
    lambda c: c.__setitem__("new", Thing()),
    lambda c: c.__setitem__("too large", list(range(50))),
    lambda c: c.__setitem__("bad weight", None),
    lambda c: c.__setitem__([], 1),
    lambda c: c.__delitem__("a"),
    lambda c: c.__delitem__("missing"),
    lambda c: "a" in c,
    lambda c: [] in c,
    lambda c: c.get("a"),
    lambda c: c.get("missing"),
    lambda c: c.get(Sour()),
    lambda c: c.get(Sour(hashes=True)),
    lambda c: c.peek("a"),
    lambda c: c.peek(Sour()),
    lambda c: c.pop("a"),
    lambda c: c.pop("missing"),
    lambda c: c.pop("missing", None),
    lambda c: c.popitem(),
    lambda c: (c.clear(), c.popitem()),
    lambda c: c.setdefault("a", 1),
    lambda c: c.setdefault("new", "x"),
    lambda c: c.setdefault("too large", list(range(50))),
    lambda c: c.update(a="x", b="y"),
    lambda c: c.update([("x", "y"), ("too", "many", "parts")]),
    lambda c: c.update(42),
    lambda c: c.clear(),
    lambda c: c.copy(),
    lambda c: copy.copy(c),
    lambda c: copy.deepcopy(c),
    lambda c: pickle.loads(pickle.dumps(c)),
    lambda c: (c.update(p=(lambda: 1,)), pickle.dumps(c)),
    lambda c: c | {"x": "y"},
    lambda c: c | 5,
    lambda c: {"x": "y"} | c,
    lambda c: c.__ior__({"x": "y"}),
    lambda c: type(c).fromkeys("abc", "x"),
    lambda c: type(c).fromkeys([[]]),
    list,
    lambda c: list(reversed(c)),
    lambda c: list(c.items()),
    lambda c: list(c.values()),
    lambda c: next(iter(c)),
    lambda c: next(iter(c.items())),
    lambda c: [c.clear() for _ in c],
    lambda c: c.keys() & {"a"},
    lambda c: c == {"a": 1},
    lambda c: c == c.copy(),
    lambda c: (c.update(s=(Sour(),)), c == {"a": 1, "b": 2, "c": 3, "s": (Sour(),)}),
    repr,
    lambda c: (c.update(s=(Sour(),)), repr(c)),
    len,
    lambda c: c.currsize,
    lambda c: c.maxsize,
    lambda c: c.stats(),
    lambda c: c.reset_stats(),
    lambda c: c.evict(2),
    lambda c: c.evict(-1),
    lambda c: c.shrink(0.5),
    lambda c: c.shrink(7),
    lambda c: c.resize(3),
    lambda c: c.resize(-3),
    lambda c: c.get_or_create("a", Thing),
    lambda c: c.get_or_create("new", lambda: "x"),
    lambda c: c.get_or_create("new", fail),
    lambda c: c.get_or_create("new", lambda: c.get_or_create("new", int)),
    lambda c: c.get_or_create("new", lambda: list(range(50))),
    lambda c: c.get_or_create("new", lambda: c.clear() or "x"),
    lambda c: c.get_or_create(Sour(), int),
    lambda c: c.expire(),
    lambda c: c.expire(99),
    lambda c: c.set("a", "x", ttl=3),
    lambda c: c.set("a", "x", ttl=0),
    lambda c: c.set("a", "x", ttl=-1),
    lambda c: c.ttl_of("a"),
    lambda c: c.ttl_of("missing"),
    lambda c: c.timer.__enter__() and c.timer.__exit__(None, None, None),
    lambda c: (c.timer.tick(10), len(c)),
    lambda c: (c.timer.tick(10), c.get("a"), c.pop("a", None), c.pop("a")),
    lambda c: (c.timer.tick(10), c.update(n="x")),
    lambda c: (c.timer.tick(10), c.__delitem__("a")),
    lambda c: c.__init__(3),
    lambda c: c.__init__(-1),
    lambda c: c.__init__(),
    lambda c: type(c).__new__(type(c)),
    lambda c: weakref.ref(c),
    lambda c: c.no_such_attribute,
]


def do(operation: Callable[[Any], object], cache: Any) -> None:
    """Run; errors are part of the programme."""
    with suppress(Exception):
        operation(cache)


def weigh(value: Any) -> Any:
    """Lengths; 1 for the rest; None is unweighable."""
    return None if value is None else len(value) if hasattr(value, "__len__") else 1


def filled(kind: Kind, clock: Clock, **options: Any) -> Any:
    """A cache of a, b, c with everything switched on."""
    cache = kind.make(30, ttl=5, clock=clock, getsizeof=weigh, **options)
    cache.update(a=Thing(1), b=Thing(2), c=Thing(3))
    return cache


@pytest.mark.parametrize("operation", OPERATIONS, ids=source)
def test_no_cyclic_garbage(kind: Kind, operation: Callable[[Any], object]) -> None:
    """The operation, a cache it was done to, and its values leave nothing to the collector."""
    with no_cyclic_garbage(), freed_by_count() as watched, unraisable():
        cache = filled(kind, Clock(), on_remove=lambda *_: None)
        watched += [weakref.ref(cache), *map(weakref.ref, cache.values())]
        do(operation, cache)
        do(operation, cache)
        del cache


@pytest.mark.parametrize("operation", OPERATIONS, ids=source)
def test_no_cyclic_garbage_when_on_remove_raises(kind: Kind, operation: Callable[[Any], object]) -> None:
    """An on_remove that raises leaves nothing either."""
    with no_cyclic_garbage(), freed_by_count() as watched:
        cache = filled(kind, Clock(), on_remove=fail)
        watched += [weakref.ref(cache), *map(weakref.ref, cache.values())]
        before, sys.unraisablehook = sys.unraisablehook, lambda _args: None
        try:
            do(operation, cache)
        finally:
            sys.unraisablehook = before
        del cache


def test_no_cyclic_garbage_from_a_subclass(kind: Kind) -> None:
    """Overridden methods change nothing about it."""
    body = {name: getattr(kind.cls, name) for name in ("popitem", "__delitem__", "expire") if hasattr(kind.cls, name)}
    sub = kind.subclass({"__missing__": lambda _self, key: key, **{name: (lambda *a, m=method: m(*a)) for name, method in body.items()}})
    with no_cyclic_garbage():
        for operation in OPERATIONS:
            cache = filled(sub, Clock())
            do(operation, cache)
            del cache


def test_a_cycle_through_a_cache_is_collected(kind: Kind) -> None:
    """A cache that holds itself, or a value that holds the cache, is freed by the collector."""
    import gc

    cache = kind.make()
    value = Thing()
    value.other = cache
    cache["self"] = cache
    cache["value"] = value
    cache[value] = "key"
    watch = [weakref.ref(cache), weakref.ref(value)]
    del cache, value
    gc.collect()
    assert [reference() for reference in watch] == [None, None]


def test_a_cycle_through_the_callables_is_collected(kind: Kind) -> None:
    """on_remove and getsizeof that hold the cache keep it from nothing."""
    import gc

    def make() -> weakref.ref[Any]:
        holder: list[Any] = []
        cache = kind.make(getsizeof=lambda _value: bool(holder) or 1, on_remove=lambda *_: holder)
        cache["a"] = 1
        holder.append(cache)
        return weakref.ref(cache)

    watch = make()
    gc.collect()
    assert watch() is None


def call(function: Callable[..., object], *arguments: object, **keywords: object) -> None:
    """Call; errors are part of the programme."""
    with suppress(Exception):
        function(*arguments, **keywords)


DECORATORS: list[Any] = [
    lambda f: cached(f),
    lambda f: cached(maxsize=2)(f),
    lambda f: cached(maxsize=None)(f),
    lambda f: cached(maxsize=0)(f),
    lambda f: cached(ttl=5, timer=Clock())(f),
    lambda f: cached(typed=True)(f),
    lambda f: cached(key=lambda *a, **k: repr((a, k)))(f),
    lambda f: cached(cache={})(f),
    lambda f: cached(cache_if=bool)(f),
    lambda f: lru_cache(f),
    lambda f: lru_cache(2, typed=True)(f),
    lambda f: lru_cache(None)(f),
    lambda f: lru_cache(0)(f),
]


@pytest.mark.parametrize("decorate", DECORATORS, ids=source)
def test_cached_functions(decorate: Any) -> None:
    """A cached function, its values and its failures leave nothing, and it dies with its last reference."""
    with no_cyclic_garbage(), freed_by_count() as watched:

        def function(x: object, *, fails: bool = False) -> Thing:
            if fails:
                fail()
            return Thing(x)

        wrapped = decorate(function)
        watched.append(weakref.ref(wrapped))
        for x in (1, 2, 3, 1):
            call(wrapped, x)
            call(wrapped, x, fails=True)
        call(wrapped, [])
        call(wrapped)
        watched.append(weakref.ref(wrapped(1)))
        for name in ("cache_info", "cache_parameters", "cache_clear"):
            call(getattr(wrapped, name))
        if hasattr(wrapped, "cache_remove"):
            wrapped(1)
            call(wrapped.cache_remove, 1)
            call(wrapped.cache_remove, [])
            call(wrapped.cache_key, 1)
        repr(wrapped)
        del wrapped, function


@pytest.mark.parametrize("decorate", DECORATORS[:9], ids=source)
def test_cached_methods(decorate: Any) -> None:
    """Instances with cached methods die with their last reference, and their values with them."""
    if "cache={}" in (source(decorate) or ""):
        decorate = cached(cache=dict)

    class Owner:
        @decorate
        def method(self, x: object, *, fails: bool = False) -> Thing:
            if fails:
                fail()
            return Thing(x)

        @classmethod
        @cached
        def of_class(cls, x: object) -> Thing:
            return Thing(x)

        @staticmethod
        @cached
        def of_nothing(x: object) -> Thing:
            return Thing(x)

        @cached_property
        def prop(self) -> Thing:
            return Thing()

        @cached_property
        def sour(self) -> Thing:
            return fail()

    owner = Owner()  # the first instance may set things up in the class
    call(owner.method, 1)
    del owner
    with no_cyclic_garbage(), freed_by_count() as watched:
        owner = Owner()
        watched += [weakref.ref(owner), weakref.ref(owner.prop)]
        kept = owner.method(1)
        watched.append(weakref.ref(kept))
        del kept
        for x in (1, 2, 1):
            call(owner.method, x)
            call(owner.method, x, fails=True)
            call(Owner.method, owner, x)
        call(owner.method, [])
        call(lambda owner: owner.sour, owner)
        call(owner.of_class, 1)
        call(owner.of_nothing, 1)
        for name in ("cache_info", "cache_parameters", "cache_clear"):
            call(getattr(owner.method, name))
        owner.method(3)
        owner.method.cache_remove(3)
        del owner


def test_cached_recursion() -> None:
    """The RecursionError of a function that needs its own result leaves nothing."""
    itself: list[Any] = []

    @cached
    def endless(x: int) -> int:
        return itself[0](x) + 1

    itself.append(endless)
    with no_cyclic_garbage():
        for _ in range(3):
            with pytest.raises(RecursionError):
                endless(1)
    itself.clear()


def test_cached_coroutines() -> None:
    """A cached coroutine function leaves nothing: value, failure, recursion, cancellation."""
    import asyncio

    @cached
    async def function(x: int, *, fails: bool = False) -> Thing:
        await asyncio.sleep(0)
        if fails:
            fail()
        return Thing(x)

    async def main() -> None:
        for _ in range(2):
            await asyncio.gather(*(function(x % 3) for x in range(9)), return_exceptions=True)
            with suppress(LookupError):
                await function(1, fails=True)
            task = asyncio.ensure_future(function(7))
            await asyncio.sleep(0)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            del task
        function.cache_clear()

    asyncio.run(main())
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(main())
        with no_cyclic_garbage("a cached coroutine"):
            loop.run_until_complete(main())
    finally:
        loop.close()


def waited_for(flights: Any) -> None:
    """Have three threads wait for the failing flight of a fourth."""
    entered, leave = threading.Event(), threading.Event()

    def slow() -> None:
        entered.set()
        leave.wait(10)
        fail()

    threads = [threading.Thread(target=call, args=(flights.do, "slow", slow)) for _ in range(4)]
    threads[0].start()
    entered.wait(10)
    for thread in threads[1:]:
        thread.start()
    leave.set()
    for thread in threads:
        thread.join(10)


def test_flights() -> None:
    """Single flights leave nothing: value, failure, recursion, waiters."""

    def chain(flights: Any) -> Any:
        return flights.do("a", lambda: flights.do("b", lambda: flights.do("a", int)))

    with no_cyclic_garbage(), freed_by_count() as watched:
        flights = SingleFlight()
        watched.append(weakref.ref(flights))
        call(flights.do, "key", Thing)
        call(flights.do, "key", fail)
        call(flights.do, [], Thing)
        call(flights.do, Sour(), Thing)
        call(chain, flights)
        waited_for(flights)
        del flights


def test_maintained_caches(kind: Kind) -> None:
    """A cache under maintenance dies with its last reference."""
    with freed_by_count() as watched:
        cache = kind.make()
        cache["a"] = Thing()
        watched += [weakref.ref(cache), weakref.ref(cache["a"])]
        with maintain(60, cache):
            del cache


def test_ttu_of_many_kinds() -> None:
    """A ttu object is not kept by what it served."""
    from safemem import TLRUCache

    with freed_by_count() as watched:
        lives = LivesFor(3)
        cache: Any = TLRUCache(3, lives, Clock())
        cache["a"] = 1
        watched.append(weakref.ref(lives))
        del cache, lives
