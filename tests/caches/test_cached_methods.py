"""@cached on methods: a cache for each instance that dies with it, whatever the class looks like."""

from __future__ import annotations

import abc
import gc
import inspect
import sys
import threading
import weakref
from dataclasses import dataclass
from typing import Any, NamedTuple

import cachetools
import pytest
from helpers.clock import Clock
from helpers.collect import Thing, freed_by_count
from helpers.isolate import run_code
from helpers.recorder import Recorder
from helpers.threads import run_threads

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
    with pytest.raises((TypeError, RuntimeError), match="factory|cache"):

        class Owner:
            @cached(cache={})
            def method(self, x: int) -> int:
                return x

        Owner().method(1)


def test_inheritance() -> None:
    """A subclass inherits the method, with caches for its instances."""

    class Child(Plain):
        pass

    child, parent = Child("child"), Plain("parent")
    assert child.method(1).name[0] == "child"
    assert parent.method(1).name[0] == "parent"
    assert child.method(1) is child.method(1)
    assert len(child.calls) == 1


def test_overriding_and_super() -> None:
    """An overriding method has its own cache beside the one of the method it calls by super()."""

    class Base:
        calls = 0

        @cached
        def method(self, x: int) -> int:
            self.calls += 1
            return x

        @cached
        def other(self, x: int) -> int:
            return x

    class Child(Base):
        @cached
        def method(self, x: int) -> int:
            return super().method(x) * 10 + super().method(x)

    child = Child()
    assert [child.method(3), child.method(3)] == [33, 33]
    assert child.calls == 1
    assert child.method.cache_info() == (1, 1, 128, 1)
    assert Base.method(child, 3) == 3
    assert Base().method(3) == 3
    Child.method.cache_clear()
    assert child.method(3) == 33
    assert child.calls == 1, "the method of the base kept its results"


def test_overriding_without_cache() -> None:
    """A plain override calls the cached one by super()."""

    class Child(Plain):
        def method(self, x: Any = 0, *, flag: bool = False) -> Thing:
            return super().method(x, flag=flag)

    child = Child()
    assert child.method(1) is child.method(1)
    assert len(child.calls) == 1


def test_super_of_a_class_method() -> None:
    """Class methods can be inherited, overridden and reached by super(); each class has its own results."""

    class Base:
        calls: list[str] = []

        @classmethod
        @cached
        def make(cls, x: int) -> str:
            Base.calls.append(cls.__name__)
            return f"{cls.__name__} {x}"

    class Child(Base):
        pass

    class Override(Base):
        @classmethod
        @cached
        def make(cls, x: int) -> str:
            return f"override of {super().make(x)}"

    assert [Base.make(1), Child.make(1), Override.make(1), Child.make(1)] == ["Base 1", "Child 1", "override of Override 1", "Child 1"]
    assert Base.calls == ["Base", "Child", "Override"]


@pytest.mark.parametrize("inside", [True, False], ids=["classmethod(cached)", "cached(classmethod)"])
def test_class_methods(inside: bool) -> None:
    """Class methods in either order of decorators: one cache for each class, one statistic for all."""
    calls: list[tuple[str, int]] = []

    def function(cls: type, x: int = 0) -> tuple[type, int]:
        calls.append((cls.__name__, x))
        return cls, x

    decorated = classmethod(cached(function)) if inside else cached(classmethod(function))

    class Owner:
        method = decorated

    class Child(Owner):
        pass

    assert Owner.method(1) == Owner().method(1) == (Owner, 1)
    assert Owner.method.cache[Owner.method.cache_key(1)] == (Owner, 1)
    assert Child.method(1) == Child().method(1) == (Child, 1)
    assert calls == [("Owner", 1), ("Child", 1)]
    info = Owner.method.cache_info()
    assert (info.misses, info.currsize) == (2, 2)
    assert Owner.method.cache_remove(1) is True
    assert Owner.method.cache_remove(1) is False
    Owner.method(1)
    assert calls[2:] == [("Owner", 1)]
    if inside and sys.version_info >= (3, 13):  # there a class method tells what it wraps no more than the call
        with pytest.raises(AttributeError, match="above"):
            Owner.method.cache
    else:
        assert Owner.method.cache[Owner.method.cache_key(1)] == (Owner, 1)
    Owner.method.cache_clear()
    assert Owner.method.cache_info().currsize == 0


@pytest.mark.parametrize("inside", [True, False], ids=["classmethod(cached)", "cached(classmethod)"])
def test_class_methods_do_not_keep_their_class(inside: bool) -> None:
    """A class with cached class methods can be collected."""

    def make() -> weakref.ref[type]:
        def function(cls: type) -> str:
            return cls.__name__

        class Owner:
            method = classmethod(cached(function)) if inside else cached(classmethod(function))

        class Child(Owner):
            pass

        Owner.method()
        Child.method()
        return weakref.ref(Child)

    reference = make()
    gc.collect()
    assert reference() is None


