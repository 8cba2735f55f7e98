"""What other libraries of signals were seen to do wrong, each shown not to happen here."""

from __future__ import annotations

import asyncio
import copy
import functools
import gc
import random
import sys
import threading
import time
import weakref

import pytest
from helpers.collect import freed_by_count, no_cyclic_garbage
from helpers.listeners import Emitter, Listener, SlottedEmitter
from helpers.recorder import unraisable
from helpers.threads import run_threads

from safemem import CycleWarning, Signal


def test_lambdas_closures_and_partials_do_not_die_silently():
    """blinker, Django and PyDispatcher keep them for no time at all."""
    changed = Signal()
    heard = []
    changed.connect(lambda value: heard.append(1))
    changed.connect(functools.partial(heard.append))
    changed.connect(heard.append)
    gc.collect()
    changed.emit(2)
    assert heard == [1, 2, 2]


def test_a_strong_lambda_that_captures_its_emitter_is_not_silent():
    """psygnal, traits and traitlets keep the emitter for ever and say nothing."""
    emitter = Emitter()
    with pytest.warns(CycleWarning, match="'emitter'"):
        emitter.changed.connect(lambda value: emitter)


def test_a_partial_of_a_method_does_not_pin_its_arguments_silently():
    """psygnal unwraps the method, and holds the arguments."""
    emitter = Emitter()
    with pytest.warns(CycleWarning, match="an argument of the partial"):
        emitter.changed.connect(functools.partial(Listener.hear, emitter))


def test_partials_of_one_function_are_different_receivers():
    """psygnal takes them for one, and disconnects one for another."""
    changed = Signal()
    heard = []
    one, two = functools.partial(heard.append, 1), functools.partial(heard.append, 2)
    changed.connect(one)
    changed.connect(two)
    assert not changed.disconnect(functools.partial(heard.append, 1))
    changed.disconnect(two)
    changed.emit()
    assert heard == [1]


def test_a_temporary_callable_object_does_not_die_silently():
    """blinker and psygnal hold it weakly."""

    class Receiver:
        def __call__(self, value):
            heard.append(value)

    heard = []
    changed = Signal()
    changed.connect(Receiver())
    changed.emit(1)
    assert heard == [1]


def test_a_builtin_method_does_not_die_at_once():
    """blinker loses `[].append`."""
    changed = Signal()
    heard = []
    changed.connect(heard.append)
    changed.emit(1)
    assert heard == [1]


def test_the_order_is_that_of_connection():
    """blinker's is that of a set."""
    changed = Signal()
    called = []
    for number in range(50):
        changed.connect(functools.partial(called.append, number))
    changed.emit()
    assert called == list(range(50))


def test_one_failing_receiver_does_not_stop_the_rest():
    """blinker, psygnal, traitlets and reactivex stop at the first."""
    changed = Signal()
    bad, good = Listener(), Listener()
    changed.connect(bad.fail)
    changed.connect(good.hear)
    with pytest.raises(ExceptionGroup):
        changed.emit(1)
    assert good.heard == [1]


def test_an_inner_mute_does_not_unmute_the_outer():
    """blinker's does."""
    changed = Signal()
    listener = Listener()
    changed.connect(listener.hear)
    with changed.muted():
        with changed.muted():
            pass
        changed.emit(1)
    assert listener.heard == []


def test_pauses_made_before_they_are_entered_overlap():
    """psygnal emits while the outer one is still blocking."""
    changed = Signal()
    listener = Listener()
    changed.connect(listener.hear)
    one, two = changed.paused(), changed.paused()
    with one:
        with two:
            changed.emit(1)
        assert listener.heard == []
    assert listener.heard == [1]


def test_what_is_kept_while_paused_can_be_bounded():
    """psygnal's queue cannot."""
    changed = Signal()
    with changed.paused(limit=3) as pause:
        for number in range(100):
            changed.emit(number)
        assert len(pause._holds[0]._items) == 3


def test_a_temporary_connection_ends_only_itself():
    """blinker's connected_to() kills an older connection of the same receiver."""
    changed = Signal()
    listener = Listener()
    changed.connect(listener.hear, sender=listener)
    with changed.connect(listener.hear, sender=changed):
        pass
    changed.emit_from(listener, 1)
    assert listener.heard == [1]


def test_a_lambda_can_be_disconnected():
    """Others return no handle."""
    changed = Signal()
    connection = changed.connect(lambda value: None)
    assert connection.disconnect()
    assert not changed


def test_one_disconnected_during_an_emission_is_not_called():
    """psygnal, Django and traitlets still call it."""
    changed = Signal()
    listener = Listener()
    connection = changed.connect(listener.hear, priority=-1)
    changed.connect(lambda value: connection.disconnect())
    changed.emit(1)
    assert listener.heard == []


