"""Receivers that are held weakly, or strongly, because it is asked for."""

from __future__ import annotations

import sys
import weakref
from functools import partial

import pytest
from helpers.collect import freed_by_count
from helpers.listeners import Callable, Listener

from safemem import Signal
from safemem.observers import capture


def test_weak_true_holds_a_function_weakly():
    """It is called while somebody else holds it."""
    changed = Signal()
    heard = []

    def receiver(value):
        heard.append(value)

    connection = changed.connect(receiver, weak=True)
    assert connection.receiver is receiver
    changed.emit(1)
    with freed_by_count() as watched:
        watched.append(weakref.ref(receiver))
        del receiver
    changed.emit(2)
    assert heard == [1]
    assert not connection.connected


def test_weak_true_holds_a_callable_object_weakly():
    """As a function."""
    changed = Signal()
    receiver = Callable()
    changed.connect(receiver, weak=True, priority=1)
    changed.emit(1)
    assert receiver.heard == [1]
    assert changed.disconnect(receiver)


@pytest.mark.parametrize("make", [lambda: lambda: None, lambda: partial(print), Callable], ids=["lambda", "partial", "callable object"])
def test_weak_true_on_what_would_die_at_once_warns(make):
    """Nothing dies silently: the warning comes at the line that connects."""
    changed = Signal()
    with pytest.warns(RuntimeWarning, match="held weakly and nobody else holds it") as seen:
        changed.connect(make(), weak=True)
    assert seen[0].filename == __file__


def test_a_method_of_an_object_that_nobody_holds_warns():
    """It is gone when connect() returns, which nobody can have wanted."""
    changed = Signal()
    with pytest.warns(RuntimeWarning, match=r"Listener.hear is held weakly"):
        changed.connect(Listener().hear)
    assert len(changed) == 0


def test_a_receiver_in_a_variable_of_a_caller_is_held():
    """Reference counts do not show it where calls borrow what is in variables, so the frames are looked at."""

    def caller(look):
        receiver = lambda: None  # noqa: E731 - in a variable
        return look(receiver)

    def found(receiver):
        return capture._on_the_stack(receiver, sys._getframe(1))

    assert caller(found)
    passing = found(lambda: None)  # outside of the assertion, which keeps what it is made of
    assert not passing


def test_a_method_that_somebody_holds_does_not_warn():
    """Its object lives in it."""
    changed = Signal()
    method = Listener().hear
    changed.connect(method)
    changed.connect(method, weak=True, priority=3)
    changed.emit(1)
    assert method.__self__.heard == [1, 1]


def test_weak_false_holds_a_method_strongly():
    """The object lives as long as the connection."""
    changed = Signal()
    listener = Listener()
    heard = listener.heard
    connection = changed.connect(listener.hear, weak=False)
    watch = weakref.ref(listener)
    del listener
    changed.emit(1)
    assert heard == [1]
    connection.disconnect()
    assert watch() is None


def test_weak_true_of_a_function_with_an_owner_is_refused():
    """One of the two would be ignored."""
    with pytest.raises(ValueError, match="owner and weak=True exclude each other"):
        Signal().connect(print, owner=Listener(), weak=True)


def test_a_class_and_a_builtin_function_can_be_weak_if_they_can_be_referenced():
    """What cannot is refused."""
    changed = Signal()
    changed.connect(Callable, weak=True)
    assert len(changed) == 1
    bound = [].append
    changed.connect(bound, weak=True)
    assert len(changed) == 2
