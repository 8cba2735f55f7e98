"""Observable: what counts as a change, and what observers are told, in classes of all kinds."""

from __future__ import annotations

from dataclasses import dataclass, field

import attrs
import pytest
from helpers.listeners import Listener

from safemem import CycleWarning, Observable

MISSING = Observable.MISSING


class Plain(Observable):
    x: int = 0
    y: int


class Slotted(Observable):
    __slots__ = ("__weakref__", "x", "y")
    x: int
    y: int

    def __init__(self):
        self.x = 0


class Bare(Observable):
    """Cannot be weakly referenced."""

    __slots__ = ("x", "y")
    x: int
    y: int

    def __init__(self):
        self.x = 0


class DictOnly(Observable):
    """Has a __dict__, and cannot be weakly referenced."""

    __slots__ = ("__dict__",)
    x: int
    y: int

    def __init__(self):
        self.x = 0


@dataclass
class Data(Observable):
    x: int = 0
    y: int = field(default=0, init=False)


@dataclass(slots=True, weakref_slot=True)
class SlottedData(Observable):
    x: int = 0
    y: int = 0


@dataclass(slots=True)
class BareData(Observable):
    x: int = 0
    y: int = 0


@attrs.define
class Attrs(Observable):
    x: int = 0
    y: int = 0


@attrs.define(slots=False, eq=False)
class AttrsDict(Observable):
    x: int = 0
    y: int = 0


class Inheriting(Plain):
    z: int = 0


class Refined(Slotted):
    """A slotted class whose subclass has a __dict__."""

    z: int = 0


class Unequal(Observable):
    """Compares in its own way, and has no hash."""

    x: int = 0
    y: int = 0

    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    __hash__ = None  # type: ignore[assignment]


class Guarded(Observable):
    """Has a __setattr__ and a __delattr__ of its own."""

    x: int = 0
    y: int = 0

    def __setattr__(self, name, value):
        super().__setattr__(name, value)

    def __delattr__(self, name):
        super().__delattr__(name)


KINDS = [Plain, Slotted, Bare, DictOnly, Data, SlottedData, BareData, Attrs, AttrsDict, Inheriting, Refined, Unequal, Guarded]


@pytest.mark.parametrize("kind", KINDS)
def test_a_change_is_told(kind):
    """With the name of the field, its old value and its new one; other fields and other instances are not heard."""
    obj, other, listener = kind(), kind(), Listener()
    obj.observe("x", listener.hear)
    obj.x = 1
    other.x = obj.y = 5
    obj.x = 3
    assert listener.heard == [("x", 0, 1), ("x", 1, 3)]
    assert (obj.x, obj.y, other.x) == (3, 5, 5)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_change_is_not_told(kind):
    """The same object, or an equal one; it is assigned all the same."""
    obj, listener = kind(), Listener()
    obj.observe("x", listener.hear)
    obj.x = 0
    obj.x = 0.0
    assert listener.heard == []
    assert type(obj.x) is float


@pytest.mark.parametrize("kind", [Plain, Slotted, Bare, DictOnly, Unequal, Guarded, Refined])
def test_assignment_to_nothing_and_deletion(kind):
    """MISSING is the value of a field that has none; deleting what is not there fails as ever, and is not told."""
    obj, listener = kind(), Listener()
    if hasattr(obj, "y"):
        del kind.y
    obj.observe("y", listener.hear)
    obj.y = 1
    del obj.y
    with pytest.raises(AttributeError):
        del obj.y
    obj.y = 1
    assert listener.heard == [("y", MISSING, 1), ("y", 1, MISSING), ("y", MISSING, 1)]
    if kind in {Unequal, Guarded}:
        kind.y = 0


def test_a_default_of_the_class_is_a_value():
    """It is the old one at the first assignment, and what `del` leads back to; if it is equal nothing has changed."""
    obj, listener = Plain(), Listener()
    obj.observe("x", listener.hear)
    obj.x = 0
    del obj.x
    obj.x = 1
    del obj.x
    assert listener.heard == [("x", 0, 1), ("x", 1, 0)]


def test_missing_says_what_it_is():
    """In messages and in logs."""
    assert repr(MISSING) == str(MISSING) == "Observable.MISSING"


