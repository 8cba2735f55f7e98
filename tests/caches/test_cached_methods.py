"""@cached on methods: a cache for each instance that dies with it, whatever the class looks like."""

from __future__ import annotations

import gc
import inspect
import weakref
from dataclasses import dataclass
from typing import Any, NamedTuple

import cachetools
import pytest
from helpers.clock import Clock
from helpers.collect import Thing, freed_by_count
from helpers.recorder import Recorder

from safemem import LRUCache, TTLCache, cached


class Plain:
    """An ordinary class."""

    def __init__(self, name: str = "plain") -> None:
        self.name = name
        self.calls: list[Any] = []

    @cached
    def method(self, x: Any = 0, *, flag: bool = False) -> Thing:
        """The docstring."""
        self.calls.append((x, flag))
        return Thing((self.name, x, flag))


class Slotted:
    """A class with slots, `__weakref__` among them."""

    __slots__ = ("__weakref__", "calls", "name")

    def __init__(self, name: str = "slotted") -> None:
        self.name = name
        self.calls: list[Any] = []

    @cached
    def method(self, x: Any = 0, *, flag: bool = False) -> Thing:
        """The docstring."""
        self.calls.append((x, flag))
        return Thing((self.name, x, flag))


class Unhashable(Plain):
    """A class without hash."""

    __hash__ = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unhashable)


class AllEqual(Plain):
    """A class whose instances are all equal."""

    def __hash__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        return True


class SlottedUnhashable(Slotted):
    """Slots all the way down, and no hash."""

    __slots__ = ()
    __hash__ = None

    def __eq__(self, other: object) -> bool:
        return True


@dataclass
class Data:
    """A dataclass, with equality and so without hash."""

    name: str = "data"

    def __post_init__(self) -> None:
        self.calls: list[Any] = []

    @cached
    def method(self, x: Any = 0, *, flag: bool = False) -> Thing:
        """The docstring."""
        self.calls.append((x, flag))
        return Thing((self.name, x, flag))


class Frozen(Plain):
    """A class whose instances refuse attributes after their construction."""

    frozen = False

    def __init__(self, name: str = "frozen") -> None:
        super().__init__(name)
        self.frozen = True

    def __setattr__(self, name: str, value: object) -> None:
        if self.frozen:
            raise AttributeError(name)
        super().__setattr__(name, value)


class NoDictAccess(Plain):
    """A class that hides its `__dict__`."""

    @property
    def __dict__(self) -> Any:
        raise AttributeError


class Falsy(Plain):
    """A class whose instances are false and have length 0."""

    def __bool__(self) -> bool:
        return False

    def __len__(self) -> int:
        return 0


CLASSES = [Plain, Slotted, Unhashable, AllEqual, SlottedUnhashable, Data, Frozen, NoDictAccess, Falsy]


@pytest.fixture(params=CLASSES, ids=lambda cls: cls.__name__)
def owner_class(request: pytest.FixtureRequest) -> Any:
    """Each sort of class in turn."""
    return request.param


