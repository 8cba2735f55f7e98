"""cached_property: computed once for an instance, deletable, settable, with slots and threads."""

from __future__ import annotations

import abc
import copy
import functools
import gc
import importlib
import inspect
import os
import pickle
import threading
import weakref
from typing import Any

import pytest
from helpers.collect import Thing, freed_by_count
from helpers.threads import run_threads

from safemem import cached_property


class Plain:
    """An ordinary class."""

    def __init__(self) -> None:
        self.calls = 0

    @cached_property
    def value(self) -> Thing:
        """The docstring."""
        self.calls += 1
        return Thing(self.calls)


class Slotted:
    """A class with slots."""

    __slots__ = ("__weakref__", "calls")

    def __init__(self) -> None:
        self.calls = 0

    @cached_property
    def value(self) -> Thing:
        """The docstring."""
        self.calls += 1
        return Thing(self.calls)


class Unhashable(Plain):
    """A class without hash whose instances are all equal."""

    __hash__ = None

    def __eq__(self, other: object) -> bool:
        return True


class SlottedUnhashable(Slotted):
    """Both."""

    __slots__ = ()
    __hash__ = None

    def __eq__(self, other: object) -> bool:
        return True


@pytest.fixture(params=[Plain, Slotted, Unhashable, SlottedUnhashable], ids=lambda cls: cls.__name__)
def owner_class(request: pytest.FixtureRequest) -> Any:
    """Each sort of class in turn."""
    return request.param


class TestEverySortOfClass:
    """What holds for every sort of class."""

    def test_computed_once(self, owner_class: Any) -> None:
        """The first access computes, the others find."""
        owner = owner_class()
        assert owner.value is owner.value
        assert owner.calls == 1

    def test_for_each_instance(self, owner_class: Any) -> None:
        """Instances, equal ones too, have values of their own."""
        one, two = owner_class(), owner_class()
        assert one.value is not two.value

    def test_deleted(self, owner_class: Any) -> None:
        """Deleting forgets the value, the next access computes again; deleting what is not there raises AttributeError."""
        owner = owner_class()
        first = owner.value
        del owner.value
        assert owner.value is not first
        assert owner.calls == 2
        del owner.value
        with pytest.raises(AttributeError, match="value"):
            del owner.value

    def test_set(self, owner_class: Any) -> None:
        """Setting replaces the value, before the first access too."""
        owner = owner_class()
        owner.value = 5
        assert owner.value == 5
        owner.value = 6
        assert owner.value == 6
        assert owner.calls == 0
        del owner.value
        assert owner.value.name == 1

    def test_dies_with_the_instance(self, owner_class: Any) -> None:
        """The instance and its value die with the last reference, by reference count alone."""
        owner_class().value
        with freed_by_count() as watched:
            owner = owner_class()
            watched += [weakref.ref(owner), weakref.ref(owner.value)]
            del owner

    def test_deleting_lets_the_value_go(self, owner_class: Any) -> None:
        """A deleted value is freed at once."""
        with freed_by_count() as watched:
            owner = owner_class()
            watched.append(weakref.ref(owner.value))
            del owner.value
            assert watched[0]() is None

    def test_from_the_class(self, owner_class: Any) -> None:
        """Access through the class gives the descriptor, with docstring and function."""
        descriptor = owner_class.value
        assert isinstance(descriptor, cached_property)
        assert descriptor.__doc__ == "The docstring."
        assert descriptor.func.__name__ == "value"
        assert descriptor.attrname == "value"
        assert inspect.getdoc(descriptor) == "The docstring."

    def test_address_reuse(self, owner_class: Any) -> None:
        """An instance at the address of a dead one computes for itself."""
        for _ in range(1000):
            owner = owner_class()
            assert owner.value.name == 1
            assert owner.calls == 1

    def test_once_in_many_threads(self, owner_class: Any) -> None:
        """Threads that ask one instance at once compute once and get the same object."""

        class Slow(owner_class):
            __slots__ = ()

            @cached_property
            def slow(self) -> Thing:
                self.calls += 1
                threading.Event().wait(0.03)
                return Thing()

        owner = Slow()
        results: list[Thing] = []
        run_threads(8, lambda _number: results.append(owner.slow))
        assert owner.calls == 1
        assert len({id(result) for result in results}) == 1

    def test_instances_do_not_wait_for_each_other(self, owner_class: Any) -> None:
        """Threads with an instance each compute side by side."""
        barrier = threading.Barrier(3, timeout=20)

        class Slow(owner_class):
            __slots__ = ()

            @cached_property
            def slow(self) -> int:
                return barrier.wait()

        results: list[int] = []
        run_threads(3, lambda _number: results.append(Slow().slow))
        assert sorted(results) == [0, 1, 2]

    def test_exceptions_are_not_kept(self, owner_class: Any) -> None:
        """A failure reaches the caller and the next access tries again."""

        class Failing(owner_class):
            __slots__ = ()

            @cached_property
            def value(self) -> int:
                self.calls += 1
                if self.calls < 3:
                    raise LookupError
                return 5

        owner = Failing()
        for _ in range(2):
            with pytest.raises(LookupError):
                owner.value
        assert owner.value == owner.value == 5
        assert owner.calls == 3

    def test_recursion(self, owner_class: Any) -> None:
        """A property that needs its own value gets a RecursionError."""

        class Endless(owner_class):
            __slots__ = ()

            @cached_property
            def value(self) -> Any:
                return self.value

        for _ in range(2):
            with pytest.raises(RecursionError):
                Endless().value

    def test_copies_of_the_instance(self, owner_class: Any) -> None:
        """A copy of the instance is independent: setting and deleting on one is nothing to the other."""
        owner = owner_class()
        first = owner.value
        twin = copy.copy(owner)
        twin.value = "twin"
        assert owner.value is first
        del twin.value
        assert owner.value is first

    def test_inheritance(self, owner_class: Any) -> None:
        """Subclasses inherit it, and may override it and use super()."""

        class Child(owner_class):
            __slots__ = ()

        class Override(owner_class):
            __slots__ = ()

            @cached_property
            def value(self) -> Any:
                return ("override", super().value)

        child, override = Child(), Override()
        assert child.value is child.value
        assert override.value is override.value
        assert override.value[0] == "override"
        assert override.calls == 1