def test_setattr_and_delattr_of_the_builtins():
    """They are assignments like others."""
    obj, listener = Plain(), Listener()
    obj.observe("y", listener.hear)
    setattr(obj, "y", 1)  # noqa: B010
    delattr(obj, "y")
    assert listener.heard == [("y", MISSING, 1), ("y", 1, MISSING)]


# -- classes that have something to say about assignment ------------------------------------------------------------------------------


def test_a_frozen_class_stays_so():
    """The error is that of the class, and nobody is told."""

    @dataclass(frozen=True)
    class Frozen(Observable):
        x: int = 0

    @attrs.frozen
    class FrozenAttrs(Observable):
        x: int = 0

    for kind in (Frozen, FrozenAttrs):
        obj, listener = kind(), Listener()
        obj.observe("x", listener.hear)
        with pytest.raises(AttributeError):
            obj.x = 1
        with pytest.raises(AttributeError):
            del obj.x
        assert obj.x == 0
        assert listener.heard == []
        assert hash(kind()) == hash(kind())


def test_what_a_class_makes_of_a_value_is_told():
    """A converter of attrs, a `__setattr__`; what it refuses is not told."""

    @attrs.define
    class Converting(Observable):
        x: int = attrs.field(default=0, converter=int, validator=attrs.validators.ge(0))

    class Rounding(Observable):
        x: int = 0

        def __setattr__(self, name, value):
            if float(value) < 0:
                raise ValueError(value)
            super().__setattr__(name, int(value))

    for kind in (Converting, Rounding):
        obj, listener = kind(), Listener()
        obj.observe("x", listener.hear)
        obj.x = "5"
        obj.x = 5.5
        with pytest.raises(ValueError, match="-1"):
            obj.x = -1
        assert listener.heard == [("x", 0, 5)]
        assert obj.x == 5


def test_a_base_and_a_subclass_are_observed():
    """In either order, each having a `__setattr__` of its own or not: a change is told once, and each `__setattr__` runs once."""
    for own_base in (False, True):
        for own_sub in (False, True):
            for base_first in (False, True):
                runs = []

                def setter(kind, runs=runs):
                    def __setattr__(self, name, value):
                        runs.append(kind().__name__)
                        super(kind(), self).__setattr__(name, value)

                    return __setattr__

                class Base(Observable):
                    x: int = 0

                class Sub(Base):
                    pass

                if own_base:
                    Base.__setattr__ = setter(lambda cls=Base: cls)
                if own_sub:
                    Sub.__setattr__ = setter(lambda cls=Sub: cls)
                listener = Listener()
                objects = [Base(), Sub()] if base_first else [Sub(), Base()]
                for obj in objects:
                    obj.observe("x", listener.hear)
                for obj in [*objects, Base(), Sub()]:
                    runs.clear()
                    obj.x = 1
                    expected = ["Sub"] * (own_sub and type(obj) is Sub) + ["Base"] * own_base
                    assert runs == expected
                assert listener.heard == [("x", 0, 1)] * 2


def test_a_mixin_between_a_class_and_its_observed_base_is_called():
    """The method resolution order of the subclass counts, not that of the base that was observed."""

    class Base(Observable):
        x: int = 0

    class Upper:
        def __setattr__(self, name, value):
            super().__setattr__(name, value.upper() if isinstance(value, str) else value)

    class Sub(Base, Upper):
        pass

    Base().observe("x", print)
    obj, listener = Sub(), Listener()
    obj.x = "a"
    assert obj.x == "A"
    obj.observe("x", listener.hear)
    obj.x = "b"
    assert listener.heard == [("x", "A", "B")]


def test_getattr_of_a_class_is_not_asked():
    """Values are read past `__getattr__` and `__getattribute__`."""

    class Eager(Observable):
        x: int

        def __getattr__(self, name):
            if name == "x":
                raise RuntimeError(name)
            raise AttributeError(name)

    obj, listener = Eager(), Listener()
    obj.observe("x", listener.hear)
    obj.x = 1
    assert listener.heard == [("x", MISSING, 1)]


# -- connections ----------------------------------------------------------------------------------------------------------------------