def test_disconnecting_oneself_does_not_skip_the_next():
    """PyDispatcher does."""
    changed = Signal()
    listener = Listener()
    mine = changed.connect(lambda value: mine.disconnect())
    changed.connect(listener.hear)
    changed.emit(1)
    assert listener.heard == [1]


def test_recursion_loses_no_emission_after_an_error():
    """psygnal's queue of nested emissions is dropped with the first error."""
    changed = Signal()
    listener = Listener()

    def receiver(value):
        if value == 1:
            changed.emit(2)
            changed.emit(3)
        if value == 2:
            raise ValueError

    changed.connect(receiver)
    changed.connect(listener.hear)
    with pytest.raises(ExceptionGroup):
        changed.emit(1)
    # The error in the emission of 2 came out of the receiver that emitted it, which therefore never emitted 3.
    assert listener.heard == [2, 1]


def test_a_receiver_that_dies_during_an_emission_raises_nothing():
    """psygnal raised ReferenceError, or still does from its queue."""
    changed = Signal()
    holder = [Listener()]
    changed.connect(holder[0].hear, priority=-1)
    changed.connect(lambda value: holder.clear())
    changed.emit(1)
    with changed.paused():
        holder.append(Listener())
        changed.connect(holder[0].hear)
        changed.emit(1)
        holder.clear()
    assert len(changed) == 1


def test_a_dead_receiver_is_not_called():
    """Django dereferences all before it calls the first, so that one that is dropped meanwhile is called."""
    changed = Signal()
    holder = [Listener()]
    heard = holder[0].heard
    changed.connect(lambda value: holder.clear())
    changed.connect(holder[0].hear)
    changed.emit(1)
    assert heard == []


def test_threads_and_the_collector_raise_nothing():
    """blinker's weakref callbacks raise "dictionary changed size" where nobody catches it."""
    changed = Signal()
    threshold = gc.get_threshold()

    class Cyclic(Listener):
        def __init__(self):
            super().__init__()
            self.me = self

    def work(number):
        for _ in range(200):
            listener = Cyclic()
            changed.connect(listener.hear)
            del listener
            changed.emit(1)

    gc.set_threshold(50)
    try:
        with unraisable() as caught:
            run_threads(4, work)
            gc.collect()
    finally:
        gc.set_threshold(*threshold)
    assert caught == []
    assert len(changed) == 0


def test_a_new_list_does_not_get_another_lists_signal():
    """blinker keys what cannot be weakly referenced by id() and never cleans up; here it is refused."""
    changed = Signal()
    with pytest.raises(TypeError, match="sender must be something that can be weakly referenced, got an object of type list"):
        changed.connect(print, sender=[])


@pytest.mark.parametrize("sender", [0, False, "text"])
def test_odd_senders_are_refused_with_a_message(sender):
    """blinker fails with a bare AssertionError, or takes a number for an id."""
    with pytest.raises(TypeError, match="sender must be something that can be weakly referenced, got an object of type"):
        Signal().connect(print, sender=sender)


def test_a_number_that_is_the_id_of_a_sender_is_not_that_sender():
    """For blinker it is."""
    changed = Signal()
    listener = Listener()
    changed.connect(listener.hear, sender=listener)
    changed.emit_from(id(listener), 1)
    assert listener.heard == []


def test_an_address_that_comes_again_is_another_sender():
    """PyDispatcher and Django deliver to the receivers of the dead one."""
    changed = Signal()
    heard = []
    addresses = set()
    found = False
    while not found:
        sender = Listener()
        found = id(sender) in addresses
        changed.emit_from(sender, 1)
        addresses.add(id(sender))
        changed.connect(heard.append, sender=sender)
        del sender
    assert heard == []


def test_a_strong_receiver_of_a_dead_sender_is_let_go():
    """blinker keeps it for ever."""
    changed = Signal()
    sender, captured = Listener(), Listener()
    changed.connect(functools.partial(print, captured), sender=sender)
    with freed_by_count() as watched:
        watched.append(weakref.ref(captured))
        del captured, sender


def test_senders_leave_nothing_behind():
    """A thousand of them leave a thousand empty buckets in blinker."""
    changed = Signal()
    for _ in range(1000):
        sender = Listener()
        changed.connect(print, sender=sender)
        changed.emit_from(sender)
        del sender
    assert len(changed._links) < 20


def test_the_last_arguments_are_not_kept():
    """psygnal keeps them in one of its modes; here only replay=True does, which says so."""
    changed = Signal()
    changed.connect(lambda value: None)
    with freed_by_count() as watched:
        value = Listener()
        watched.append(weakref.ref(value))
        changed.emit(value)
        with changed.paused():
            changed.emit(value)
        with changed.muted():
            changed.emit(value)
        del value


