"""Teaching `sizeof`: functions for types and names of types, `__safemem_size__`, what goes first, and what is refused."""

from __future__ import annotations

import abc
import sys
import types

import pytest

from safemem.memory import kinds, registry
from safemem.memory.sizeof import sizeof


@pytest.fixture(autouse=True)
def forget():
    """What a test registers is gone after it."""
    before = dict(registry._by_type), dict(registry._by_name), set(kinds.LEAVES), set(kinds.QUIET), set(kinds.CHANGED)
    yield
    for now, then in zip((registry._by_type, registry._by_name, kinds.LEAVES, kinds.QUIET, kinds.CHANGED), before, strict=True):
        now.clear()
        now.update(then)
    kinds._plans.clear()


def made_in(module: str, name: str, *bases: type) -> type:
    """A class that says it was made in a module."""
    return type(name, bases, {"__module__": module})


BOTH = pytest.mark.parametrize("exact", [False, True])


class Base:
    def __init__(self) -> None:
        self.data = bytes(1000)


class Derived(Base):
    pass


@BOTH
def test_type(exact):
    """The function says all of it, for derived types too, alone and within others."""
    sizeof.register(Base, lambda obj: 7_000_000)
    assert sizeof(Base(), exact=exact) == 7_000_000
    assert sizeof(Derived(), exact=exact) == 7_000_000
    assert 14_000_000 < sizeof([Base(), {"x": Derived()}], exact=exact) < 14_001_000


def test_after_it_was_met():
    """A type that was measured before is measured anew."""
    before = sizeof(Derived())
    sizeof.register(Base, lambda obj: 5)
    sizeof.register(Derived, lambda obj: 6)
    assert (before > 1000, sizeof(Base()), sizeof(Derived())) == (True, 5, 6)
    sizeof.register(Derived, lambda obj: 8)
    assert sizeof(Derived()) == 8


def test_decorator():
    """It returns the function."""

    @sizeof.register(Base)
    def size_of_base(obj):
        return len(obj.data)

    @sizeof.register("somewhere.Thing")
    def size_of_thing(obj):
        return 1

    assert size_of_base(Base()) == sizeof(Base()) == 1000
    assert size_of_thing(None) == 1


@pytest.mark.parametrize("name", ["package.inner.module.Thing", "package.inner.Thing", "package.Thing"])
@BOTH
def test_name(name, exact):
    """The module of a class, or a package around it; nothing is imported."""
    sizeof.register(name, lambda obj: 4000)
    assert sizeof([made_in("package.inner.module", "Thing")()], exact=exact) > 4000
    derived = made_in("elsewhere", "Other", made_in("package.inner.module", "Thing"))
    assert sizeof(derived(), exact=exact) == 4000
    for other in (made_in("package2.inner", "Thing"), made_in("package.inner.module", "Thing2"), made_in("inner.module", "Thing")):
        assert sizeof(other(), exact=exact) < 1000
    assert "package" not in sys.modules


@BOTH
def test_hook(exact):
    """`__safemem_size__` says all of it, and is inherited."""

    class Buffer:
        def __init__(self):
            self.data = bytes(10_000)

        def __safemem_size__(self):
            return 123

    class Smaller(Buffer):
        pass

    assert sizeof(Buffer(), exact=exact) == sizeof(Smaller(), exact=exact) == 123
    assert sizeof((Buffer(), Smaller()), exact=exact) == 246 + sys.getsizeof((1, 2))
    assert sizeof(Buffer, exact=exact) == sys.getsizeof(Buffer)


def test_hook_of_an_instance_is_none():
    """As all special methods, it is looked for in the class, and an instance cannot pretend."""
    obj = types.SimpleNamespace(__safemem_size__=lambda: 1 / 0)
    assert sizeof(obj) > 0


def test_nearest_class_counts():
    """Function or method, the class that comes first in the order of inheritance; in one class, the function."""

    class First:
        def __safemem_size__(self):
            return 1

    class Second(First):
        pass

    class Third(Second):
        def __safemem_size__(self):
            return 3

    sizeof.register(Second, lambda obj: 2)
    assert [sizeof(cls()) for cls in (First, Second, Third)] == [1, 2, 3]
    sizeof.register(Third, lambda obj: 4)
    assert sizeof(Third()) == 4


def test_builtin_types():
    """They can be taught as well, what is a value and what was nothing included."""
    sizeof.register(dict, lambda obj: 10)
    sizeof.register(str, lambda obj: 100)
    sizeof.register(types.FunctionType, lambda obj: 1000)
    found = [{}, "abc", forget_nothing]
    assert sizeof({"a": 1}) == 10
    for exact in (False, True):
        assert sizeof(found, exact=exact) == sys.getsizeof(found) + 1110


def forget_nothing() -> None:
    """A function to be measured."""


def test_abstract_classes_do_not_count():
    """Only inheritance does: asking an abstract class would run its code."""

    class Sized(abc.ABC):
        @abc.abstractmethod
        def __len__(self): ...

    Sized.register(Base)
    sizeof.register(Sized, lambda obj: 1)
    assert sizeof(Base()) > 1000


@BOTH
def test_function_measures_parts(exact):
    """It may call `sizeof` itself."""
    sizeof.register(Base, lambda obj: 50 + sizeof(obj.data))
    assert sizeof(Base(), exact=exact) == 50 + sys.getsizeof(bytes(1000))


def test_bad_answers():
    """Anything but a size is refused, naming the class."""
    for answer, error, text in ((-1, ValueError, "-1"), (1.5, TypeError, "1.5"), ("x", TypeError, "'x'"), (None, TypeError, "None")):
        sizeof.register(Base, lambda obj, answer=answer: answer)
        for obj in (Base(), [Derived()]):
            with pytest.raises(error, match=rf"the size of .*(Base|Derived) must be an int >= 0, got {text}"):
                sizeof(obj)


def test_errors_of_a_function_reach_the_caller():
    """As they are."""
    sizeof.register(Base, lambda obj: {}["missing"])
    for obj in (Base(), {1: [Derived()]}):
        with pytest.raises(KeyError, match="missing"):
            sizeof(obj)


def test_a_hook_that_is_no_method():
    """It is said which class has it."""
    cls = type("Odd", (), {"__safemem_size__": 5})
    with pytest.raises(TypeError, match=r"Odd\.__safemem_size__ must be a method, got int"):
        sizeof(cls())


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (5, TypeError),
        (None, TypeError),
        ([], TypeError),
        ("Thing", ValueError),
        ("", ValueError),
        ("a.b c", ValueError),
        ("a..b", ValueError),
    ],
)
def test_bad_kinds(kind, error):
    """Only types and names of types, and those with a module."""
    with pytest.raises(error, match="type must be"):
        sizeof.register(kind, lambda obj: 1)


def test_bad_functions():
    """Only what can be called."""
    with pytest.raises(TypeError, match="func must be callable, got 5"):
        sizeof.register(Base, 5)
    assert sizeof(Base()) > 1000