def test_options_are_those_of_a_signal():
    """once, priority, owner and weak; the connection knows its source line."""
    obj, order = Plain(), []
    owner, kept = Listener(), Listener()
    obj.observe("x", lambda *told: order.append("low"), priority=-1)
    connection = obj.observe("x", lambda *told: order.append("once"), once=True)
    obj.observe("x", lambda *told: order.append("owned"), owner=owner)
    obj.observe("x", kept.hear, weak=False)
    obj.observe("x", lambda *told: order.append("high"), priority=1)
    assert "test_observable.py:" in connection.where
    heard = kept.heard
    del kept
    obj.x = 1
    assert order == ["high", "once", "owned", "low"]
    assert not connection.connected
    del owner, order[:]
    obj.x = 2
    assert order == ["high", "low"]
    assert heard == [("x", 0, 1), ("x", 1, 2)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_bound_method_is_weak(kind):
    """The connection ends with its object."""
    obj, listener = kind(), Listener()
    connection = obj.observe("x", listener.hear)
    del listener
    assert not connection.connected
    obj.x = 1
    assert obj.x == 1


def test_what_is_dead_on_arrival_warns():
    """A method of an object that nobody holds, or a function that is to be held weakly; not one that somebody holds."""
    obj, listener = Plain(), Listener()
    with pytest.warns(RuntimeWarning, match="gone as soon as it is connected"):
        obj.observe("x", Listener().hear)
    with pytest.warns(RuntimeWarning, match="gone as soon as it is connected"):
        obj.observe("x", lambda *told: None, weak=True)
    obj.observe("x", listener.hear, weak=True)
    obj.x = 1
    assert listener.heard == [("x", 0, 1)]


def test_disconnecting():
    """Ends it, also as a context manager and for a while."""
    obj, listener = Plain(), Listener()
    with obj.observe("x", listener.hear) as connection:
        obj.x = 1
        with connection.block():
            obj.x = 2
    obj.x = 3
    assert listener.heard == [("x", 0, 1)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_closure_over_the_instance_warns(kind):
    """It would be kept alive."""
    obj = kind()
    with pytest.warns(CycleWarning, match="variable 'obj'"):
        connection = obj.observe("x", lambda *told: obj)
    connection.disconnect()


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((5, print), {}, TypeError, "name must be a str, got 5"),
        ((None, print), {}, TypeError, "name must be a str, got None"),
        (("x", 5), {}, TypeError, "receiver must be callable, got 5"),
        (("x", print), {"priority": "x"}, TypeError, "priority must be an int, got 'x'"),
        (("x", print), {"once": 1}, TypeError, "once must be True or False, got 1"),
        (("x", print), {"weak": 1}, TypeError, "weak must be True, False or None, got 1"),
        (("x", print), {"owner": 5}, TypeError, "owner must be something that can be weakly referenced"),
        (("x", print), {"sender": 5}, TypeError, "unexpected keyword argument 'sender'"),
    ],
)
def test_wrong_arguments(arguments, options, error, message):
    """An error that names the argument, the rule and the offender; the instance and its class are as they were."""

    class Fresh(Observable):
        x: int = 0

    obj = Fresh()
    with pytest.raises(error, match=message):
        obj.observe(*arguments, **options)
    assert vars(obj) == {}
    assert "__setattr__" not in vars(Fresh)


def test_a_coroutine_function_is_refused():
    """No assignment could await it."""

    async def receiver(name, old, new): ...

    with pytest.raises(TypeError, match="receiver must not be a coroutine function, which an assignment cannot await"):
        Plain().observe("x", receiver)


def test_failures_come_as_one_group_after_the_assignment():
    """All observers are called, each failure names its observer and the field; a BaseException is raised at once."""
    obj, listener = Plain(), Listener("name")
    obj.observe("x", listener.fail)
    obj.observe("x", listener.hear)
    obj.observe("x", listener.fail)
    with pytest.raises(ExceptionGroup, match=r"2 receivers of signal Plain\.x failed") as caught:
        obj.x = 1
    assert obj.x == 1
    assert listener.heard == [("x", 0, 1)]
    assert "Listener.fail, connected at " in caught.value.exceptions[0].__notes__[0]

    def interrupt(*told):
        raise KeyboardInterrupt

    obj.observe("x", interrupt, priority=1)
    with pytest.raises(KeyboardInterrupt):
        obj.x = 2
    assert obj.x == 2
    assert len(listener.heard) == 1
