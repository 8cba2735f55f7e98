"""Emission for one sender, and receivers that are called once."""

from __future__ import annotations

import weakref

from helpers.listeners import Listener

from safemem import Signal


def test_emit_from_reaches_the_receivers_of_a_sender_and_those_of_none():
    """And plain emit() only those of none."""
    changed = Signal()
    one, two = Listener(), Listener()
    heard = []
    changed.connect(lambda value: heard.append(("one", value)), sender=one)
    changed.connect(lambda value: heard.append(("two", value)), sender=two, priority=1)
    changed.connect(lambda value: heard.append(("all", value)))
    changed.emit(1)
    assert heard == [("all", 1)]
    heard.clear()
    changed.emit_from(one, 2)
    assert heard == [("one", 2), ("all", 2)]
    heard.clear()
    changed.emit_from(two, 3)
    assert heard == [("two", 3), ("all", 3)]
    heard.clear()
    changed.emit_from(None, 4)
    changed.emit_from("somebody", 5)
    assert heard == [("all", 4), ("all", 5)]
    assert [pair[1] for pair in changed.send(6)] == [None]


def test_senders_are_told_apart_by_identity():
    """Equal ones are different, and nobody's == or hash is asked."""

    class Sender:
        __hash__ = None

        def __eq__(self, other):
            raise AssertionError

    changed = Signal()
    heard = []
    one, two = Sender(), Sender()
    changed.connect(heard.append, sender=one)
    changed.emit_from(two, 2)
    changed.emit_from(one, 1)
    assert heard == [1]


def test_a_reused_address_is_another_sender():
    """Objects that come to lie where a sender was get nothing of its."""
    changed = Signal()
    heard = []
    reused = 0
    addresses = set()
    strangers = []
    while reused < 5:
        sender = Listener()
        addresses.add(id(sender))
        changed.connect(heard.append, sender=sender)
        del sender
        strangers.append(Listener())
        reused += id(strangers[-1]) in addresses
        changed.emit_from(strangers[-1], 1)
        if len(strangers) > 20:
            strangers.clear()
    assert heard == []
    assert len(changed) == 0


def test_a_sender_is_not_kept_alive_and_takes_its_receivers_along():
    """A strong receiver that only a dead sender could reach is let go of at once."""
    changed = Signal()
    sender, captured = Listener(), Listener()
    changed.connect(lambda held=captured: held, sender=sender)
    watch = weakref.ref(captured)
    del captured, sender
    assert watch() is None


# -- once -----------------------------------------------------------------------------------------------------------------------------


def test_once_is_called_once():
    """And its connection ends before the call, so that it may emit itself."""
    changed = Signal()
    heard = []

    def receiver(value):
        heard.append((value, len(changed)))
        if value < 3:
            changed.emit(value + 1)

    connection = changed.connect(receiver, once=True)
    assert connection.once
    assert connection.connected
    changed.emit(1)
    changed.emit(2)
    assert heard == [(1, 0)]
    assert not connection.connected
    assert connection.receiver is None


def test_once_lets_go_of_its_receiver():
    """A closure is gone after its call."""
    changed = Signal()
    captured = Listener()
    changed.connect(lambda held=captured: held, once=True)
    watch = weakref.ref(captured)
    del captured
    changed.emit()
    assert watch() is None


def test_once_waits_for_its_own_sender():
    """Emissions of others do not use it up."""
    changed = Signal()
    heard = []
    sender = Listener()
    changed.connect(heard.append, once=True, sender=sender)
    changed.emit(1)
    changed.emit_from(Listener(), 2)
    changed.emit_from(sender, 3)
    changed.emit_from(sender, 4)
    assert heard == [3]


def test_once_is_not_used_up_while_blocked_or_muted():
    """It is called when it can be."""
    changed = Signal()
    heard = []
    connection = changed.connect(heard.append, once=True)
    with connection.block():
        changed.emit(1)
    with changed.muted():
        changed.emit(2)
    changed.emit(3)
    changed.emit(4)
    assert heard == [3]
