"""Signals as class attributes: inheritance, dataclasses, protocols, subclasses, and what inspection shows."""

from __future__ import annotations

import copy
import inspect
import pickle
import pydoc
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import pytest
from helpers.listeners import Emitter, Listener

from safemem import Signal


def test_inheritance_and_overriding():
    """A subclass has the signals of its base; one that it declares anew is another one, and both can be had."""

    class Base:
        changed: Signal[int] = Signal()
        closed: Signal[[]] = Signal()

    class Derived(Base):
        changed: Signal[int] = Signal()

        def base_changed(self):
            return super().changed

    derived = Derived()
    heard = []
    derived.changed.connect(lambda value: heard.append(("derived", value)))
    derived.base_changed().connect(lambda value: heard.append(("base", value)))
    derived.closed.connect(lambda: heard.append("closed"))
    derived.changed.emit(1)
    derived.base_changed().emit(2)
    derived.closed.emit()
    assert heard == [("derived", 1), ("base", 2), "closed"]
    assert (Base.changed.name, repr(Derived.changed)) == ("changed", f"<Signal {Derived.__qualname__}.changed, declaration>")


def test_a_class_of_the_same_name_has_its_own():
    """Also if it derives from the other, as when a module is run again."""

    def make(base):
        class Emitting(base):
            changed: Signal[int] = Signal()

        return Emitting

    first = make(object)
    second = make(first)
    emitter = second()
    one, two = first.changed.__get__(emitter), emitter.changed
    assert one is not two
    assert one is first.changed.__get__(emitter)
    assert two is emitter.changed


def test_a_declaration_cannot_be_used():
    """That of the class is nobody's signal, and says so."""
    assert Emitter.changed is vars(Emitter)["changed"]
    for use in (
        lambda: Emitter.changed.emit(1),
        lambda: Emitter.changed.send(1),
        lambda: Emitter.changed.emit_from(None, 1),
        lambda: Emitter.changed.connect(print),
        lambda: Emitter.changed.receiver(print),
        lambda: Emitter.changed.disconnect(print),
        lambda: Emitter.changed.connections(),
        lambda: Emitter.changed.clear(),
        lambda: Emitter.changed.muted(),
        lambda: Emitter.changed.paused(),
        lambda: Emitter.changed.wait(0),
    ):
        with pytest.raises(TypeError, match=r"signal Emitter.changed is a declaration, each instance has a signal of its own"):
            use()


def test_a_declaration_is_empty():
    """Tools that look at classes ask for its length and truth."""
    assert not Emitter.changed
    assert len(Emitter.changed) == 0


def test_a_signal_cannot_be_replaced():
    """An assignment by mistake would cut off every listener."""
    emitter = Emitter()
    with pytest.raises(AttributeError, match=r"signal Emitter.changed cannot be replaced, got 5"):
        emitter.changed = 5
    emitter.changed = emitter.changed


def test_a_dataclass_may_declare_signals():
    """As a class variable, or by the plain annotation, which makes a field of it."""

    @dataclass
    class Account:
        balance: int
        changed: ClassVar[Signal[int]] = Signal()

    @dataclass(frozen=True, eq=False)
    class Frozen:
        balance: int
        changed: Signal[int] = Signal()  # noqa: RUF009 - as people will write it

    @dataclass(slots=True, weakref_slot=True)
    class Slotted:
        balance: int
        changed: ClassVar[Signal[int]] = Signal()

    for kind in (Account, Slotted, Frozen):
        one, two = kind(1), kind(1)
        heard = []
        one.changed.connect(heard.append)
        two.changed.emit(2)
        one.changed.emit(1)
        assert heard == [1]
    assert Account(1) == Account(1)


def test_protocols():
    """An emitter fits a protocol that asks for its signal."""

    @runtime_checkable
    class Emits(Protocol):
        changed: Signal[int]

    assert isinstance(Emitter(), Emits)
    assert not isinstance(Listener(), Emits)


def test_a_signal_put_into_a_class_later():
    """Works all the same."""

    class Late:
        pass

    Late.changed = Signal(name="late")
    one, two = Late(), Late()
    heard = []
    one.changed.connect(heard.append)
    two.changed.emit(2)
    one.changed.emit(1)
    assert heard == [1]


