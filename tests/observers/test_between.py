"""What a signal handler, a finaliser or another thread does between any two instructions of ours, where such a thing may come."""

from __future__ import annotations

import threading

import pytest
from helpers.interject import Striker, interrupt
from helpers.listeners import Emitter, Listener

from safemem import Signal, core
from safemem.core import _emission, _owners
from safemem.observers import connection, holding, linking, links, listeners, signal, special, ways

OURS = {module.__file__ for module in (_emission, _owners, connection, holding, linking, links, listeners, signal, special, ways)}


def everywhere(prepare, strike, operate, check):
    """Do `operate` again and again, with `strike` at each place of it in turn; return at how many."""
    state = prepare()
    Striker(10_000, interrupt, files=OURS).run(lambda: operate(*state))  # 3.12 traces what it has seen traced before
    for at in range(10_000):
        state = prepare()
        striker = Striker(at, lambda state=state: strike(*state), files=OURS)
        striker.run(lambda state=state: operate(*state))
        if not striker.struck:
            return at
        check(*state)
    raise AssertionError("it never ended")


def test_once_is_called_once_whatever_comes_between():
    """Another emission at any place of an emission."""

    def prepare():
        changed, called = Signal(), []
        changed.connect(lambda: called.append(1), once=True)
        changed.connect(lambda: called.append(2))
        return changed, called

    for name in ("emit", "send"):
        places = everywhere(
            prepare,
            lambda changed, _: changed.emit(),
            lambda changed, _, name=name: getattr(changed, name)(),
            lambda _, called: sorted(called) == [1, 2, 2] or pytest.fail(str(called)),
        )
        assert places > 5 or core.NATIVE


def test_replay_misses_nothing_and_tells_nothing_twice_whatever_comes_between():
    """A receiver connected at any place of an emission gets the one before and this one, or this one alone, or the two in one go."""

    def prepare():
        changed = Signal(replay=True)
        changed.emit(1)
        return changed, []

    places = everywhere(
        prepare,
        lambda changed, heard: changed.connect(heard.append),
        lambda changed, heard: changed.emit(2),
        lambda _, heard: heard in ([1, 2], [2]) or pytest.fail(str(heard)),
    )
    assert places > 5
    # And an emission at any place of a connection.
    everywhere(
        prepare,
        lambda changed, heard: changed.emit(2),
        lambda changed, heard: changed.connect(heard.append),
        lambda _, heard: sorted(heard) in ([1, 2], [2]) or pytest.fail(str(heard)),
    )


def test_nothing_is_lost_when_a_pause_ends_at_any_place_of_an_emission():
    """What came too late to be delivered by the pause is delivered by the emission."""

    def prepare():
        changed, heard = Signal(), []
        changed.connect(heard.append)
        pause = changed.paused()
        pause.__enter__()
        return changed, heard, pause

    places = everywhere(
        prepare,
        lambda changed, heard, pause: pause.__exit__(None, None, None),
        lambda changed, heard, pause: changed.emit(1),
        lambda changed, heard, pause: heard == [1] or pytest.fail(str(heard)),
    )
    assert places > 3


@pytest.mark.parametrize("how", ["enter", "exit"])
def test_disconnecting_at_any_place_of_a_block(how):
    """The connection stays ended."""

    def prepare():
        changed, heard = Signal(), []
        made = changed.connect(heard.append)
        blocking = made.block()
        if how == "exit":
            blocking.__enter__()
        return changed, heard, made, blocking

    def check(changed, heard, made, blocking):
        changed.emit(1)
        assert heard == []
        if how == "enter":
            blocking.__exit__(None, None, None)
        changed.emit(1)
        assert heard == []
        assert not made.connected

    everywhere(
        prepare,
        lambda changed, heard, made, blocking: made.disconnect(),
        lambda changed, heard, made, blocking: blocking.__enter__() if how == "enter" else blocking.__exit__(None, None, None),
        check,
    )