def test_stored_like_functools() -> None:
    """Where there is a `__dict__`, the value lies there under its name, so that vars() and pickle treat it as any attribute."""
    owner = Plain()
    value = owner.value
    assert vars(owner)["value"] is value
    vars(owner)["value"] = "changed"
    assert owner.value == "changed"


def test_pickle() -> None:
    """A pickled instance has the value with it where functools would."""
    owner = Picklable()
    assert owner.value == [1]
    loaded = pickle.loads(pickle.dumps(owner))
    assert loaded.value == [1]
    assert loaded.calls == 1


class Picklable:
    """A class whose property is picklable."""

    calls = 0

    @cached_property
    def value(self) -> list[int]:
        self.calls += 1
        return [1]


def test_value_that_refers_to_its_instance() -> None:
    """A value that refers back is freed by the collector where there is a `__dict__`."""

    class Owner:
        @cached_property
        def me(self) -> Owner:
            return self

    owner = Owner()
    assert owner.me is owner
    watch = weakref.ref(owner)
    del owner
    gc.collect()
    assert watch() is None


def test_neither_dict_nor_weakref() -> None:
    """An instance that can hold nothing and be watched by nobody is refused with a TypeError that says how to mend it."""

    class Closed:
        __slots__ = ("x",)

        @cached_property
        def value(self) -> int:
            return 1

    with pytest.raises(TypeError, match=r"Closed.*__weakref__|__weakref__.*Closed"):
        Closed().value


def test_two_names() -> None:
    """One property cannot have two names, as in functools."""
    with pytest.raises((TypeError, RuntimeError)) as caught:  # Python 3.11 wraps what __set_name__ raises

        class Owner:
            @cached_property
            def a(self) -> int:
                return 1

            b = a

    error = caught.value.__cause__ or caught.value
    assert isinstance(error, TypeError)
    assert "'a' and 'b'" in str(error)


