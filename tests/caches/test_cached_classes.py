"""@cached in classes: inheritance, super(), class methods, static methods, special methods, metaclasses, properties."""

from __future__ import annotations

import abc
import gc
import sys
import weakref
from typing import Any, ClassVar

import pytest
from helpers.collect import Thing, classes_are_collected

from safemem import cached


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
        calls: ClassVar[list[str]] = []

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
    assert reference() is None or not classes_are_collected()


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
