"""The handle of a connection: ending it, blocking it, and what it tells."""

from __future__ import annotations

import weakref
from pathlib import Path

import pytest
from helpers.collect import freed_by_count
from helpers.listeners import Emitter, Listener

from safemem import Connection, Signal


def test_disconnect_is_idempotent():
    """The first call ends it, and says so."""
    changed = Signal()
    listener = Listener()
    connection = changed.connect(listener.hear)
    assert connection.connected
    assert connection.disconnect()
    assert not connection.disconnect()
    assert not connection.connected
    assert connection.receiver is None
    changed.emit(1)
    assert listener.heard == []


def test_a_context_manager_ends_its_own_connection_only():
    """Also with an exception; an older connection of the same receiver stays."""
    changed = Signal()
    listener = Listener()
    older = changed.connect(listener.hear)
    with pytest.raises(ZeroDivisionError), changed.connect(listener.hear) as connection:
        assert isinstance(connection, Connection)
        changed.emit(1)
        raise ZeroDivisionError
    assert (older.connected, connection.connected) == (True, False)
    changed.emit(2)
    assert listener.heard == [1, 1, 2]


def test_it_keeps_neither_the_signal_nor_the_receiver():
    """Not even a function, that the signal holds strongly."""
    changed = Signal()
    captured = Listener()

    def receiver(value, held=captured): ...

    connections = [changed.connect(receiver), changed.connect(captured.hear), changed.connect(lambda held=captured: held, owner=captured)]
    with freed_by_count() as watched:
        watched += [weakref.ref(changed), weakref.ref(receiver), weakref.ref(captured)]
        del changed, receiver, captured
    assert [connection.connected for connection in connections] == [False] * 3
    assert [connection.receiver for connection in connections] == [None] * 3
    assert not connections[0].disconnect()


def test_blocking_nests():
    """The receiver is called again when the last block has ended."""
    changed = Signal()
    heard = []
    connection = changed.connect(heard.append)
    first, second = connection.block(), connection.block()
    with first:
        with second, first:
            changed.emit(1)
            assert connection.connected
            assert connection.receiver == heard.append
        changed.emit(2)
        assert len(changed) == 1
    changed.emit(3)
    assert heard == [3]


def test_blocking_ends_after_an_exception():
    """As any context manager."""
    changed = Signal()
    heard = []
    connection = changed.connect(heard.append, priority=2)
    with pytest.raises(ZeroDivisionError), connection.block():
        raise ZeroDivisionError
    changed.emit(1)
    assert heard == [1]


def test_a_connection_that_ends_while_blocked_stays_ended():
    """The end of the block does not revive it."""
    changed = Signal()
    heard = []
    connection = changed.connect(heard.append)
    with connection.block():
        assert connection.disconnect()
    changed.emit(1)
    assert heard == []
    with connection.block():
        pass
    assert not connection.connected


def test_one_blocked_in_the_middle_of_an_emission_is_not_called():
    """And one that dies while blocked is dead."""
    changed = Signal()
    listener = Listener()
    connection = changed.connect(listener.hear)
    blocking = connection.block()
    changed.connect(lambda value: blocking.__enter__(), priority=1, once=True)
    changed.emit(1)
    assert listener.heard == []
    blocking.__exit__(None, None, None)
    with connection.block():
        del listener
        assert not connection.connected
        assert len(changed) == 0


def test_what_it_tells():
    """Receiver, priority, once, sender, owner, and the source line."""
    changed = Signal(name="changed")
    listener, sender, owner = Listener(), Listener(), Listener()
    connection = changed.connect(listener.hear, priority=3, sender=sender, owner=owner, once=True)  # this line
    assert connection.receiver == listener.hear
    assert (connection.priority, connection.once) == (3, True)
    assert connection.sender is sender
    assert connection.owner is owner
    with Path(__file__).open(encoding="utf-8") as file:
        line = next(number for number, text in enumerate(file, 1) if text.rstrip().endswith("# this line"))
    assert connection.where == f"{__file__}:{line}"
    assert repr(connection) == f"<Connection of Listener.hear to signal 'changed', priority 3, made at {__file__}:{line}>"
    connection.disconnect()
    assert repr(connection) == f"<Connection to signal 'changed', ended, made at {__file__}:{line}>"
    del sender, owner
    assert (connection.sender, connection.owner) == (None, None)


def test_connections_tells_who_listens():
    """In calling order, the dead left out, equal to what connect() returned."""
    emitter, listener = Emitter(), Listener()
    first = emitter.changed.connect(listener.hear)
    second = emitter.changed.connect(print, priority=1)
    gone = Listener()
    emitter.changed.connect(gone.hear)
    emitter.changed.connect(print).disconnect()
    del gone
    assert emitter.changed.connections() == (second, first)
    assert {second, first} == set(emitter.changed.connections())
    assert [connection.receiver for connection in emitter.changed.connections()] == [print, listener.hear]
    assert first != second
    assert first != 5


def test_the_decorator_tells_its_line_too():
    """With and without options."""
    changed = Signal()

    @changed.receiver
    def one(): ...

    @changed.receiver(priority=1)
    def two(): ...

    lines = sorted(int(connection.where.rpartition(":")[2]) for connection in changed.connections())
    # Which of its lines a decorator runs in depends on the version of Python.
    assert 0 <= lines[0] - one.__code__.co_firstlineno <= 1
    assert 0 <= lines[1] - two.__code__.co_firstlineno <= 1
    assert changed.connections()[0].receiver is two


def test_the_decorator_returns_the_function():
    """So that it can be used as before."""
    changed = Signal()

    def receiver(): ...

    assert changed.receiver(receiver) is receiver
    assert changed.receiver(priority=1, once=True)(receiver) is receiver
    assert len(changed) == 2


def test_clear_ends_all_connections():
    """Blocked ones, special ones; they can be made again."""
    changed = Signal()
    listener = Listener()
    connections = [changed.connect(listener.hear), changed.connect(print, once=True), changed.connect(print, owner=listener)]
    blocked = changed.connect(print)
    with blocked.block():
        changed.clear()
    assert not any(connection.connected for connection in [*connections, blocked])
    assert not changed
    changed.connect(listener.hear)
    changed.emit(1)
    assert listener.heard == [1]
