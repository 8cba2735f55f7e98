"""A signal declared in a class: one for each instance, that costs nothing unused and dies with it."""

from __future__ import annotations

import copy
import gc
import inspect
import pickle
import pydoc
import sys
import tracemalloc
import weakref
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import pytest
from helpers.collect import freed_by_count
from helpers.listeners import EMITTERS, Emitter, Listener, SlottedEmitter, SlottedUnhashableEmitter, UnhashableEmitter

from safemem import Signal


@pytest.mark.parametrize("kind", EMITTERS)
def test_each_instance_has_its_own(kind):
    """Also those that are equal to each other."""
    one, two = kind(), kind()
    listener = Listener()
    one.changed.connect(listener.hear)
    two.changed.emit(2)
    one.changed.emit(1)
    assert listener.heard == [1]
    assert one.changed is one.changed
    assert one.changed is not two.changed


@pytest.mark.parametrize("kind", EMITTERS)
def test_an_emitter_with_signals_in_use_dies_by_reference_count(kind):
    """With a listener of its own, with its signal, connections and contexts used; the signal itself goes with it."""
    emitter, listener = kind(), Listener()
    connection = emitter.changed.connect(listener.hear)
    emitter.changed.connect(print, priority=1, once=True)
    emitter.changed.connect(lambda value: None, owner=listener, sender=emitter)
    with emitter.changed.muted(), emitter.changed.paused():
        emitter.changed.emit(1)
    emitter.changed.clear()
    emitter.changed.connect(listener.hear)
    emitter.changed.emit(2)
    with freed_by_count() as watched:
        watched += [weakref.ref(emitter), weakref.ref(emitter.changed)]
        del emitter
    assert not connection.connected


def test_an_emitter_that_listens_to_itself_dies_by_reference_count():
    """A bound method of its own is weak."""

    class Self:
        changed: Signal[int] = Signal()

        def __init__(self):
            self.changed.connect(self.hear)

        def hear(self, value):
            self.heard = value

    emitter = Self()
    emitter.changed.emit(5)
    assert emitter.heard == 5
    with freed_by_count() as watched:
        watched.append(weakref.ref(emitter))
        del emitter


@pytest.mark.parametrize("kind", EMITTERS)
def test_what_a_dead_emitter_had_is_let_go(kind):
    """A closure that was connected strongly goes with the emitter."""
    emitter, captured = kind(), Listener()
    emitter.changed.connect(lambda value, held=captured: held)
    with freed_by_count() as watched:
        watched.append(weakref.ref(captured))
        del captured, emitter


def test_an_unused_signal_costs_nothing():
    """Not a byte, and the instance's dictionary is as it was."""

    class Bare:
        pass

    class Declaring:
        one: Signal[int] = Signal()
        two: Signal[int] = Signal()

    def cost(kind):
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        many = [kind() for _ in range(1000)]
        size = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        return size, many

    cost(Bare), cost(Declaring)
    assert abs(cost(Declaring)[0] - cost(Bare)[0]) < 500
    assert vars(Declaring()) == {}


def test_a_used_signal_costs_little():
    """All that there is for one signal and one connection."""

    class Declaring:
        changed: Signal[int] = Signal()

    listener = Listener()
    many = [Declaring() for _ in range(1000)]
    many[0].changed.connect(listener.hear)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for one in many:
        one.changed.connect(listener.hear)
    size = (tracemalloc.get_traced_memory()[0] - before) / len(many)
    tracemalloc.stop()
    assert size < 700


@pytest.mark.parametrize("kind", [SlottedEmitter, SlottedUnhashableEmitter])
def test_a_reused_address_is_another_emitter(kind):
    """Instances without a __dict__ are found by address, and never one for another."""
    addresses = set()
    reused = 0
    kept = []
    while reused < 10:
        emitter = kind()
        reused += id(emitter) in addresses
        addresses.add(id(emitter))
        assert len(emitter.changed) == 0
        emitter.changed.connect(print)
        if len(addresses) % 3 == 0 and len(kept) < 100:
            kept.append(emitter)
        del emitter


def test_an_emitter_that_cannot_be_weakly_referenced_is_refused():
    """With a message that says how to mend its class."""

    class Slotted:
        __slots__ = ()
        changed: Signal[int] = Signal()

    with pytest.raises(TypeError, match=r"an object with signals must be something that can be weakly referenced.*add '__weakref__'"):
        Slotted().changed