@pytest.mark.parametrize("inside", [True, False], ids=["staticmethod(cached)", "cached(staticmethod)"])
def test_static_methods(inside: bool) -> None:
    """Static methods in either order of decorators: one cache, as for a function."""
    calls: list[int] = []

    def function(x: int = 0) -> int:
        calls.append(x)
        return x

    class Owner:
        method = staticmethod(cached(function)) if inside else cached(staticmethod(function))

    class Child(Owner):
        pass

    assert [Owner.method(1), Owner().method(1), Child.method(1), Child().method(1)] == [1, 1, 1, 1]
    assert calls == [1]
    for method in (Owner.method, Owner().method, Child().method):
        assert method.cache_info() == (3, 1, 128, 1)
        assert method.cache_key(1) in method.cache
    assert Owner.method.cache_remove(1) is True
    assert Owner().method(1) == 1
    Owner().method.cache_clear()
    assert Owner.method.cache_info() == (0, 0, 128, 0)
    assert calls == [1, 1]


def test_abstract_methods() -> None:
    """@abstractmethod is seen through the decorator."""

    class Base(abc.ABC):
        @cached
        @abc.abstractmethod
        def method(self) -> int: ...

    class Child(Base):
        @cached
        def method(self) -> int:
            return 5

    with pytest.raises(TypeError, match="abstract"):
        Base()
    assert Child().method() == 5


def test_special_methods() -> None:
    """Special methods can be cached too."""

    class Owner:
        calls = 0

        @cached
        def __call__(self, x: int) -> int:
            self.calls += 1
            return x

        @cached
        def __getitem__(self, x: int) -> int:
            self.calls += 1
            return x

    owner = Owner()
    assert [owner(1), owner(1), owner[1], owner[1]] == [1, 1, 1, 1]
    assert owner.calls == 2


def test_methods_of_metaclasses() -> None:
    """A class is an instance as well."""

    class Meta(type):
        @cached
        def method(cls, x: int) -> tuple[str, int]:
            return cls.__name__, x

    class One(metaclass=Meta):
        pass

    class Two(metaclass=Meta):
        pass

    assert One.method(1) == ("One", 1)
    assert Two.method(1) == ("Two", 1)
    assert One.method(1) is One.method(1)


def test_one_decorated_function_under_two_names() -> None:
    """Two names for one cached method, and one method in two classes, work."""

    class One:
        @cached
        def method(self, x: int) -> tuple[str, int]:
            return type(self).__name__, x

        alias = method

    class Two:
        method = One.__dict__["method"]

    one = One()
    assert one.alias(1) == one.method(1) == ("One", 1)
    assert Two().method(1) == ("Two", 1)


def test_a_method_added_later() -> None:
    """A cached function assigned to a class works as a method, unlike what it may do as a function."""

    class Owner:
        pass

    Owner.method = cached(lambda self, x: (id(self), x))
    one, two = Owner(), Owner()
    assert one.method(1) == (id(one), 1)
    assert two.method(1) == (id(two), 1)
    watch = weakref.ref(one)
    del one
    assert watch() is None


def test_bound_by_hand() -> None:
    """`__get__` binds as it does for functions."""
    owner = Plain()
    bound = Plain.__dict__["method"].__get__(owner, Plain)
    assert bound(1) is owner.method(1)


def test_bound_methods_compare_like_bound_methods() -> None:
    """Two lookups of one method on one instance are equal, on two instances not."""
    one, two = AllEqual(), AllEqual()
    assert one.method == one.method
    assert hash(one.method) == hash(one.method)
    assert one.method != two.method


def test_value_that_refers_to_its_instance() -> None:
    """Where the instance has a `__dict__`, a result that refers back to it is left to the collector, which frees both."""

    class Owner:
        @cached
        def method(self) -> Thing:
            thing = Thing()
            thing.other = self
            return thing

        @cached
        def me(self) -> Owner:
            return self

    owner = Owner()
    watch = [weakref.ref(owner), weakref.ref(owner.method())]
    assert owner.me() is owner
    del owner
    gc.collect()
    assert [reference() for reference in watch] == [None, None]


def test_value_that_refers_to_its_slotted_instance() -> None:
    """A slotted instance whose result refers to it lives until its cache is cleared, as documented."""

    class Owner:
        __slots__ = ("__weakref__",)

        @cached
        def method(self) -> Thing:
            thing = Thing()
            thing.other = self
            return thing

    owner = Owner()
    watch = weakref.ref(owner)
    owner.method()
    owner.method.cache_clear()
    del owner
    gc.collect()
    assert watch() is None


