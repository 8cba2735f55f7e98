"""weak_callback: what it holds and what it does not, what the dead do, equality, and who captures its own owner."""

from __future__ import annotations

import copy
import inspect
import pickle
import weakref
from collections import deque
from functools import partial

import pytest
from helpers.collect import collector_off, no_cyclic_garbage

from safemem import CycleWarning, DeadCallbackError, SafememError, weak_callback


class Display:
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Display)

    __hash__ = None  # type: ignore[assignment]

    def show(self, *args: object, **kwargs: object) -> object:
        """Show it."""
        return args, kwargs

    def __call__(self, text: str) -> str:
        return text

    @classmethod
    def name(cls) -> str:
        return cls.__name__


class Slotted:
    __slots__ = ()

    def show(self) -> None: ...


def test_a_bound_method_does_not_keep_its_object():
    """It works while the object lives, whatever becomes of the method object."""
    with collector_off():
        display = Display()
        callback = weak_callback(display.show)
        assert callback(1, a=2) == ((1,), {"a": 2})
        assert callback.alive
        assert callback.owner is display
        alive = weakref.ref(display)
        del display
        assert alive() is None
        assert (callback.alive, callback.owner, callback(1)) == (False, None, None)


def test_on_dead():
    """None, an error, or another function with the same arguments."""
    display = Display()
    ignore, fail = weak_callback(display.show), weak_callback(display.show, on_dead="raise")
    other = weak_callback(display.show, on_dead=lambda *args: ("dead", args))
    del display
    assert ignore(1) is None
    assert other(1, 2) == ("dead", (1, 2))
    with pytest.raises(DeadCallbackError, match="Display.show was to be called for is gone") as caught:
        fail(1)
    assert isinstance(caught.value, (ReferenceError, SafememError))
    with pytest.raises(ValueError, match="on_dead must be 'ignore', 'raise' or a callable, got 'x'"):
        weak_callback(print, on_dead="x")  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="on_dead must be"):
        weak_callback(print, on_dead=3)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="func must be callable, got 3"):
        weak_callback(3)  # type: ignore[call-overload]


def test_functions_are_held_strongly():
    """A lambda does not die silently; with an owner it dies with that."""
    owner = Display()
    free, tied = weak_callback(lambda: 1), weak_callback(lambda: 2, owner=owner)
    assert (free(), tied(), free.owner) == (1, 2, None)
    del owner
    assert (free(), tied(), tied.alive) == (1, None, False)


def test_partials_builtins_and_callable_owners():
    """A partial of a bound method, a method of a builtin type, a class method, an owner that is called itself."""
    display, queue = Display(), deque()
    part = weak_callback(partial(partial(display.show, 1), 2, a=3))
    assert part(4, b=5) == ((1, 2, 4), {"a": 3, "b": 5})
    append = weak_callback(queue.append)
    append(1)
    assert list(queue) == [1]
    itself = weak_callback(display, owner=display)
    assert itself("x") == "x"
    assert weak_callback(Display.name)() == "Display"
    del display, queue
    assert not any(callback.alive for callback in (part, append, itself))


def test_owners_that_cannot_be_referenced_are_refused():
    """The error says what to do."""
    with pytest.raises(TypeError, match="the object of a bound method must be .* type list: add '__weakref__'"):
        weak_callback([].append)
    with pytest.raises(TypeError, match="Slotted: add '__weakref__'"):
        weak_callback(Slotted().show)
    with pytest.raises(TypeError, match="owner must be .* type int"):
        weak_callback(print, owner=3)


def test_equality_goes_by_identity():
    """Of object, function and the arguments of partials; owners are neither compared nor hashed, and the dead stay equal to themselves."""
    one, other = Display(), Display()
    assert weak_callback(one.show) == weak_callback(one.show)
    assert hash(weak_callback(one.show)) == hash(weak_callback(one.show))
    assert weak_callback(one.show) != weak_callback(other.show)
    assert weak_callback(one.show) != weak_callback(one.__call__)
    assert weak_callback(partial(print, one), owner=other) != weak_callback(partial(print, other), owner=one)
    pair = {weak_callback(one.show), weak_callback(one.show)}
    assert len(pair) == 1
    callback = next(iter(pair))
    del one
    assert callback in pair
    assert callback != weak_callback(Display().show)


def test_introspection_and_copies():
    """Name and signature are those of the method; a copy is the callback; a pickle is refused."""
    display = Display()
    callback = weak_callback(display.show)
    assert (callback.__name__, callback.__qualname__) == ("show", "Display.show")
    assert callback.__wrapped__ == display.show
    assert inspect.signature(callback) == inspect.signature(display.show)
    assert callback.function is Display.show
    assert copy.copy(callback) is copy.deepcopy(callback) is callback
    assert "Display.show of Display at" in repr(callback)
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(callback)
    del display
    assert repr(callback) == "<weak callback Display.show, dead>"
    assert not hasattr(callback, "__wrapped__")


def test_who_captures_its_owner_is_warned():
    """The warning names the variable, at the line that made the callback."""
    window = Display()
    with pytest.warns(CycleWarning, match="its closure, as variable 'window'") as caught:
        weak_callback(lambda: window.show(), owner=window)
    assert caught[0].filename == __file__
    with pytest.warns(CycleWarning, match="an argument of the partial"):
        weak_callback(partial(print, window), owner=window)
    with pytest.warns(CycleWarning, match="a default of its parameters"):
        weak_callback(lambda w=window: w, owner=window)
    show = window.show
    with pytest.warns(CycleWarning, match="through variable 'show'"):
        weak_callback(lambda: show(), owner=window)


def test_no_cyclic_garbage():
    """Nothing of ours waits for the collector, errors included."""
    with no_cyclic_garbage("weak_callback"):
        display = Display()
        callback = weak_callback(display.show, on_dead="raise")
        callback()
        del display
        try:
            callback()
        except DeadCallbackError:
            pass
        del callback