def test_same_name_in_two_classes() -> None:
    """One property can serve two classes under one name."""
    shared = cached_property(lambda self: (type(self).__name__, id(self)))

    class One:
        value = shared

    class Two:
        value = shared

    one, two = One(), Two()
    assert one.value == ("One", id(one))
    assert two.value == ("Two", id(two))


def test_set_name_not_called() -> None:
    """A property assigned to a class later has no name; access says so."""

    class Owner:
        pass

    Owner.value = cached_property(lambda _self: 1)
    with pytest.raises(TypeError, match="__set_name__"):
        Owner().value


def test_not_callable() -> None:
    """The argument must be callable."""
    with pytest.raises(TypeError, match="callable"):
        cached_property(5)


def test_abstract() -> None:
    """@abstractmethod is seen through it."""

    class Base(abc.ABC):
        @cached_property
        @abc.abstractmethod
        def value(self) -> int: ...

    class Child(Base):
        @cached_property
        def value(self) -> int:
            return 5

    with pytest.raises(TypeError, match="abstract"):
        Base()
    assert Child().value == 5


def test_generic_alias() -> None:
    """cached_property[int] is a type, as in functools."""
    assert cached_property[int].__origin__ is cached_property


def test_coroutines_and_generators() -> None:
    """A generator would be exhausted by its first user: refused, as by @cached."""

    def generator(self: object) -> Any:
        yield 1

    with pytest.raises(TypeError, match="generator"):
        cached_property(generator)


def test_setting_while_computing() -> None:
    """A value set during the computation wins."""

    class Owner:
        @cached_property
        def value(self) -> str:
            self.value = "set"
            return "computed"

    owner = Owner()
    assert owner.value == "set"
    assert owner.value == "set"


def test_with_getattr_and_setattr() -> None:
    """Classes with `__getattr__`, `__setattr__` and `__getattribute__` of their own do not disturb it."""

    class Owner:
        def __getattr__(self, name: str) -> str:
            return f"made up {name}"

        def __setattr__(self, name: str, value: object) -> None:
            raise AttributeError(name)

        @cached_property
        def value(self) -> Thing:
            return Thing()

    owner = Owner()
    assert owner.value is owner.value
    assert owner.other == "made up other"


def test_public_name() -> None:
    """The class says where users find it."""
    assert cached_property.__module__ == "safemem"


def their_tests() -> Any:
    """CPython's own tests of cached_property, pointed at ours."""
    try:
        theirs = importlib.import_module("test.test_functools")
    except ImportError:
        if os.environ.get("CI"):
            raise
        return None
    return theirs


theirs = their_tests()

DIFFERENT = {
    # Ours does work with slots, and needs no writable `__dict__`.
    "test_object_with_slots",
    "test_immutable_dict",
    # The same TypeErrors in words of our own, see test_two_names and test_set_name_not_called.
    "test_reuse_different_names",
    "test_set_name_not_called",
}


@pytest.mark.skipif(theirs is None, reason="this interpreter came without its own tests (the `test` package)")
@pytest.mark.parametrize(
    "name", sorted({name for name in dir(getattr(theirs, "TestCachedProperty", object)) if name.startswith("test_")} - DIFFERENT)
)
def test_cpython(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """CPython's tests of functools.cached_property pass with ours in its place."""
    monkeypatch.setattr(theirs.py_functools, "cached_property", cached_property)
    for item in ("CachedCostItem", "OptionallyCachedCostItem"):
        original = getattr(theirs, item)
        body = {key: value for key, value in vars(original).items() if key not in {"__dict__", "__weakref__", "lock"}}
        for key, value in list(body.items()):
            if type(value).__name__ == "cached_property":
                body[key] = cached_property(value.func)
        monkeypatch.setattr(theirs, item, type(item, (), body))
    case = theirs.TestCachedProperty(name)
    getattr(case, name)()


def test_functools_itself_is_untouched() -> None:
    """The tests above left functools as it was."""
    assert functools.cached_property is not cached_property
