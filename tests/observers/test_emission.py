"""Emission: order, arguments, results, failures, senders, once."""

from __future__ import annotations

import asyncio
import inspect
import random
import re
import traceback
import weakref
from dataclasses import dataclass
from pathlib import Path

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


# -- failures -------------------------------------------------------------------------------------------------------------------------


def test_every_receiver_runs_and_failures_come_as_one_group():
    """Also if most of them fail; each failure names its receiver and the line that connected it."""
    changed = Signal(name="changed")
    one, two, three = Listener("one"), Listener("two"), Listener("three")
    changed.connect(one.fail)
    changed.connect(two.hear)
    changed.connect(three.fail)
    with pytest.raises(ExceptionGroup, match="2 receivers of signal 'changed' failed") as caught:
        changed.emit(1)
    assert two.heard == [1]
    assert [str(error) for error in caught.value.exceptions] == ["one", "three"]
    line = connect_line("changed.connect(one.fail)")
    assert caught.value.exceptions[0].__notes__ == [
        f"raised by Listener.fail, connected at {__file__}:{line}, a receiver of signal 'changed'"
    ]


@pytest.mark.parametrize("how", ["emit", "send", "aemit"])
@pytest.mark.parametrize("options", [{}, {"once": True}, {"owner": Listener}, {"weak": True}], ids=str)  # a class lives long enough
@pytest.mark.parametrize("ending", [False, True])
def test_a_receiver_is_named_even_if_its_connection_has_ended(how, options, ending):
    """As that of one that is called once has, and that of one that disconnects itself before it fails."""

    class Callable:
        def __call__(self):
            if ending:
                connections[0].disconnect()
            raise ValueError

    def fail():
        Callable()()

    bad, changed, connections = Callable(), Signal(), []
    for receiver, name in ((fail, "fail"), (bad, "Callable")):
        connections[:] = [changed.connect(receiver, **options)]
        with pytest.raises(ExceptionGroup) as caught:
            asyncio.run(changed.aemit()) if how == "aemit" else getattr(changed, how)()
        assert re.match(
            rf"raised by .*{name}, connected at {re.escape(__file__)}:\d+, a receiver of", caught.value.exceptions[0].__notes__[0]
        )
        changed.clear()


class TakesNoNotes(Exception):
    def add_note(self, note):
        raise RuntimeError(note)


class HasOtherNotes(Exception):
    def __init__(self):
        self.__notes__ = "mine"


@pytest.mark.parametrize("how", ["emit", "send", "aemit"])
@pytest.mark.parametrize("kind", [TakesNoNotes, HasOtherNotes])
def test_an_exception_that_takes_no_notes(how, kind):
    """Is raised with those of the others, and all receivers are called."""
    changed, error, heard = Signal(), kind(), []

    def fail():
        raise error

    changed.connect(fail)
    changed.connect(lambda: heard.append(1))
    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(changed.aemit()) if how == "aemit" else getattr(changed, how)()
    assert caught.value.exceptions[0] is error
    assert heard == [1]


class EndsAll(BaseException):
    def add_note(self, note):
        raise RuntimeError(note)


@pytest.mark.parametrize("how", ["emit", "send"])
def test_what_ends_an_emission_and_takes_no_notes(how):
    """Is raised, and nothing in its place."""
    changed = Signal()

    def fail():
        raise EndsAll

    changed.connect(fail)
    with pytest.raises(EndsAll):
        getattr(changed, how)()


def connect_line(text):
    """The first line of this file with this text."""
    with Path(__file__).open(encoding="utf-8") as file:
        return next(number for number, line in enumerate(file, 1) if line.strip() == text)


@pytest.mark.parametrize("how", ["emit", "send", "emit_from"])
def test_failures_of_each_way_to_emit(how):
    """send() and emit_from() fail as emit() does."""
    changed = Signal()
    bad, good = Listener("bad"), Listener("good")
    changed.connect(bad.fail)
    changed.connect(good.hear)
    arguments = (bad, 1) if how == "emit_from" else (1,)
    with pytest.raises(ExceptionGroup) as caught:
        getattr(changed, how)(*arguments)
    assert good.heard == [1]
    assert [type(error) for error in caught.value.exceptions] == [ValueError]
    assert hasattr(caught.value, "results") == (how == "send")


def test_results_of_the_others_come_with_the_failures_of_send():
    """Nothing that was worked out is lost."""
    changed = Signal()
    bad, good = Listener("bad"), Listener("good")
    changed.connect(bad.fail)
    changed.connect(good.hear)
    with pytest.raises(ExceptionGroup) as caught:
        changed.send(1)
    assert caught.value.results == [(good.hear, "good")]