def test_finaliser_that_calls_the_method() -> None:
    """An instance whose `__del__` calls its cached method dies in peace."""
    answers: list[int] = []

    class Owner:
        @cached
        def method(self, x: int) -> int:
            return x

        def __del__(self) -> None:
            answers.append(self.method(1))
            answers.append(self.method(2))

    owner = Owner()
    owner.method(1)
    watch = weakref.ref(owner)
    del owner
    assert answers == [1, 2]
    assert watch() is None


def test_address_reuse() -> None:
    """An instance made where another died does not inherit its results, while its finaliser runs either."""

    class Owner:
        __slots__ = ("__weakref__", "number")

        def __init__(self, number: int) -> None:
            self.number = number

        @cached
        def method(self) -> int:
            return self.number

    addresses = set()
    for number in range(3000):
        owner = Owner(number)
        addresses.add(id(owner))
        assert owner.method() == number
        del owner
    assert len(addresses) < 3000, "no address was used twice: the test showed nothing"


def test_same_method_on_one_instance_in_threads() -> None:
    """Many threads that call one method of one instance run it once."""

    class Owner:
        def __init__(self) -> None:
            self.calls: list[int] = []
            self.go = threading.Event()

        @cached
        def method(self, x: int) -> Thing:
            self.calls.append(x)
            self.go.wait(0.05)
            return Thing(x)

    owner = Owner()
    results: list[Thing] = []
    run_threads(16, lambda _number: results.append(owner.method(1)))
    assert owner.calls == [1]
    assert len({id(result) for result in results}) == 1


def test_same_method_on_many_instances_in_threads() -> None:
    """Threads with an instance each do not wait for each other."""

    class Owner:
        barrier = threading.Barrier(4, timeout=20)

        @cached
        def method(self) -> int:
            return self.barrier.wait()

    results: list[int] = []
    run_threads(4, lambda _number: results.append(Owner().method()))
    assert sorted(results) == [0, 1, 2, 3]


def test_first_call_in_many_threads() -> None:
    """The first calls on an instance, from many threads, make one cache."""

    class Owner:
        @cached
        def method(self, x: int) -> int:
            return x

    for _ in range(30):
        owner = Owner()
        caches: list[int] = []

        def work(number: int, owner: Owner = owner, caches: list[int] = caches) -> None:
            owner.method(number)
            caches.append(id(owner.method.cache))

        run_threads(4, work)
        assert len(set(caches)) == 1
        assert owner.method.cache_info().currsize == 4


def test_recursion_between_instances() -> None:
    """A method may call itself on another instance with the same arguments; on the same one it gets RecursionError."""

    class Node:
        def __init__(self, child: Node | None = None) -> None:
            self.child = child

        @cached
        def depth(self) -> int:
            return 1 + (self.child.depth() if self.child else 0)

    assert Node(Node(Node())).depth() == 3
    loop = Node()
    loop.child = loop
    with pytest.raises(RecursionError):
        loop.depth()
    loop.child = None
    assert loop.depth() == 1


def test_statistics_of_the_class() -> None:
    """Class.method.cache_parameters() tells the settings; the class can be asked for its attributes without an instance."""
    assert Plain.method.cache_parameters()["maxsize"] == 128
    owner = Plain()
    assert owner.method.cache_parameters()["maxsize"] == 128


def test_properties_of_cached_methods() -> None:
    """A cached method can be made a property."""

    class Owner:
        calls = 0

        @property
        @cached
        def value(self) -> int:
            self.calls += 1
            return 5

    owner = Owner()
    assert owner.value + owner.value == 10
    assert owner.calls == 1
    watch = weakref.ref(owner)
    del owner
    assert watch() is None


PINNED = """
from safemem import cached

class Owner:
    {slots}

    @cached
    def method(self):
        return [{value}]

Owner().method()
"""


@pytest.mark.parametrize(
    ("slots", "value", "dev", "warned"),
    [
        ("__slots__ = ('__weakref__',)", "self", True, True),
        ("__slots__ = ('__weakref__',)", "self", False, False),
        ("__slots__ = ('__weakref__',)", "1", True, False),
        ("pass", "self", True, False),
    ],
    ids=["pinned", "not in dev mode", "no reference", "with __dict__"],
)
def test_cycle_warning(slots: str, value: str, dev: bool, warned: bool) -> None:
    """Under -X dev, and only there, a slotted instance that its own result keeps alive is warned about."""
    done = run_code(PINNED.format(slots=slots, value=value), *(["-X", "dev"] if dev else []))
    assert done.returncode == 0, done.stderr
    assert ("CycleWarning" in done.stderr) is warned, done.stderr
    if warned:
        assert "Owner.method" in done.stderr
