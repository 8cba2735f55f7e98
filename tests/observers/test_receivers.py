"""Who is held and how: methods by their object, all else strongly, owners, weak=, and what is found again by disconnect()."""

from __future__ import annotations

import gc
import re
import sys
import weakref
from collections import deque
from functools import partial

import pytest
from helpers.collect import freed_by_count
from helpers.listeners import Emitter, Equal, Listener

from safemem import LRUCache, Signal, TTLCache, WeakIdentityDict, cached
from safemem.observers import capture


class Slotted:
    """Cannot be weakly referenced."""

    __slots__ = ()

    def hear(self, value): ...


class Callable:
    """Can be called, and weakly referenced."""

    def __init__(self):
        self.heard = []

    def __call__(self, value):
        self.heard.append(value)


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


# -- owner= ---------------------------------------------------------------------------------------------------------------------------


def test_a_closure_lives_as_long_as_its_owner():
    """It is let go of as soon as the owner is gone, without anything being done with the signal."""
    changed = Signal()
    owner, captured = Listener(), Listener()

    def connect(captured, owner):
        changed.connect(lambda value: captured.hear(value), owner=owner)

    connect(captured, owner)
    changed.emit(1)
    assert captured.heard == [1]
    with freed_by_count() as watched:
        watched += [weakref.ref(owner), weakref.ref(captured)]
        del owner, captured
    changed.emit(2)
    assert len(changed) == 0


def test_a_closure_over_its_own_owner_does_not_pin_it():
    """The two are plain cyclic garbage once nobody else holds the owner, whatever becomes of the signal."""
    changed = Signal()

    def connect():
        owner = Listener()
        changed.connect(lambda value: owner.hear(value), owner=owner)
        changed.emit(1)
        assert owner.heard == [1]
        return weakref.ref(owner)

    watch = connect()
    gc.collect()
    assert watch() is None
    assert len(changed) == 0
    changed.emit(2)


def test_an_owner_keeps_nothing_of_a_signal_that_is_gone():
    """A long-lived owner with many short-lived signals does not collect their receivers."""
    owner = Listener()
    captured = [Listener() for _ in range(50)]

    def connect(one):
        Signal().connect(lambda: one, owner=owner)

    for one in captured:
        connect(one)
    with freed_by_count() as watched:
        watched += [weakref.ref(one) for one in captured]
        del one
        captured.clear()
    [handle] = [value for name, value in vars(owner).items() if "safemem" in name]
    assert len(handle.owned) < 5


def test_disconnecting_lets_go_of_what_an_owner_has():
    """Not only when the owner goes."""
    changed = Signal()
    owner, captured = Listener(), Listener()
    connection = changed.connect(partial(print, captured), owner=owner)
    with freed_by_count() as watched:
        watched.append(weakref.ref(captured))
        del captured
        assert connection.disconnect()
    assert not connection.disconnect()


def test_a_method_with_an_owner_dies_with_either():
    """Of its object and its owner, the first to go ends it."""
    for first in (0, 1):
        changed = Signal()
        pair = [Listener(), Listener()]
        changed.connect(pair[0].hear, owner=pair[1])
        changed.emit(1)
        assert pair[0].heard == [1]
        del pair[first]
        assert len(changed) == 0


def test_slotted_and_unhashable_owners():
    """They own as any other object."""

    class SlottedOwner:
        __slots__ = ("__weakref__",)
        __hash__ = None

        def __eq__(self, other):
            return True

    changed = Signal()
    heard = []
    one, two = SlottedOwner(), SlottedOwner()
    changed.connect(lambda value: heard.append((1, value)), owner=one)
    changed.connect(lambda value: heard.append((2, value)), owner=two)
    del one
    changed.emit(5)
    assert heard == [(2, 5)]


# -- weak= ----------------------------------------------------------------------------------------------------------------------------


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


# -- disconnect() ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"owner": Listener}, {"weak": False}], ids=str)
def test_disconnect_finds_a_method_by_object_and_function(options):
    """Equal objects are different listeners."""
    changed = Signal()
    one, two = Equal(), Equal()
    changed.connect(one.hear, **options)
    assert not changed.disconnect(two.hear)
    assert not changed.disconnect(Equal.hear)
    changed.emit(1)
    assert (one.heard, two.heard) == ([1], [])
    assert changed.disconnect(one.hear)
    assert not changed.disconnect(one.hear)
    changed.emit(2)
    assert one.heard == [1]


def test_disconnect_finds_builtin_methods_by_object():
    """Each look-up makes another bound method; equal lists are different objects."""
    changed = Signal()
    one, two = [], []
    changed.connect(one.append)
    assert not changed.disconnect(two.append)
    assert not changed.disconnect(one.extend)
    assert changed.disconnect(one.append)
    changed.connect(one.__iadd__)
    assert not changed.disconnect(two.__iadd__)
    assert changed.disconnect(one.__iadd__)
    changed.connect(print)
    assert changed.disconnect(print)


def test_disconnect_finds_partials_by_identity():
    """Partials of one function are different receivers."""
    changed = Signal()
    one, two = partial(print, 1), partial(print, 1)
    changed.connect(one)
    assert not changed.disconnect(two)
    assert changed.disconnect(one)


def test_a_receiver_may_be_connected_twice():
    """Each connection is one of its own; disconnect() by receiver ends all of them."""
    changed = Signal()
    listener = Listener()
    first = changed.connect(listener.hear)
    second = changed.connect(listener.hear)
    assert first != second
    changed.emit(1)
    assert listener.heard == [1, 1]
    first.disconnect()
    changed.emit(2)
    assert listener.heard == [1, 1, 2]
    changed.connect(listener.hear)
    assert changed.disconnect(listener.hear)
    assert len(changed) == 0


@pytest.mark.parametrize(
    "options", [{}, {"once": True}, {"priority": 2}, {"weak": False}, {"sender": Listener}, {"owner": Listener}], ids=str
)
def test_disconnect_whatever_the_options(options):
    """Methods and functions are found."""
    changed = Signal()
    listener = Listener()

    def receiver(value): ...

    changed.connect(listener.hear, **options)
    changed.connect(receiver, **options)
    assert len(changed) == 2
    assert changed.disconnect(listener.hear)
    assert changed.disconnect(receiver)
    assert len(changed) == 0


def test_disconnect_while_blocked():
    """A receiver that is blocked is connected all the same."""
    changed = Signal()
    listener = Listener()
    connection = changed.connect(listener.hear)
    with connection.block():
        assert changed.disconnect(listener.hear)
    changed.emit(1)
    assert listener.heard == []