@pytest.mark.parametrize("ask", ["receiver", "repr", "disconnect", "send"])
@pytest.mark.parametrize("options", [{}, {"once": True}, {"owner": Listener}], ids=str)
def test_disconnecting_while_somebody_asks_who_listens(ask, options):
    """The answer is the receiver or None."""
    listener = Listener()

    def prepare():
        changed = Signal()
        return changed, changed.connect(listener.hear, **options)

    def operate(changed, connection):
        answer = {
            "receiver": lambda: connection.receiver in (listener.hear, None),
            "repr": lambda: "hear" in repr(connection) or "ended" in repr(connection),
            "disconnect": lambda: changed.disconnect(listener.hear) in (True, False),
            "send": lambda: changed.send(1) in ([(listener.hear, None)], []),
        }[ask]
        assert answer()

    everywhere(prepare, lambda _, connection: connection.disconnect(), operate, lambda _, connection: not connection.connected)


@pytest.mark.parametrize("how", ["enter", "exit"])
def test_blocking_while_somebody_asks_who_listens(how):
    """A receiver that is blocked, or that is no longer, is connected."""

    def prepare():
        changed, listener = Signal(), Listener()
        connection = changed.connect(listener.hear)
        blocking = connection.block()
        if how == "exit":
            blocking.__enter__()
        return changed, listener, connection, blocking

    def ask(_changed, listener, connection, _blocking):
        assert connection.receiver == listener.hear

    def change(_changed, _listener, _connection, blocking):
        blocking.__enter__() if how == "enter" else blocking.__exit__(None, None, None)

    everywhere(prepare, change, ask, ask)
    everywhere(prepare, ask, change, ask)


@pytest.mark.parametrize("options", [{}, {"priority": 1}, {"once": True}, {"owner": Listener}], ids=str)
def test_changes_at_any_place_of_connecting(options):
    """Another connection, a clearing, an emission: none is lost or undone."""

    def connect_and_clear(changed, called):
        changed.connect(lambda: called.append("early"))
        changed.clear()
        changed.connect(lambda: called.append("between"))

    def check(changed, called):
        changed.emit()
        assert called.count("between") == 1
        assert "early" not in called
        assert called.count("mine") <= 1

    def prepare():
        changed = Signal()
        changed.connect(Listener, priority=2)
        return changed, []

    places = everywhere(
        prepare, connect_and_clear, lambda changed, called: changed.connect(lambda: called.append("mine"), **options), check
    )
    assert places > 3 or core.NATIVE


def test_the_first_use_of_a_signal_within_its_first_use():
    """One signal for an instance."""
    places = everywhere(
        lambda: (Emitter(), []),
        lambda emitter, found: found.append(emitter.changed),
        lambda emitter, found: found.append(emitter.changed),
        lambda emitter, found: found[0] is found[1] is emitter.changed or pytest.fail("two signals"),
    )
    assert places > 3 or core.NATIVE


@pytest.mark.parametrize("name", ["emit", "send", "connect", "disconnect", "clear", "muted", "paused", "first use"])
def test_an_interrupt_at_any_place(name):
    """Ctrl-C ends the operation and leaves the signal in working order, no lock held and nobody silenced."""

    def use_paused(changed):
        with changed.paused():
            changed.emit(1)

    def use_muted(changed):
        with changed.muted():
            changed.emit(1)

    operations = {
        "emit": lambda changed: changed.emit(1),
        "send": lambda changed: changed.send(1),
        "connect": lambda changed: changed.connect(print, priority=3, sender=Listener),
        "disconnect": lambda changed: changed.disconnect(print),
        "clear": lambda changed: changed.clear(),
        "muted": use_muted,
        "paused": use_paused,
        "first use": lambda changed: Emitter().changed.connect(print, sender=Listener),
    }
    for at in range(10_000):
        changed = Signal()
        changed.connect(lambda value: None, once=True)
        changed.connect(print, sender=Listener)
        striker = Striker(at, interrupt, files=OURS)

        def operate(changed=changed, striker=striker):
            try:
                striker.run(lambda: operations[name](changed))
            except KeyboardInterrupt:
                pass

        # In a thread of its own, as what a tracer raises in a handler stays behind in the thread as the exception being handled.
        thread = threading.Thread(target=operate)
        thread.start()
        thread.join()
        if not striker.struck:
            break
        heard = []
        assert Signal._lock.acquire(blocking=False), "the lock is still held"
        Signal._lock.release()
        if name not in {"muted", "paused"}:  # where the interrupt may come before the block has begun, or after it has ended
            changed.connect(heard.append)
            changed.emit(5)
            assert heard == [5]
