"""Warnings of receivers that keep their own emitter alive: which, where from, and what is innocent."""

from __future__ import annotations

import functools
import gc
import warnings
import weakref

import pytest
from helpers.listeners import EMITTERS, Emitter, Listener, SlottedEmitter

from safemem import CycleWarning, Signal


class Widget:
    """An emitter with methods of its own."""

    changed: Signal[int] = Signal()

    def show(self, value): ...

    def by_lambda(self):
        self.changed.connect(lambda value: self.show(value))

    def by_nested_function(self):
        def receiver(value):
            self.show(value)

        self.changed.connect(receiver)

    def by_partial_argument(self):
        self.changed.connect(functools.partial(Widget.show, self))

    def by_partial_of_a_method(self):
        self.changed.connect(functools.partial(self.show, 1))

    def by_keyword_of_a_partial(self):
        self.changed.connect(functools.partial(print, file=self))

    def by_default(self):
        self.changed.connect(lambda value, me=self: me.show(value))

    def by_keyword_default(self):
        def receiver(value, *, me=self): ...

        self.changed.connect(receiver)

    def by_strong_method(self):
        self.changed.connect(self.show, weak=False)

    def by_method_in_a_closure(self):
        method = self.show
        self.changed.connect(lambda value: method(value))

    def by_decorated_closure(self):
        @functools.wraps(print)
        def wrapper(value):
            return inner(value)

        def inner(value):
            self.show(value)

        self.changed.connect(wrapper)

    def by_decorator(self):
        @self.changed.receiver
        def receiver(value):
            self.show(value)

    def by_owner(self):
        self.changed.connect(lambda value: self.show(value), owner=self)


PLACES = {
    "by_lambda": "its closure, as variable 'self'",
    "by_nested_function": "its closure, as variable 'self'",
    "by_partial_argument": "an argument of the partial",
    "by_partial_of_a_method": "the object the method is bound to",
    "by_keyword_of_a_partial": "argument 'file' of the partial",
    "by_default": "a default of its parameters",
    "by_keyword_default": "the default of parameter 'me'",
    "by_strong_method": "the object the method is bound to",
    "by_method_in_a_closure": "its closure, through variable 'method'",
    "by_decorated_closure": "its closure, through variable 'inner': its closure, as variable 'self'",
    "by_decorator": "its closure, as variable 'self'",
    "by_owner": "its closure, as variable 'self'",
}


@pytest.mark.parametrize("how", PLACES)
def test_a_receiver_that_captures_its_emitter_warns(how):
    """The warning names the emitter, the place where it is held, and the line that connects."""
    widget = Widget()
    with pytest.warns(CycleWarning, match="keeps the Widget object alive whose signal it is connected to") as seen:
        getattr(widget, how)()
    assert len(seen) == 1
    assert f"held by {PLACES[how]};" in str(seen[0].message)
    assert seen[0].filename == __file__
    code = getattr(Widget, how).__code__
    last = max(line for _, _, line in code.co_lines() if line is not None)
    assert code.co_firstlineno < seen[0].lineno <= last
    assert len(widget.changed) == 1


@pytest.mark.parametrize("how", PLACES)
def test_a_warning_that_is_an_error_connects_nothing(how):
    """Nothing half done."""
    widget = Widget()
    with warnings.catch_warnings():
        warnings.simplefilter("error", CycleWarning)
        with pytest.raises(CycleWarning):
            getattr(widget, how)()
    assert len(widget.changed) == 0
    watch = weakref.ref(widget)
    del widget
    assert watch() is None


@pytest.mark.parametrize("kind", EMITTERS)
def test_whatever_the_emitter(kind):
    """Nothing of it is compared or hashed."""
    emitter = kind()
    with pytest.warns(CycleWarning, match="as variable 'emitter'"):
        emitter.changed.connect(lambda value: emitter)


def test_innocent_receivers():
    """A bound method of the emitter, closures over other things, empty cells, what is held weakly."""
    emitter, other = Widget(), Widget()
    emitter.changed.connect(emitter.show)
    emitter.changed.connect(other.show, weak=False)
    emitter.changed.connect(lambda value: other.show(value))
    emitter.changed.connect(functools.partial(print, other, file=other))
    weakly = weakref.ref(emitter)
    emitter.changed.connect(lambda value: weakly().show(value))

    def recursive(value):
        recursive(value)

    emitter.changed.connect(recursive)

    def keeps(value):
        return emitter

    emitter.changed.connect(keeps, weak=True)

    def empty(value):
        return later

    emitter.changed.connect(empty)
    assert len(emitter.changed) == 8
    later = None
    # A signal that is nobody's attribute has no emitter.
    changed: Signal[int] = Signal()
    changed.connect(lambda value: changed)


def test_a_closure_over_an_owner_without_a_dictionary():
    """There is no place for it but a global one, from where it keeps its owner: that is said."""
    owner = SlottedEmitter()
    changed = Signal()
    with pytest.warns(CycleWarning, match=r"keeps the SlottedEmitter object alive .* as variable 'owner'"):
        changed.connect(lambda value: owner, owner=owner)


def test_code_that_belongs_to_no_module_is_warned_too():
    """What is executed with names of its own, as in a notebook or a plug-in, may have no `__name__`."""
    names = {"emitter": Emitter()}
    with pytest.warns(CycleWarning, match="'emitter'"):
        exec("(lambda emitter: emitter.changed.connect(lambda value: emitter))(emitter)", names)
    assert "__name__" not in names


def test_what_is_deeper_is_not_found_but_is_collected():
    """An emitter with a __dict__ whose receiver leads back to it by a detour is plain cyclic garbage."""

    def make():
        emitter = Emitter()
        box = Listener([emitter])
        emitter.changed.connect(lambda value: box)
        return weakref.ref(emitter)

    watch = make()
    assert watch() is not None
    gc.collect()
    assert watch() is None
