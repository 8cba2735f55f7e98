"""Receivers that live as long as an owner."""

from __future__ import annotations

import gc
import weakref
from functools import partial

from helpers.collect import freed_by_count
from helpers.listeners import Listener

from safemem import Signal


def test_a_closure_lives_as_long_as_its_owner():
    """It is let go of as soon as the owner is gone, without anything being done with the signal."""
    changed = Signal()
    owner, captured = Listener(), Listener()

    def connect(captured, owner):
        changed.connect(lambda value: captured.hear(value), owner=owner)

    connect(captured, owner)
    changed.emit(1)
    assert captured.heard == [1]
    with freed_by_count() as watched:
        watched += [weakref.ref(owner), weakref.ref(captured)]
        del owner, captured
    changed.emit(2)
    assert len(changed) == 0


def test_a_closure_over_its_own_owner_does_not_pin_it():
    """The two are plain cyclic garbage once nobody else holds the owner, whatever becomes of the signal."""
    changed = Signal()

    def connect():
        owner = Listener()
        changed.connect(lambda value: owner.hear(value), owner=owner)
        changed.emit(1)
        assert owner.heard == [1]
        return weakref.ref(owner)

    watch = connect()
    gc.collect()
    assert watch() is None
    assert len(changed) == 0
    changed.emit(2)


def test_an_owner_keeps_nothing_of_a_signal_that_is_gone():
    """A long-lived owner with many short-lived signals does not collect their receivers."""
    owner = Listener()
    captured = [Listener() for _ in range(50)]

    def connect(one):
        Signal().connect(lambda: one, owner=owner)

    for one in captured:
        connect(one)
    with freed_by_count() as watched:
        watched += [weakref.ref(one) for one in captured]
        del one
        captured.clear()
    [handle] = [value for name, value in vars(owner).items() if "safemem" in name]
    assert len(handle.owned) < 5


def test_disconnecting_lets_go_of_what_an_owner_has():
    """Not only when the owner goes."""
    changed = Signal()
    owner, captured = Listener(), Listener()
    connection = changed.connect(partial(print, captured), owner=owner)
    with freed_by_count() as watched:
        watched.append(weakref.ref(captured))
        del captured
        assert connection.disconnect()
    assert not connection.disconnect()


def test_a_method_with_an_owner_dies_with_either():
    """Of its object and its owner, the first to go ends it."""
    for first in (0, 1):
        changed = Signal()
        pair = [Listener(), Listener()]
        changed.connect(pair[0].hear, owner=pair[1])
        changed.emit(1)
        assert pair[0].heard == [1]
        del pair[first]
        assert len(changed) == 0


def test_slotted_and_unhashable_owners():
    """They own as any other object."""

    class SlottedOwner:
        __slots__ = ("__weakref__",)
        __hash__ = None

        def __eq__(self, other):
            return True

    changed = Signal()
    heard = []
    one, two = SlottedOwner(), SlottedOwner()
    changed.connect(lambda value: heard.append((1, value)), owner=one)
    changed.connect(lambda value: heard.append((2, value)), owner=two)
    del one
    changed.emit(5)
    assert heard == [(2, 5)]
