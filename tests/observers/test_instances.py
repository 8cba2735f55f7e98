"""Signals of instances: one for each, that dies with it and costs nothing before it is used."""

from __future__ import annotations

import gc
import sys
import tracemalloc
import weakref

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