@pytest.mark.parametrize("how", ["emit", "send", "emit_from"])
def test_a_base_exception_is_raised_at_once_and_loses_nothing(how):
    """Later receivers are not called; what had failed before is the context."""
    changed = Signal()
    bad, late = Listener("bad"), Listener("late")

    def interrupt(value):
        raise KeyboardInterrupt

    changed.connect(bad.fail)
    changed.connect(interrupt)
    changed.connect(late.hear)
    with pytest.raises(KeyboardInterrupt) as caught:
        getattr(changed, how)(*(bad, 1) if how == "emit_from" else (1,))
    assert late.heard == []
    context = caught.value.__context__
    assert isinstance(context, ExceptionGroup)
    assert [str(error) for error in context.exceptions] == ["bad"]


@pytest.mark.parametrize("how", ["emit", "send", "aemit"])
@pytest.mark.parametrize("again", [False, True])
def test_what_is_handled_meanwhile_is_in_no_circle(how, again):
    """It is the context of the failures, and they are that of what ended the emission, unless that is what was handled."""
    changed, bad, handled = Signal(), Listener("bad"), KeyboardInterrupt("handled")

    def interrupt():
        raise handled if again else KeyboardInterrupt("new")

    changed.connect(bad.fail)
    changed.connect(interrupt)
    with pytest.raises(KeyboardInterrupt) as caught:
        try:
            raise handled
        except KeyboardInterrupt:
            asyncio.run(changed.aemit()) if how == "aemit" else getattr(changed, how)()
    chain, error = [], caught.value
    while error is not None:
        assert error not in chain
        chain.append(error)
        error = error.exceptions[0].__context__ if isinstance(error, ExceptionGroup) else error.__context__
    assert [str(error).split(" (")[0] for error in chain] == (
        ["handled"] if again else ["new", "1 receiver of a signal without a name failed", "handled"]
    )


def test_an_exception_that_comes_again_gets_its_note_once():
    """One object raised for ever does not grow."""
    changed = Signal()
    error = ValueError("again")

    def fail():
        raise error

    changed.connect(fail)
    for _ in range(10):
        with pytest.raises(ExceptionGroup):
            changed.emit()
        error.__traceback__ = None
    assert len(error.__notes__) == 1


def test_wrong_arguments_are_a_failure_like_any_other():
    """The receivers that can take them are called."""
    changed = Signal()
    listener = Listener()
    changed.connect(lambda: None)
    changed.connect(listener.hear)
    with pytest.raises(ExceptionGroup) as caught:
        changed.emit(1)
    assert isinstance(caught.value.exceptions[0], TypeError)
    assert listener.heard == [1]


def test_a_group_of_a_receiver_is_one_failure():
    """Nested emissions give nested groups."""
    inner, outer = Signal(name="inner"), Signal(name="outer")
    bad = Listener("bad")
    inner.connect(bad.fail)
    outer.connect(lambda: inner.emit())
    with pytest.raises(ExceptionGroup) as caught:
        outer.emit()
    assert isinstance(caught.value.exceptions[0], ExceptionGroup)
    assert "inner" in "".join(traceback.format_exception(caught.value))


def test_endless_recursion_ends_in_an_error():
    """A receiver that emits its own signal for ever gets a RecursionError, however it is wrapped; nothing crashes."""
    changed = Signal()
    depth = [0]

    def again():
        depth[0] += 1
        changed.emit()

    changed.connect(again)
    with pytest.raises((ExceptionGroup, RecursionError)) as caught:
        changed.emit()
    error = caught.value
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, RecursionError)
    assert depth[0] > 10
    traceback.format_exception(caught.value)


# -- senders --------------------------------------------------------------------------------------------------------------------------


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


# -- coroutine functions --------------------------------------------------------------------------------------------------------------


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


# -- many -----------------------------------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("how", ["emit", "send"])
def test_receivers_that_raise_exceptions_of_frozen_classes(how):
    """All receivers run and the exception is in the group, with its note, though its class takes no assignments."""

    @dataclass(frozen=True)
    class Frozen(Exception):
        code: int = 1

    def fail(*_):
        raise Frozen

    signal: Signal[int] = Signal(name="frozen")
    heard = []
    signal.connect(fail)
    signal.connect(heard.append)
    with pytest.raises(ExceptionGroup) as caught:
        getattr(signal, how)(1)
    assert heard == [1]
    assert [type(error) for error in caught.value.exceptions] == [Frozen]
    assert "fail, connected at" in caught.value.exceptions[0].__notes__[0]


def test_what_ends_an_emission_may_be_frozen_too():
    """What is no Exception is raised as it is, and what had failed before is its context."""

    @dataclass(frozen=True)
    class Frozen(BaseException):
        code: int = 1

    def end(_):
        raise Frozen

    signal: Signal[int] = Signal()
    signal.connect(Listener("one").fail, weak=False)
    signal.connect(end)
    with pytest.raises(Frozen) as caught:
        signal.emit(1)
    assert isinstance(caught.value.__context__, ExceptionGroup)