# -- copies ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", EMITTERS)
@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda emitter: pickle.loads(pickle.dumps(emitter))], ids=["copy", "deepcopy", "pickle"]
)
def test_a_copied_emitter_has_no_listeners(kind, duplicate):
    """It has a signal of its own; the original keeps its."""
    emitter, listener = kind(), Listener()
    emitter.changed.connect(listener.hear)
    other = duplicate(emitter)
    assert len(other.changed) == 0
    other.changed.emit(1)
    other.changed.connect(listener.hear)
    emitter.changed.emit(2)
    other.changed.emit(3)
    assert listener.heard == [2, 3]


def test_a_copy_keeps_nothing_of_the_original():
    """A closure goes with the emitter that it was connected to, though the copy's dictionary is one of the same."""
    emitter, captured = Emitter(), Listener()
    emitter.changed.connect(lambda value, held=captured: held)
    other = copy.copy(emitter)
    with freed_by_count() as watched:
        watched.append(weakref.ref(captured))
        del captured, emitter
    assert len(other.changed) == 0


def test_an_emitter_that_keeps_a_connection_can_be_copied_and_pickled():
    """The copy's connection has ended, whatever is done with it; the original's has not."""
    emitter, listener = Listener(), Listener()
    changed = Signal()
    emitter.connection = changed.connect(listener.hear)
    for other in (copy.deepcopy(emitter), copy.copy(emitter.connection), pickle.loads(pickle.dumps(emitter))):
        connection = getattr(other, "connection", other)
        assert not connection.connected
        assert connection.receiver is None
        assert not connection.disconnect()
        with connection.block():
            assert "ended" in repr(connection)
    assert emitter.connection.connected


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda signal: pickle.loads(pickle.dumps(signal))], ids=["copy", "deepcopy", "pickle"]
)
def test_a_copied_signal_is_empty(duplicate):
    """It has the name, the doc and the memory for replay, but no receivers, and nothing to replay."""
    changed = Signal(name="changed", doc="what", replay=True)
    changed.connect(print)
    changed.emit("printed")
    other = duplicate(changed)
    assert (other.name, other.doc, len(other)) == ("changed", "what", 0)
    heard = []
    other.connect(heard.append)
    other.emit(2)
    other.connect(heard.append)
    assert heard == [2, 2]


def test_deepcopy_of_what_has_a_signal_as_an_attribute():
    """A signal made in __init__ is copied empty with its object."""
    listener = Listener()
    listener.signal = Signal()
    listener.signal.connect(listener.hear)
    other = copy.deepcopy(listener)
    other.signal.emit(1)
    assert (listener.heard, other.heard) == ([], [])


# -- classes --------------------------------------------------------------------------------------------------------------------------


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


def test_a_signal_outlives_its_emitter_for_whoever_holds_it():
    """It is an ordinary signal then."""
    emitter = Emitter()
    changed = emitter.changed
    heard = []
    changed.connect(heard.append)
    del emitter
    gc.collect()
    changed.emit(1)
    assert heard == [1]


def test_runtime_subscription():
    """Every way to write the parameters makes a signal."""
    for kind in (Signal[int], Signal[int, str], Signal[[]], Signal[...]):
        signal = kind(name="typed")
        assert type(signal) is Signal
        assert signal.name == "typed"


@pytest.mark.parametrize("kind", [Emitter, UnhashableEmitter])
def test_nothing_else_is_in_the_dictionary(kind):
    """One entry for the signal, that says what it is."""
    emitter = kind()
    emitter.changed.connect(print)
    [name] = vars(emitter)
    assert name.startswith("@signal ")
    assert name.endswith(f"{kind.__name__}.changed")


def test_references_are_counted_right():
    """Using a signal of an instance leaves no count behind."""
    emitter, listener = Emitter(), Listener()
    emitter.changed.connect(listener.hear)
    before = sys.getrefcount(emitter), sys.getrefcount(listener)
    for _ in range(100):
        emitter.changed.emit(1)
        emitter.changed.connect(listener.hear).disconnect()
    listener.heard.clear()
    assert (sys.getrefcount(emitter), sys.getrefcount(listener)) == before
