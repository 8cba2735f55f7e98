"""Decorated functions on both cores and a naive model side by side, with arguments that collide, raise and call back."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from helpers.messages import plain
from helpers.trigger import Fault, Trigger
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from safemem.core import NATIVE, _calling, _native, call_key
from safemem.core._owners import Owners

from .cores import PAIRS, make

assert NATIVE  # the public classes are made for one core; here both cores' parts are put together bare


class Argument:
    """An argument of which many collide, and whose instances are many."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __hash__(self) -> int:
        Trigger.pull()
        return self.number % 2

    def __eq__(self, other: object) -> bool:
        Trigger.pull()
        return isinstance(other, Argument) and self.number == other.number

    def __repr__(self) -> str:
        return f"Argument({self.number})"


class Special(Argument):
    """Equal to others of another type."""

    def __hash__(self) -> int:
        return super().__hash__()


def function_of(core: Any, *, native: bool, maxsize: float, kind: str, typed: bool, key: Any, body: Any, now: Callable[[], float]) -> Any:
    """A bare function on one core, with its cache."""
    options: dict[str, Any] = {} if kind == "lru" else {"timer": now, "step": 3}
    cache = make(PAIRS[kind][native], maxsize, **options)

    class Function(core):  # type: ignore[misc]
        def _load(self, key: Any, args: Any, kwargs: Any) -> Any:
            return cache.setdefault(key, body(*args, **kwargs)) if maxsize else body(*args, **kwargs)

    function = Function()
    function._prepare(key=key, typed=typed, awaited=False, owners=Owners("x"))
    function._store = SimpleNamespace(get=cache.get, direct=cache if native else None)
    function.cache = cache
    return function


VALUES = st.one_of(
    st.sampled_from([0, 1, 1.0, True, -1, -2, 2**30, 2**60, 2.5, None, "a", "b", "", (), (1,), (1.0,), b"a", float("nan")]),
    st.builds(Argument, st.integers(0, 3)),
    st.builds(Special, st.integers(0, 3)),
)
ARGUMENTS = st.lists(VALUES, max_size=3)
NAMED = st.lists(st.tuples(st.sampled_from(["x", "y", "zz"]), VALUES), max_size=3, unique_by=lambda pair: pair[0]).map(dict)


class Twins(RuleBasedStateMachine):
    """A pure and a native function that are called the same, beside a list of what they should hold."""

    kind = "lru"
    typed = False
    own_key = False

    @initialize(maxsize=st.sampled_from([0, 1, 2, 3, 5]))
    def begin(self, maxsize: int) -> None:
        self.maxsize = maxsize
        self.now = 0.0
        self.calls = 0
        self.model: list[list[Any]] = []  # key, result, deadline; coldest first
        key = (lambda *args, **kwargs: (len(args), *args[:1], *kwargs)) if self.own_key else None
        self.key_of = key or (lambda *args, **kwargs: call_key(args, kwargs, typed=self.typed))
        self.twins = [
            function_of(
                core, native=native, maxsize=maxsize, kind=self.kind, typed=self.typed, key=key, body=self.body, now=lambda: self.now
            )
            for core, native in ((_calling.CallCore, False), (_native.CallCore, True))
        ]

    def body(self, *_args: Any, **_kwargs: Any) -> str:
        return f"result {self.calls}"

    def expect(self, key: Any) -> str:
        self.model = [entry for entry in self.model if self.now < entry[2]]
        for entry in self.model:
            if entry[0] == key:
                self.model.remove(entry)
                self.model.append(entry)
                return str(entry[1])
        self.model.append([key, f"result {self.calls}", self.now + (3 if self.kind == "ttl" else 10**9)])
        del self.model[: max(0, len(self.model) - self.maxsize)]
        return f"result {self.calls}"

    @rule(args=ARGUMENTS, named=NAMED)
    def call(self, args: list[Any], named: dict[str, Any]) -> None:
        self.calls += 1
        answers = [function(*args, **named) for function in self.twins]
        assert answers == [self.expect(self.key_of(*args, **named))] * 2

    @rule(args=ARGUMENTS)
    def unhashable(self, args: list[Any]) -> None:
        if self.own_key and args:
            return
        texts = []
        for function in self.twins:
            try:
                function([], *args)
            except TypeError as error:
                texts.append(plain(str(error)))
        assert len(texts) == 2
        assert texts[0] == texts[1]

    @rule(args=ARGUMENTS, named=NAMED, after=st.integers(0, 4))
    def fault(self, args: list[Any], named: dict[str, Any], after: int) -> None:
        """An argument that raises leaves everything as it was; what it asks how often is each core's affair."""
        for function in self.twins:
            before = [value for _, value in function.cache._iterate_items()]
            Trigger.fail_after(after)
            try:
                function(*args, **named)
            except Fault:
                Trigger.action = None
                assert sorted(value for _, value in function.cache._iterate_items()) == sorted(before)
            Trigger.action = None
            function.cache._check()
        self.start_anew()

    @rule(args=ARGUMENTS, inner=ARGUMENTS, what=st.sampled_from(["call", "clear", "fill"]))
    def call_back(self, args: list[Any], inner: list[Any], what: str) -> None:
        """An argument that calls the function, or empties its cache, leaves it whole."""
        for function in self.twins:

            def act(function: Any = function) -> None:
                if what == "call":
                    function(*inner)
                elif what == "clear":
                    function.cache.clear()
                else:
                    for number in range(6):
                        function(Argument(number))

            Trigger.action = act
            function(*args)
            Trigger.action = None
            function.cache._check()
        self.start_anew()

    def start_anew(self) -> None:
        """Forget everything."""
        for function in self.twins:
            function.cache.clear()
            function.cache._reset_counters()
        self.model.clear()

    @rule(step=st.sampled_from([0, 1, 2, 5]))
    def pass_time(self, step: float) -> None:
        self.now += step

    @rule()
    def clear(self) -> None:
        self.start_anew()

    @invariant()
    def same(self) -> None:
        if not hasattr(self, "twins"):
            return
        pure, native = (function.cache for function in self.twins)
        native._check()
        rows = [value for _, value in native._iterate_items()]
        assert rows == [value for _, value in pure._iterate_items()]
        assert rows == [entry[1] for entry in self.model if self.now < entry[2]]
        assert [repr(key) for key in native] == [repr(key) for key in pure]
        assert {name: pure._counters()[name] for name in ("hits", "misses")} == {
            name: native._counters()[name] for name in ("hits", "misses")
        }


