"""Receivers, and finalisers of receivers, that use the signal they are called by or die in: whatever they do, the emission goes on."""

from __future__ import annotations

import gc
import weakref

import pytest
from helpers.fuse import Fuse
from helpers.listeners import Emitter, Listener
from helpers.recorder import unraisable

from safemem import Signal

WAYS = {
    "emit": lambda signal, _: signal.emit(1),
    "send": lambda signal, _: signal.send(1),
    "emit_from": lambda signal, sender: signal.emit_from(sender, 1),
}


@pytest.fixture(params=WAYS)
def emit(request):
    """Each way to emit."""
    return WAYS[request.param]


def test_a_receiver_connected_during_an_emission_waits_for_the_next(emit):
    """Whatever its priority."""
    changed = Signal()
    late = Listener()
    changed.connect(lambda value: (changed.connect(late.hear, priority=5), changed.connect(late.hear, priority=-5)), once=True)
    emit(changed, None)
    assert late.heard == []
    emit(changed, None)
    assert late.heard == [1, 1]


@pytest.mark.parametrize("how", ["connection", "receiver", "clear", "death"])
def test_a_receiver_that_is_gone_during_an_emission_is_not_called_any_more(emit, how):
    """However it went."""
    changed = Signal()
    late = Listener()
    heard = late.heard
    holder = [late]
    connection = changed.connect(late.hear, priority=-1)
    actions = {
        "connection": connection.disconnect,
        "receiver": lambda: changed.disconnect(holder[0].hear),
        "clear": changed.clear,
        "death": holder.clear,
    }
    del late
    changed.connect(lambda value: actions[how]())
    emit(changed, None)
    assert heard == []
    assert not connection.connected


def test_a_receiver_that_disconnects_itself_does_not_hide_the_next(emit):
    """Nobody is skipped."""
    changed = Signal()
    heard = []
    connections = []

    def make(number):
        def receiver(value):
            heard.append(number)
            connections[number].disconnect()

        return receiver

    connections += [changed.connect(make(number)) for number in range(5)]
    emit(changed, None)
    assert heard == [0, 1, 2, 3, 4]
    assert len(changed) == 0


def test_a_receiver_that_dies_in_its_own_call():
    """Its object lives until the call is over, and no longer."""
    changed = Signal()
    holder = [Listener()]
    watch = weakref.ref(holder[0])
    seen = []

    class Suicidal(Listener):
        def hear(self, value):
            holder.clear()
            seen.append(self.name)

    holder[0] = Suicidal("me")
    watch = weakref.ref(holder[0])
    changed.connect(holder[0].hear)
    changed.connect(lambda value: seen.append(watch()))
    changed.emit(1)
    assert seen == ["me", None]


def test_emitting_again_in_the_middle(emit):
    """The inner emission goes to all before the outer goes on."""
    changed = Signal()
    log = []

    def first(value):
        log.append(("first", value))
        if value < 3:
            changed.emit(value + 1)

    changed.connect(first)
    changed.connect(lambda value: log.append(("second", value)))
    emit(changed, None)
    assert log == [("first", 1), ("first", 2), ("first", 3), ("second", 3), ("second", 2), ("second", 1)]


def test_the_emitter_dies_in_the_middle(emit):
    """The emission goes on; the emitter is gone when it returns."""
    holder = [Emitter()]
    heard = []
    watch = weakref.ref(holder[0])
    holder[0].changed.connect(lambda value: holder.clear())
    holder[0].changed.connect(heard.append)
    emit(holder[0].changed, None)
    assert heard == [1]
    assert watch() is None


ACTIONS = {
    "connect": lambda signal: signal.connect(print, priority=9, once=True, sender=Fuse),
    "disconnect": lambda signal: signal.disconnect(print),
    "clear": lambda signal: signal.clear(),
    "emit": lambda signal: signal.emit(2),
    "send": lambda signal: signal.send(2),
    "emit_from": lambda signal: signal.emit_from(Fuse, 2),
    "len": len,
    "connections": lambda signal: signal.connections(),
    "repr": repr,
    "mute": lambda signal: signal.muted().__enter__(),
    "pause": lambda signal: signal.paused().__enter__(),
    "collect": lambda _: gc.collect(),
    "raise": lambda _: 1 / 0,
}


class Bomb:
    """A receiver, or what one holds, whose finaliser blows."""

    def __init__(self, fuse, *, cyclic=False):
        self.fuse = fuse
        self.me = self if cyclic else None

    def __del__(self):
        self.fuse.blow()

    def hear(self, value):
        """A receiver."""


OUTER = {
    **{name: action for name, action in ACTIONS.items() if name not in {"raise", "collect", "mute", "pause"}},
    "end": lambda signal: [connection.disconnect() for connection in signal.connections()],
    "bool": bool,
    "muted": lambda signal: signal.muted().__enter__(),
    "replayed": lambda signal: signal.connect(lambda value: None),
}


@pytest.mark.parametrize("cyclic", [False, True], ids=["by count", "by collector"])
@pytest.mark.parametrize("inner", ACTIONS)
@pytest.mark.parametrize("outer", OUTER)
def test_finalisers_that_use_the_signal(outer, inner, cyclic):
    """A closure, an argument, a listener and an owner whose ends come in the middle of any operation, and call any other."""
    signal = Signal(replay=outer == "replayed")
    fuse = Fuse()
    threshold = gc.get_threshold()

    def fill():
        held = [Bomb(fuse, cyclic=cyclic) for _ in range(4)]
        signal.connect(lambda value, held=held[0]: None)
        signal.connect(held[1].hear, priority=1)
        signal.connect(lambda value, held=held[2]: None, owner=held[3], priority=-1)
        keep = held[1], held[3]
        signal.connect(lambda value: keep and None, once=True)
        return held

    gc.set_threshold(1)
    try:
        with unraisable() as caught:
            held = fill()
            if outer == "replayed":
                signal.emit(held[0])
            fuse.arm(lambda: ACTIONS[inner](signal))
            signal.connect(lambda value: held.clear(), priority=2)
            OUTER[outer](signal)
            held.clear()
            signal.clear()
            gc.collect()
    finally:
        gc.set_threshold(*threshold)
    assert caught == []
    assert fuse.blown == 1
    if inner == "raise":
        assert isinstance(fuse.errors[0], ZeroDivisionError)
    else:
        assert fuse.errors == []
    assert len(signal) <= 1
    signal.clear()
    heard = []
    if signal._special is None:
        signal.connect(heard.append)
        signal.emit(1)
        assert heard == [1]


class Loud(int):
    """A priority that runs code when it is compared."""

    def _bite(self, other):
        raise AssertionError

    __lt__ = __gt__ = __le__ = __ge__ = __eq__ = _bite
    __hash__ = int.__hash__


def test_priorities_run_no_code():
    """A number of a class of its own is taken for what it is; its comparisons, which would run under the lock, are not asked."""
    changed = Signal()
    heard = []
    for priority in (1, 3, 2, 3, 1):
        changed.connect(lambda priority=priority: heard.append(priority), priority=Loud(priority))
    changed.emit()
    assert heard == [3, 3, 2, 1, 1]
    assert {type(connection.priority) for connection in changed.connections()} == {int}
