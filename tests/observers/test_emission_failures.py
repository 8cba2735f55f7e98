"""Emission: receivers that fail, and what becomes of their exceptions."""

from __future__ import annotations

import asyncio
import re
import traceback
from dataclasses import dataclass
from pathlib import Path

import pytest
from helpers.listeners import Listener

from safemem import Signal


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