def test_a_metaclass_may_declare_signals():
    """Classes are emitters then."""

    class Meta(type):
        made: Signal[str] = Signal()

    class One(metaclass=Meta):
        pass

    class Two(One):
        pass

    heard = []
    One.made.connect(heard.append)
    Two.made.emit("two")
    One.made.emit("one")
    assert heard == ["one"]


def test_a_class_that_intercepts_its_attributes():
    """Neither __getattr__ nor __setattr__ of the user's is called for the signal."""

    class Guarded:
        changed: Signal[int] = Signal()

        def __getattr__(self, name):
            raise AssertionError(name)

        def __setattr__(self, name, value):
            raise AssertionError(name)

    emitter = Guarded()
    heard = []
    emitter.changed.connect(heard.append)
    emitter.changed.emit(1)
    assert heard == [1]


def test_a_subclass_of_signal():
    """Every instance's signal is of its kind."""

    class Loud(Signal):
        __slots__ = ()

        def shout(self, text):
            self.emit(text.upper())

    class Speaker:
        said: Loud = Loud()

    speaker = Speaker()
    heard = []
    speaker.said.connect(heard.append)
    speaker.said.shout("hello")
    assert heard == ["HELLO"]
    assert type(copy.copy(speaker.said)) is Loud


class Labelled(Signal):
    """Takes an argument, and has attributes."""

    def __new__(cls, label):
        return super().__new__(cls)

    def __init__(self, label):
        super().__init__(name="labelled")
        self.label = label


class Uninitialised(Signal):
    """Does not do what it should."""

    __slots__ = ()

    def __init__(self, *_options):
        """Leave out the base's."""


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda signal: pickle.loads(pickle.dumps(signal))], ids=["copy", "deepcopy", "pickle"]
)
def test_a_subclass_with_arguments_and_attributes(duplicate):
    """The signals of instances, and copies, have the attributes, and are made without calling anything of the subclass."""

    class Speaker:
        said: Labelled = Labelled(["loud"])

    one, two, heard = Speaker(), Speaker(), []
    assert one.said.label is two.said.label is Speaker.said.label
    one.said.label = "quiet"
    assert two.said.label == ["loud"]
    two.said.connect(heard.append)
    other = duplicate(two.said)
    assert (other.label, other.name, len(other), type(other)) == (["loud"], "labelled", 0, Labelled)
    assert (other.label is two.said.label) == (duplicate is copy.copy)
    two.said.emit(1)
    assert heard == [1]


def test_a_subclass_that_does_not_call_the_base():
    """Works; each declaration still has the name of its own attribute."""

    class Speaker:
        one: Uninitialised = Uninitialised(1)
        two: Uninitialised = Uninitialised(2)

    alone, speaker, heard = Uninitialised(), Speaker(), []
    for changed in (alone, speaker.one, speaker.two, copy.copy(alone)):
        connection = changed.connect(heard.append)
        assert connection.connected
        changed.emit(1)
        changed.connect(Listener().fail, weak=False)
        with pytest.raises(ExceptionGroup, match="1 receiver of"):
            changed.emit(2)
    assert heard == [1, 2] * 4
    assert "without a name" in repr(alone)
    assert (speaker.one.name, speaker.two.name, alone.name) == ("one", "two", None)


def test_what_inspection_shows():
    """Names, documentation, kind, and who is connected."""

    class Documented:
        changed: Signal[int] = Signal(doc="Emitted with the new value.")

    emitter = Documented()
    title = Documented.__qualname__
    assert repr(Documented.changed) == f"<Signal {title}.changed, declaration>"
    assert repr(emitter.changed) == f"<Signal {title}.changed of Documented at {id(emitter):#x}, 0 receivers>"
    assert inspect.getdoc(emitter.changed) == "Emitted with the new value."
    assert inspect.isdatadescriptor(vars(Documented)["changed"])
    assert "Emitted with the new value." in pydoc.plain(pydoc.render_doc(Documented))
    assert inspect.getdoc(Signal()) == inspect.getdoc(Signal)
    assert "Thermometer" in Signal.__doc__
    signal = emitter.changed
    del emitter
    assert "of nobody any more" in repr(signal)
    assert repr(Signal()) == "<Signal without a name, 0 receivers>"
    assert repr(Signal(name="started")) == "<Signal 'started', 0 receivers>"
    assert list(inspect.signature(Signal.connect).parameters) == ["self", "receiver", "owner", "sender", "once", "priority", "weak"]
    assert list(inspect.signature(Signal.receiver).parameters)[2:] == ["owner", "sender", "once", "priority", "weak"]
