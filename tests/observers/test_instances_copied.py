"""Signals of instances that are copied and pickled."""

from __future__ import annotations

import copy
import pickle
import weakref

import pytest
from helpers.collect import freed_by_count
from helpers.listeners import EMITTERS, Emitter, Listener

from safemem import Signal


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
