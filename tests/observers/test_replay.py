"""Signals that remember: a new receiver is called with the last emission that was for it."""

from __future__ import annotations

import gc
import weakref

import pytest
from helpers.collect import freed_by_count
from helpers.listeners import EMITTERS, Listener
from helpers.threads import run_threads, switching_often

from safemem import Signal


def test_a_new_receiver_gets_the_last_emission():
    """At once, with all its arguments; not if there was none."""
    changed = Signal(replay=True)
    seen = []
    changed.connect(lambda *args, **kwargs: seen.append((args, kwargs)))
    assert seen == []
    changed.emit(1)
    changed.emit(2, key=3)
    changed.connect(lambda *args, **kwargs: seen.append(("new", args, kwargs)))
    assert seen == [((1,), {}), ((2,), {"key": 3}), ("new", (2,), {"key": 3})]


def test_a_method_and_a_closure_with_an_owner():
    """Whatever the kind of receiver."""
    changed = Signal(replay=True)
    changed.emit(1)
    listener = Listener()
    changed.connect(listener.hear)
    changed.connect(lambda value: listener.hear(-value), owner=listener)
    assert listener.heard == [1, -1]


def test_each_sender_has_a_last_emission_of_its_own():
    """A receiver of all gets the last of all, one of a sender the last of that sender, or nothing."""
    changed = Signal(replay=True)
    one, two, three = Listener(), Listener(), Listener()
    changed.emit_from(one, 1)
    changed.emit_from(two, 2)
    changed.emit(3)
    heard = []
    changed.connect(heard.append)
    changed.connect(lambda value: heard.append(("one", value)), sender=one)
    changed.connect(lambda value: heard.append(("three", value)), sender=three)
    assert heard == [3, ("one", 1)]
    changed.emit_from("nobody to be connected to", 4)
    changed.connect(heard.append)
    assert heard == [3, ("one", 1), 4, 4]


def test_what_is_remembered_of_a_sender_does_not_keep_it():
    """Also if it was itself an argument, as it often is."""
    changed = Signal(replay=True)
    sender = Listener()
    changed.emit_from(sender, sender, 1)
    heard = []
    changed.connect(lambda *args: heard.append(args), sender=sender)
    assert heard == [(sender, 1)]
    heard.clear()
    changed.emit(0)
    watch = weakref.ref(sender)
    del sender
    gc.collect()
    assert watch() is None
    changed.emit_from(Listener(), 1)
    assert len(changed._special.memory.of) == 1


def test_the_last_arguments_are_held_until_the_next_emission_or_clear():
    """As the docstring says."""
    changed = Signal(replay=True)
    first, second = Listener(), Listener()
    watches = [weakref.ref(first), weakref.ref(second)]
    changed.emit(first)
    del first
    assert watches[0]() is not None
    changed.emit(second)
    del second
    assert watches[0]() is None
    assert watches[1]() is not None
    changed.clear()
    assert watches[1]() is None
    heard = []
    changed.connect(heard.append)
    assert heard == []


def test_once_is_used_up_by_what_is_replayed():
    """It is its one call."""
    changed = Signal(replay=True)
    changed.emit(1)
    heard = []
    connection = changed.connect(heard.append, once=True)
    changed.emit(2)
    assert heard == [1]
    assert not connection.connected


def test_a_receiver_that_fails_when_it_is_called_at_once_is_not_connected():
    """Its exception comes out of connect() as it is."""
    changed = Signal(replay=True)
    changed.emit(1)
    listener = Listener("bad")
    with pytest.raises(ValueError, match="bad"):
        changed.connect(listener.fail)
    assert len(changed) == 0


def test_a_coroutine_receiver_is_not_called_at_once():
    """It cannot be; it hears of the next emission."""
    changed = Signal(replay=True)
    changed.emit(1)

    async def receiver(value): ...

    changed.connect(receiver)
    assert len(changed) == 1


def test_what_is_muted_or_paused_is_not_replayed():
    """A muted emission has not happened; one that is kept has not happened yet."""
    changed = Signal(replay=True)
    changed.emit(1)
    heard = []
    with changed.muted():
        changed.emit(2)
        changed.connect(heard.append)
    assert heard == []
    changed.clear()
    changed.emit(3)
    with changed.paused():
        changed.emit(4)
        changed.connect(heard.append)
        assert heard == []
    assert heard == [4]
    changed.connect(heard.append)
    assert heard == [4, 4]


@pytest.mark.parametrize("kind", EMITTERS)
def test_each_instance_remembers_its_own(kind):
    """And is freed with its memory by reference count, what it remembers of itself apart."""

    class Emitting(kind):
        __slots__ = ()
        state: Signal[int] = Signal(replay=True)

    one, two = Emitting(), Emitting()
    one.state.emit(1)
    heard = []
    two.state.connect(heard.append)
    one.state.connect(heard.append)
    assert heard == [1]
    with freed_by_count() as watched:
        watched.append(weakref.ref(one))
        del one


def test_no_emission_is_missed_or_told_twice():
    """Whoever connects while another thread emits gets a run of numbers without a gap."""
    changed = Signal(replay=True)
    changed.emit(0)
    runs = []

    def work(number):
        if number == 0:
            for value in range(1, 400):
                changed.emit(value)
            return
        for _ in range(100):
            heard = []
            with changed.connect(heard.append):
                pass
            runs.append(heard)

    with switching_often():
        run_threads(4, work)
    for heard in runs:
        # What is replayed may be overtaken by an emission in another thread, but is neither lost nor doubled.
        assert sorted(heard) == list(range(min(heard), max(heard) + 1))
        assert len(set(heard)) == len(heard)
