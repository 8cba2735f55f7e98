"""Disconnecting: how a receiver is found."""

from __future__ import annotations

from functools import partial

import pytest
from helpers.listeners import Equal, Listener

from safemem import Signal


@pytest.mark.parametrize("options", [{}, {"owner": Listener}, {"weak": False}], ids=str)
def test_disconnect_finds_a_method_by_object_and_function(options):
    """Equal objects are different listeners."""
    changed = Signal()
    one, two = Equal(), Equal()
    changed.connect(one.hear, **options)
    assert not changed.disconnect(two.hear)
    assert not changed.disconnect(Equal.hear)
    changed.emit(1)
    assert (one.heard, two.heard) == ([1], [])
    assert changed.disconnect(one.hear)
    assert not changed.disconnect(one.hear)
    changed.emit(2)
    assert one.heard == [1]


def test_disconnect_finds_builtin_methods_by_object():
    """Each look-up makes another bound method; equal lists are different objects."""
    changed = Signal()
    one, two = [], []
    changed.connect(one.append)
    assert not changed.disconnect(two.append)
    assert not changed.disconnect(one.extend)
    assert changed.disconnect(one.append)
    changed.connect(one.__iadd__)
    assert not changed.disconnect(two.__iadd__)
    assert changed.disconnect(one.__iadd__)
    changed.connect(print)
    assert changed.disconnect(print)


def test_disconnect_finds_partials_by_identity():
    """Partials of one function are different receivers."""
    changed = Signal()
    one, two = partial(print, 1), partial(print, 1)
    changed.connect(one)
    assert not changed.disconnect(two)
    assert changed.disconnect(one)


def test_a_receiver_may_be_connected_twice():
    """Each connection is one of its own; disconnect() by receiver ends all of them."""
    changed = Signal()
    listener = Listener()
    first = changed.connect(listener.hear)
    second = changed.connect(listener.hear)
    assert first != second
    changed.emit(1)
    assert listener.heard == [1, 1]
    first.disconnect()
    changed.emit(2)
    assert listener.heard == [1, 1, 2]
    changed.connect(listener.hear)
    assert changed.disconnect(listener.hear)
    assert len(changed) == 0


@pytest.mark.parametrize(
    "options", [{}, {"once": True}, {"priority": 2}, {"weak": False}, {"sender": Listener}, {"owner": Listener}], ids=str
)
def test_disconnect_whatever_the_options(options):
    """Methods and functions are found."""
    changed = Signal()
    listener = Listener()

    def receiver(value): ...

    changed.connect(listener.hear, **options)
    changed.connect(receiver, **options)
    assert len(changed) == 2
    assert changed.disconnect(listener.hear)
    assert changed.disconnect(receiver)
    assert len(changed) == 0


def test_disconnect_while_blocked():
    """A receiver that is blocked is connected all the same."""
    changed = Signal()
    listener = Listener()
    connection = changed.connect(listener.hear)
    with connection.block():
        assert changed.disconnect(listener.hear)
    changed.emit(1)
    assert listener.heard == []