class TestEverySortOfClass:
    """What holds for every sort of class."""

    def test_one_call_for_equal_arguments(self, owner_class: Any) -> None:
        """The method runs once for equal arguments."""
        owner = owner_class()
        first = owner.method(1, flag=True)
        assert owner.method(1, flag=True) is first
        assert owner.method(2) is not first
        assert owner.calls == [(1, True), (2, False)]

    def test_instances_have_caches_of_their_own(self, owner_class: Any) -> None:
        """Equal instances share nothing."""
        one, two = owner_class("one"), owner_class("two")
        assert one.method(1).name[0] == "one"
        assert two.method(1).name[0] == "two"
        assert one.method(1) is not two.method(1)
        assert one.method.cache_info() == (2, 1, 128, 1) or one.method.cache_info() == (1, 1, 128, 1)
        assert len(one.calls) == len(two.calls) == 1

    def test_bounds_are_per_instance(self, owner_class: Any) -> None:
        """Each instance has the whole bound for itself."""
        one, two = owner_class(), owner_class()
        for x in range(200):
            one.method(x)
        two.method(1)
        assert one.method.cache_info().currsize == 128
        assert two.method.cache_info().currsize == 1

    def test_statistics_are_per_instance(self, owner_class: Any) -> None:
        """Each instance counts for itself."""
        one, two = owner_class(), owner_class()
        one.method(1)
        one.method(1)
        two.method(1)
        assert one.method.cache_info() == (1, 1, 128, 1)
        assert two.method.cache_info() == (0, 1, 128, 1)
        one.method.cache_clear()
        assert one.method.cache_info() == (0, 0, 128, 0)
        assert two.method.cache_info() == (0, 1, 128, 1)

    def test_the_instance_dies_with_its_last_reference(self, owner_class: Any) -> None:
        """No instance is kept, and its results die with it, by reference count alone."""
        owner_class().method(0)
        with freed_by_count() as watched:
            owner = owner_class()
            watched += [
                weakref.ref(owner),
                weakref.ref(owner.method(1)),
                weakref.ref(owner.method(2, flag=True)),
                weakref.ref(owner.method.cache),
            ]
            del owner

    def test_thousands_of_instances(self, owner_class: Any) -> None:
        """Instances that take the address of earlier ones never see their results."""
        for number in range(2000):
            owner = owner_class(str(number))
            assert owner.method(1).name[0] == str(number)
            assert owner.method.cache_info().misses == 1

    def test_calls_through_the_class(self, owner_class: Any) -> None:
        """Class.method(instance, ...) is instance.method(...)."""
        owner = owner_class()
        assert owner_class.method(owner, 1) is owner.method(1)
        assert owner.calls == [(1, False)]

    def test_remove_and_key(self, owner_class: Any) -> None:
        """cache_remove() and cache_key() take the arguments without the instance; `cache` is the instance's own."""
        owner = owner_class()
        result = owner.method(1, flag=True)
        assert owner.method.cache[owner.method.cache_key(1, flag=True)] is result
        assert isinstance(owner.method.cache, LRUCache)
        assert owner.method.cache is owner.method.cache
        assert owner.method.cache_remove(1, flag=True) is True
        assert owner.method.cache_remove(1, flag=True) is False
        assert owner.method(1, flag=True) is not result

    def test_the_bound_method_keeps_its_instance(self, owner_class: Any) -> None:
        """A bound method that is kept works on, as any bound method."""
        bound = owner_class("kept").method
        gc.collect()
        first = bound(1)
        assert first.name[0] == "kept"
        assert bound(1) is first

    def test_class_clear(self, owner_class: Any) -> None:
        """Class.method.cache_clear() clears every instance's."""
        one, two = owner_class(), owner_class()
        one.method(1)
        two.method(1)
        owner_class.method.cache_clear()
        assert one.method.cache_info() == two.method.cache_info() == (0, 0, 128, 0)
        one.method(1)
        assert len(one.calls) == 2

    def test_identity_of_the_method_survives(self, owner_class: Any) -> None:
        """Name, docstring, signature and __wrapped__ survive, bound and unbound."""
        owner = owner_class()
        for method, parameters in ((owner.method, ["x", "flag"]), (owner_class.method, ["self", "x", "flag"])):
            assert method.__name__ == "method"
            assert method.__doc__ == "The docstring."
            assert list(inspect.signature(method).parameters) == parameters
        assert inspect.isfunction(inspect.unwrap(owner_class.method))
        assert owner.method.__self__ is owner
        assert owner.method.__wrapped__ is not None

    def test_exceptions(self, owner_class: Any) -> None:
        """A failing call is tried again."""
        owner = owner_class()
        with pytest.raises(TypeError, match="unhashable"):
            owner.method([])
        with pytest.raises(TypeError, match="unexpected|got"):
            owner.method(nonsense=1)
        assert owner.method.cache_info().currsize == 0


def test_an_instance_without_weak_references_is_refused() -> None:
    """The error names the class and says how to mend it."""

    class Closed:
        __slots__ = ("x",)

        @cached
        def method(self) -> int:
            return 1

    with pytest.raises(TypeError, match=r"Closed.*__weakref__|__weakref__.*Closed"):
        Closed().method()


