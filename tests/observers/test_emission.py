"""Emission: order, arguments, results, and who is dead."""

from __future__ import annotations

import inspect
import random

import pytest
from helpers.listeners import Listener
from hypothesis import given
from hypothesis import strategies as st

from safemem import Signal
from safemem.core import _emission


@given(st.lists(st.integers(-2, 2), max_size=20))
def test_order_is_by_priority_then_by_connection(priorities):
    """Whatever order they come in."""
    changed: Signal[[]] = Signal()
    called: list[tuple[int, int]] = []
    for number, priority in enumerate(priorities):
        changed.connect(lambda entry=(priority, number): called.append(entry), priority=priority)
    changed.emit()
    assert called == sorted(((priority, number) for number, priority in enumerate(priorities)), key=lambda entry: -entry[0])


@given(
    st.lists(
        st.tuples(st.sampled_from(["connect", "end", "drop", "emit", "clear", "block"]), st.integers(0, 5), st.integers(-1, 1)), max_size=40
    )
)
def test_any_sequence_gives_what_a_naive_list_gives(steps):
    """Connecting, disconnecting, dying, blocking, clearing and emitting, against a plain list."""
    changed: Signal[[]] = Signal()
    model: list[tuple[int, int, int]] = []  # -priority, number of connection, number of listener
    listeners = {number: Listener(number) for number in range(6)}
    called: list[int] = []
    handles = []

    class Calls(Listener):
        def hear(self, *args):
            called.append(self.name)

    listeners = {number: Calls(number) for number in range(6)}
    for count, (step, number, priority) in enumerate(steps):
        if step == "connect" and number in listeners:
            handles.append((changed.connect(listeners[number].hear, priority=priority), (-priority, count, number)))
            model.append((-priority, count, number))
        elif step == "end" and handles:
            connection, entry = handles.pop(number % len(handles))
            assert connection.disconnect() == (entry in model)
            model = [other for other in model if other != entry]
        elif step == "drop":
            listeners.pop(number, None)
            model = [entry for entry in model if entry[2] != number]
        elif step == "clear" and number == 0:
            changed.clear()
            model = []
        elif step == "block" and handles:
            connection, entry = handles[number % len(handles)]
            with connection.block():
                called.clear()
                changed.emit()
                assert called == [other[2] for other in sorted(model) if other != entry]
        called.clear()
        changed.emit()
        assert called == [entry[2] for entry in sorted(model)]
        assert len(changed) == len(model)
        assert bool(changed) == bool(model)


def test_arguments_pass_as_they_are():
    """Positional ones and keywords, also those with the names of our own parameters."""
    changed = Signal()
    seen = []
    changed.connect(lambda *args, **kwargs: seen.append((args, kwargs)))
    changed.emit(1, self=2, sender=3, args=4)
    changed.emit_from(Listener, 1, self=2, sender=3)
    changed.send()
    assert seen == [((1,), {"self": 2, "sender": 3, "args": 4}), ((1,), {"self": 2, "sender": 3}), ((), {})]


def test_emit_returns_nothing_and_send_what_receivers_return():
    """As pairs of receiver and result, in calling order; a bound method is the receiver that was connected."""
    changed = Signal()
    listener = Listener("result")

    def double(value):
        return 2 * value

    changed.connect(double)
    changed.connect(listener.hear, priority=1)
    assert changed.emit(4) is None
    assert changed.emit_from(listener, 4) is None
    assert changed.send(4) == [(listener.hear, "result"), (double, 8)]


def test_a_coroutine_receiver_fails_in_a_plain_emission():
    """With a clear error, and no coroutine that nobody awaits; the others are called."""
    changed = Signal()
    listener = Listener()

    async def receiver(value): ...

    connection = changed.connect(receiver, once=True)
    changed.connect(listener.hear)
    for emit in (changed.emit, changed.send):
        with pytest.raises(ExceptionGroup) as caught:
            emit(1)
        assert isinstance(caught.value.exceptions[0], RuntimeError)
        assert "use aemit() or asend()" in str(caught.value.exceptions[0])
    assert listener.heard == [1, 1]
    assert connection.connected  # it was not called


def test_dead_receivers_do_not_pile_up():
    """Nor disconnected ones: what the signal holds is in proportion to those alive."""
    changed = Signal()
    keep = [Listener() for _ in range(5)]
    for listener in keep:
        changed.connect(listener.hear)
    for number in range(2000):
        listener = Listener()
        connection = changed.connect(listener.hear, priority=number % 3)
        if number % 2:
            connection.disconnect()
        del listener
    assert len(changed._links) < 50
    assert len(changed) == 5


def test_emission_drops_the_dead():
    """Even if nobody connects any more."""
    changed = Signal()
    crowd = [Listener() for _ in range(100)]
    for listener in crowd:
        changed.connect(listener.hear)
    del listener
    del crowd[random.randrange(100)]
    changed.emit(1)
    assert len(changed._links) == 99
    crowd.clear()
    changed.emit_from(changed, 1)
    assert changed._links == ()


def test_emit_tells_what_it_takes_and_does():
    """Signature and documentation are those of the pure core, on either."""
    model = _emission.EmissionCore.emit
    shapes = [[(name, each.kind) for name, each in inspect.signature(emit).parameters.items()] for emit in (Signal.emit, model)]
    assert shapes[0] == shapes[1]
    assert inspect.getdoc(Signal.emit) == inspect.getdoc(model)