def test_connecting_again_and_again_registers_nothing_for_ever():
    """Django adds a finaliser each time, which also keeps a deleted signal."""
    listener = Listener()
    changed = Signal()
    before = weakref.getweakrefcount(listener)
    for _ in range(100):
        changed.connect(listener.hear)
        changed.disconnect(listener.hear)
    assert weakref.getweakrefcount(listener) <= before + 1
    with freed_by_count() as watched:
        watched.append(weakref.ref(changed))
        del changed


def test_dead_observers_leave_no_notifiers():
    """A thousand stay in traits."""
    changed = Signal()
    for _ in range(1000):
        listener = Listener()
        changed.connect(listener.hear)
        del listener
    assert len(changed) == 0
    assert changed._links == ()


def test_emitters_with_slots_are_freed():
    """psygnal keeps them and their signals for ever if they cannot be weakly referenced; those are refused here."""
    with freed_by_count() as watched:
        emitters = [SlottedEmitter() for _ in range(100)]
        for emitter in emitters:
            emitter.changed.connect(print)
        watched += [weakref.ref(emitter) for emitter in emitters]
        del emitter
        emitters.clear()


def test_a_signal_in_use_is_no_reference_cycle():
    """Each of psygnal's is one."""
    with no_cyclic_garbage(), freed_by_count() as watched:
        emitter, listener = Emitter(), Listener()
        watched += [weakref.ref(emitter), weakref.ref(emitter.changed), weakref.ref(listener)]
        emitter.changed.connect(listener.hear)
        emitter.changed.connect(print, once=True)
        emitter.changed.emit(1)
        del emitter, listener


def test_two_signals_and_two_threads_do_not_wait_for_each_other():
    """psygnal holds a lock while receivers run."""
    one, two = Signal(), Signal()
    barrier = threading.Barrier(2)

    def work(number):
        mine, other = (one, two) if number else (two, one)
        connection = mine.connect(
            lambda value: (barrier.wait(20), other.connect(print, once=True), other.emit_from(None, 5) if value else None)
        )
        mine.emit(0)
        connection.disconnect()

    run_threads(2, work)


def test_an_emission_in_a_finaliser_does_not_wait_for_a_lock():
    """Django's plain lock, taken by a finaliser in the thread that has it, is a deadlock."""
    changed = Signal()
    ended = []

    class Bomb:
        def __init__(self):
            self.me = self

        def __del__(self):
            changed.connect(print)
            changed.emit_from(self)
            changed.clear()
            ended.append(len(changed))

    threshold = gc.get_threshold()
    gc.set_threshold(1)
    try:
        end = time.monotonic() + 0.2
        while time.monotonic() < end:
            Bomb()
            changed.connect(lambda: None, priority=random.randrange(3))
            len(changed)
    finally:
        gc.set_threshold(*threshold)
    assert len(ended) > 10
    assert set(ended) == {0}


def test_deepcopy_and_copy_of_an_emitter_share_no_listeners():
    """blinker's copy keeps the receivers, psygnal's belongs to the original."""
    emitter, listener = Emitter(), Listener()
    emitter.changed.connect(listener.hear)
    for other in (copy.copy(emitter), copy.deepcopy(emitter)):
        other.changed.emit(1)
        assert f"at {id(other):#x}" in repr(other.changed)
    assert listener.heard == []


def test_a_method_that_cannot_be_weak_is_refused():
    """psygnal ignores it, or raises from its description."""

    class Slotted:
        __slots__ = ()

        def hear(self, value): ...

    slotted = Slotted()
    with pytest.raises(TypeError, match="cannot|must be something that can be weakly referenced"):
        Signal().connect(slotted.hear)


def test_coroutine_receivers_are_told_apart_when_they_are_connected():
    """blinker asks inspect for each receiver in each emission."""
    asked = Signal()

    async def receiver(value):
        return value

    asked.connect(receiver)
    asked.connect(lambda value: value)
    calls = []
    sys.setprofile(lambda frame, event, _argument: calls.append(frame.f_code.co_name) if event == "call" else None)
    try:
        with pytest.raises(ExceptionGroup):
            asked.send(1)
    finally:
        sys.setprofile(None)
    assert "iscoroutinefunction" not in calls
    assert [result for _, result in asyncio.run(asked.asend(1))] == [1, 1]


def test_owners_that_are_equal_are_different():
    """weakref.WeakMethod compares owners by ==, and asks for their hash."""
    changed = Signal()

    class Owner:
        __hash__ = None

        def __eq__(self, other):
            return True

        def hear(self, value): ...

    one, two = Owner(), Owner()
    changed.connect(one.hear)
    assert not changed.disconnect(two.hear)
    assert len(changed) == 1