class Wrappers(RuleBasedStateMachine):
    """lru_cache's wrapper beside the standard library's."""

    typed = False

    @initialize(maxsize=st.sampled_from([None, 0, 1, 2, 3, 5]))
    def begin(self, maxsize: int | None) -> None:
        self.calls = [0, 0]
        self.inner: list[Any] = []
        wrappers = (functools._lru_cache_wrapper, _native.lru_wrapper)
        self.twins: list[Any] = [
            wrapper(self.body(which), maxsize, self.typed, functools._CacheInfo) for which, wrapper in enumerate(wrappers)
        ]

    def body(self, which: int) -> Callable[..., int]:
        def body(*_args: Any, **_kwargs: Any) -> int:
            self.calls[which] += 1
            count = self.calls[which]
            if self.inner and count % 2:  # from inside: the same again, or others
                self.twins[which](*self.inner)
            return count

        return body

    @rule(args=ARGUMENTS, named=NAMED, inner=ARGUMENTS)
    def call(self, args: list[Any], named: dict[str, Any], inner: list[Any]) -> None:
        self.inner = inner
        assert self.twins[0](*args, **named) == self.twins[1](*args, **named)

    @rule()
    def clear(self) -> None:
        for twin in self.twins:
            twin.cache_clear()

    @rule(args=ARGUMENTS, after=st.integers(0, 3))
    def fault(self, args: list[Any], after: int) -> None:
        self.inner = []
        for twin in self.twins:
            Trigger.fail_after(after)
            try:
                twin(*args)
            except Fault:
                pass
            Trigger.action = None
            twin.cache_clear()
        self.calls = [max(self.calls)] * 2

    @invariant()
    def same(self) -> None:
        if hasattr(self, "twins"):
            assert self.twins[0].cache_info() == self.twins[1].cache_info()


def machine(base: Any, name: str, **settings_of_it: Any) -> Any:
    """A test of one sort of twins."""
    test = type(name, (base,), settings_of_it).TestCase
    test.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
    return test


TestPlain = machine(Twins, "Plain")
TestTyped = machine(Twins, "Typed", typed=True)
TestOwnKey = machine(Twins, "OwnKey", own_key=True)
TestTTL = machine(Twins, "TTL", kind="ttl")
TestWrapper = machine(Wrappers, "Wrapper")
TestWrapperTyped = machine(Wrappers, "WrapperTyped", typed=True)
