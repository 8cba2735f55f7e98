"""Receivers: which are held weakly and which strongly."""

from __future__ import annotations

import gc
import re
import weakref
from collections import deque
from functools import partial

import pytest
from helpers.collect import freed_by_count
from helpers.listeners import Callable, Emitter, Listener

from safemem import LRUCache, Signal, TTLCache, WeakIdentityDict, cached


class Slotted:
    """Cannot be weakly referenced."""

    __slots__ = ()

    def hear(self, value): ...


def test_a_bound_method_is_held_by_its_object():
    """The object dies by reference count, and its method is called no more."""
    changed = Signal()
    listener = Listener()
    changed.connect(listener.hear)
    changed.emit(1)
    assert listener.heard == [1]
    with freed_by_count() as watched:
        watched.append(weakref.ref(listener))
        del listener
    assert len(changed) == 0
    changed.emit(2)


def test_the_function_of_a_bound_method_is_not_weak():
    """A method that was put on one class only, with nobody else to hold the function, is still called."""
    changed = Signal()
    listener = Listener()
    changed.connect((lambda self, value: self.heard.append(value)).__get__(listener))
    gc.collect()
    changed.emit(1)
    assert listener.heard == [1]


STRONG = {
    "lambda": lambda heard: lambda value: heard.append(value),
    "partial": lambda heard: partial(heard.append),
    "builtin method": lambda heard: heard.append,
}


@pytest.mark.parametrize("make", STRONG.values(), ids=STRONG)
def test_functions_lambdas_partials_and_builtin_methods_are_strong(make):
    """They do not die silently."""
    changed = Signal()
    heard: list[int] = []
    changed.connect(make(heard))
    gc.collect()
    changed.emit(1)
    assert heard == [1]


def test_a_callable_object_is_strong():
    """Even if nobody else holds it."""
    changed = Signal()
    receiver = Callable()
    heard = receiver.heard
    changed.connect(receiver)
    del receiver
    gc.collect()
    changed.emit(1)
    assert heard == [1]


def test_a_callable_object_that_is_false():
    """Is a receiver like any other, and none of its code but the call is run."""

    class Empty:
        def __call__(self):
            return "called"

        def __len__(self):
            raise AssertionError("asked")

    changed, empty = Signal(), Empty()
    connection = changed.connect(empty)
    assert changed.send() == [(empty, "called")]
    assert connection.receiver is empty
    assert "Empty" in repr(connection)
    assert changed.disconnect(empty)


def test_a_method_of_a_builtin_object_is_strong():
    """A deque stays as long as something is appended to it."""
    changed = Signal()
    changed.connect(deque().append)
    assert len(changed) == 1
    changed.emit(1)
    assert list(changed.connections()[0].receiver.__self__) == [1]


def of_signal():
    changed = Signal()
    return changed, changed.emit


def of_cache():
    cache = LRUCache(3)
    return cache, cache.get


def of_slot():
    table = WeakIdentityDict()
    return table, table.__contains__


class MyCache(TTLCache):
    pass


def of_subclass():
    cache = MyCache(3, 60)
    return cache, cache.pop


@pytest.mark.parametrize("make", [of_signal, of_cache, of_slot, of_subclass])
@pytest.mark.parametrize("options", [{}, {"once": True}, {"owner": Listener}], ids=str)
def test_methods_of_what_this_package_makes_are_bound_methods(make, options):
    """Held weakly, found and named, whether they are compiled or not: a signal connected to a signal does not pin it."""
    changed = Signal()
    obj, method = make()
    connection = changed.connect(method, **options)
    name = method.__name__
    assert connection.receiver == method
    assert re.search(rf"\w+\.{name} to ", repr(connection))
    assert changed.disconnect(getattr(obj, name))
    assert not connection.connected
    changed.clear()
    changed.connect(method, **options)
    assert len(changed) == 1
    del method
    with freed_by_count() as watched:
        watched.append(weakref.ref(obj))
        del obj
    assert len(changed) == 0


def test_a_signal_that_is_connected_to_a_signal():
    """Passes emissions on, and dies with its emitter."""
    source, target, heard = Emitter(), Emitter(), []
    source.changed.connect(target.changed.emit)
    target.changed.connect(heard.append)
    source.changed.emit(1)
    assert heard == [1]
    del target
    assert len(source.changed) == 0
    source.changed.emit(2)
    assert heard == [1]
    with pytest.warns(RuntimeWarning, match="nobody else holds"):
        source.changed.connect(Signal().emit)


def test_a_class_is_a_receiver():
    """It is called, and held strongly."""
    made = []

    class Event:
        def __init__(self, value):
            made.append(value)

    changed = Signal()
    changed.connect(Event)
    changed.emit(3)
    assert made == [3]


def test_class_methods_and_static_methods():
    """Both are called; a class method is held by its class."""

    class Hearing:
        heard = []

        @classmethod
        def hear(cls, value):
            cls.heard.append(value)

        @staticmethod
        def listen(value):
            Hearing.heard.append(-value)

    changed = Signal()
    changed.connect(Hearing.hear)
    changed.connect(Hearing().listen)
    changed.emit(1)
    assert Hearing.heard == [1, -1]
    assert changed.disconnect(Hearing.hear)
    assert changed.disconnect(Hearing.listen)


def test_a_cached_method_does_not_pin_its_object():
    """A decorated method that says what it is bound to is held as any other bound method."""

    class Worker:
        def __init__(self):
            self.heard = []

        @cached
        def hear(self, value):
            self.heard.append(value)

    changed = Signal()
    worker = Worker()
    changed.connect(worker.hear)
    changed.emit(1)
    changed.emit(1)
    assert worker.heard == [1]
    with freed_by_count() as watched:
        watched.append(weakref.ref(worker))
        del worker
    assert not changed


def test_an_object_that_cannot_be_weakly_referenced_is_refused():
    """With its type, and what to do."""
    changed = Signal()
    with pytest.raises(
        TypeError, match=r"the object of a bound method must be something that can be weakly referenced, got .*Slotted.*weak=False"
    ):
        changed.connect(Slotted().hear)
    assert len(changed) == 0
    changed.connect(Slotted().hear, weak=False)
    assert len(changed) == 1


@pytest.mark.parametrize("option", ["owner", "sender"])
def test_an_owner_or_sender_that_cannot_be_weakly_referenced_is_refused(option):
    """It is named, and nothing is connected."""
    changed = Signal()
    with pytest.raises(TypeError, match=f"{option} must be something that can be weakly referenced, got an object of type list"):
        changed.connect(print, **{option: []})
    assert len(changed) == 0