def test_named_tuples_are_refused() -> None:
    """A tuple cannot be weakly referenced either."""

    class Point(NamedTuple):
        x: int

        @cached
        def method(self) -> int:
            return self.x

    with pytest.raises(TypeError, match="Point"):
        Point(1).method()


def test_options_on_methods(told: Recorder) -> None:
    """maxsize, ttl, typed, key, cache_if and on_remove work per instance."""
    clock = Clock()

    class Owner:
        @cached(maxsize=1, on_remove=told)
        def bounded(self, x: int) -> int:
            return x

        @cached(ttl=5, timer=clock)
        def aging(self) -> object:
            return object()

        @cached(typed=True)
        def typed(self, x: object) -> str:
            return repr(x)

        @cached(key=lambda x: len(x))
        def keyed(self, x: str) -> str:
            return x

        @cached(cache_if=bool)
        def choosy(self, x: object) -> object:
            return [x] if x else 0

        @cached(maxsize=None)
        def unbounded(self, x: int) -> int:
            return x

        @cached(maxsize=0)
        def uncached(self, x: int) -> object:
            return object()

    owner = Owner()
    owner.bounded(1)
    owner.bounded(2)
    assert [entry[1:] for entry in told.take()] == [(1, "SIZE")]
    first = owner.aging()
    clock.tick(4)
    assert owner.aging() is first
    clock.tick(1)
    assert owner.aging() is not first
    assert isinstance(owner.aging.cache, TTLCache)
    assert [owner.typed(1), owner.typed(1.0)] == ["1", "1.0"]
    assert [owner.keyed("ab"), owner.keyed("cd"), owner.keyed("e")] == ["ab", "ab", "e"]
    assert owner.keyed.cache_key("xyz") == 3
    assert owner.choosy(1) is owner.choosy(1)
    owner.choosy(0)
    assert owner.choosy.cache_info().currsize == 1
    for x in range(300):
        owner.unbounded(x)
    assert owner.unbounded.cache_info() == (0, 300, None, 300)
    assert owner.uncached(1) is not owner.uncached(1)
    assert owner.uncached.cache_info() == (0, 2, 0, 0)


def test_any_names_of_keywords() -> None:
    """Keywords of a method may have any name."""

    class Owner:
        @cached
        def method(this, /, **keywords: int) -> dict[str, int]:
            return keywords

    owner = Owner()
    names = {"self": 1, "key": 2, "owner": 3, "memo": 4, "args": 5, "kwargs": 6, "instance": 7, "cls": 8}
    assert owner.method(**names) == names
    assert owner.method(**names) is owner.method(**names)
    assert owner.method.cache_remove(**names) is True


@pytest.mark.parametrize(
    "factory", [dict, lambda: cachetools.LFUCache(3), lambda: cachetools.RRCache(3), lambda: LRUCache(3)], ids=["dict", "LFU", "RR", "LRU"]
)
def test_cache_factories(factory: Any) -> None:
    """On methods cache= is a factory that makes each instance's cache."""

    class Owner:
        @cached(cache=factory)
        def method(self, x: int) -> Thing:
            return Thing(x)

    one, two = Owner(), Owner()
    assert one.method(1) is one.method(1)
    assert one.method(1) is not two.method(1)
    assert one.method.cache is not two.method.cache
    assert type(one.method.cache) is type(factory())
    assert one.method.cache_info().currsize == 1
    for x in range(10):
        one.method(x)
    assert two.method.cache_info().currsize == 1


def test_a_ready_made_cache_on_a_method_is_refused() -> None:
    """One mapping for all instances would mix their results, and keep them: the error says what to pass."""

    class Owner:
        @cached(cache={})
        def method(self, x: int) -> int:
            return x

    with pytest.raises(TypeError, match="cache must be"):
        Owner().method(1)


def test_bound_methods_compare_like_bound_methods() -> None:
    """Two lookups of one method on one instance are equal, on two instances not."""
    one, two = AllEqual(), AllEqual()
    assert one.method == one.method
    assert hash(one.method) == hash(one.method)
    assert one.method != two.method
