"""weak_partial: a partial in all it shows, which does not own the object it calls."""

from __future__ import annotations

import copy
import functools
import inspect
import pickle
import weakref

import pytest
from helpers.collect import Thing, freed_by_count, no_cyclic_garbage
from hypothesis import given
from hypothesis import strategies as st

from safemem import CycleWarning, DeadCallbackError, weak_callback, weak_partial


class Display:
    """Something with a method."""

    def show(self, *args, **kwargs):
        return (*args, *sorted(kwargs.items()))

    def draw(self, x, y=2, *, color="red"):
        return x, y, color

    @classmethod
    def make(cls, size):
        return cls.__name__, size

    def __call__(self, x):
        return x


class Numbers(list):
    """A builtin type that can be weakly referenced."""


def test_it_does_not_own_the_object():
    """The object dies by count; a call then returns None and calls nothing."""
    with freed_by_count() as watched:
        display = Display()
        watched.append(weakref.ref(display))
        show = weak_partial(display.show, 1, b=2)
        assert show(3, c=4) == (1, 3, ("b", 2), ("c", 4))
        del display
        assert show(3, c=4) is None


values = st.lists(st.integers(), max_size=3)
named = st.dictionaries(st.sampled_from("abcd"), st.integers(), max_size=3)


@given(st.lists(st.tuples(st.booleans(), values, named), min_size=1, max_size=4), values, named)
def test_calls_as_functools_partial_does(layers, args, kwargs):
    """However partials of both kinds are put into each other: the same arguments arrive, `args` and `keywords` are the same."""
    display = Display()
    usual, weak = display.show, display.show
    for is_weak, more, keywords in layers:
        usual = functools.partial(usual, *more, **keywords)
        weak = (weak_partial if is_weak else functools.partial)(weak, *more, **keywords)
    weak = weak_partial(weak)
    assert weak(*args, **kwargs) == usual(*args, **kwargs)
    assert (weak.args, weak.keywords) == (usual.args, usual.keywords)
    assert weak.func == usual.func
    del display, usual
    assert weak(*args, **kwargs) is None


def test_is_a_partial():
    """Whoever knows functools.partial knows it: by its type, its attributes, and as a part of another."""
    display = Display()
    draw = weak_partial(display.draw, 1)
    assert isinstance(draw, functools.partial)
    assert draw.func == display.draw
    draw.__name__ = "draw"
    assert vars(draw) == {"__name__": "draw"}
    assert inspect.signature(draw) == inspect.signature(functools.partial(display.draw, 1))
    outer = functools.partial(draw.__copy__(), color="blue")
    assert outer(5) == (1, 5, "blue")
    with pytest.raises(TypeError):
        draw(1, 2, 3, 4)


def test_func_of_a_dead_one():
    """It stays callable and has a signature; what it did it says in its repr."""
    display = Display()
    draw = weak_partial(display.draw, 1, color="blue")
    assert repr(draw) == f"safemem.weak_partial(<weak callback Display.draw of Display at {id(display):#x}>, 1, color='blue')"
    del display
    assert draw.func() is None
    assert repr(draw) == "safemem.weak_partial(<weak callback Display.draw, dead>, 1, color='blue')"
    assert inspect.signature(draw).parameters


def test_repr_of_one_that_has_itself():
    """A partial among its own arguments does not make repr recur."""
    display = Display()
    things = []
    show = weak_partial(display.show, things)
    things.append(show)
    assert repr(show).endswith(", [...])")
    things.clear()


@pytest.mark.parametrize(
    "wrap", [lambda partial: partial, functools.partial, weak_callback, weak_partial], ids=["", "partial", "callback", "weak"]
)
def test_others_that_take_it_do_not_own_the_object_either(wrap):
    """What is made of a weak partial lets the object go as well."""
    display = Display()
    made = wrap(weak_partial(display.show, 1))
    assert made(2) == (1, 2)
    with freed_by_count() as watched:
        watched.append(weakref.ref(display))
        del display
    assert made(2) is None


def test_on_dead_of_a_weak_callback():
    """A weak callback brings its own answer to the object's death."""
    display = Display()
    strict = weak_partial(weak_callback(display.show, on_dead="raise"), 1)
    assert strict(2) == (1, 2)
    del display
    with pytest.raises(DeadCallbackError):
        strict(2)


def test_methods_of_all_kinds():
    """Class methods, methods of builtin types, and special methods have an object too."""
    assert weak_partial(Display.make, 3)() == ("Display", 3)
    numbers = Numbers()
    weak_partial(numbers.append, 5)()
    assert numbers == [5]
    weak_partial(numbers.__setitem__, 0)(7)
    assert numbers == [7]


OTHERS = {
    "function": Display.show,
    "lambda": lambda: None,
    "builtin function": print,
    "class": Display,
    "callable object": Display(),
    "None": None,
    "text": "show",
    "partial of a function": functools.partial(print),
    "callback of a function": weak_callback(print),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_anything_else_is_refused(other):
    """What has no object to die with is for functools.partial."""
    with pytest.raises(TypeError, match="method must be a bound method, got .*functools.partial is for functions"):
        weak_partial(other, 1)


def test_an_object_that_cannot_be_weakly_referenced():
    """The refusal names the type and what to do."""
    with pytest.raises(TypeError, match="got an object of type list: add '__weakref__'"):
        weak_partial([].append, 1)
    with pytest.raises(TypeError):
        weak_partial()


def test_arguments_that_are_the_object():
    """They keep it: a warning says which, at the line that did it; other arguments are nobody's business."""
    display = Display()
    with pytest.warns(
        CycleWarning, match="weak_partial of Display.show keeps the Display object alive.*an argument of the partial"
    ) as seen:
        weak_partial(display.show, display)
    assert seen[0].filename == __file__
    with pytest.warns(CycleWarning, match="argument 'a' of the partial"):
        weak_partial(display.show, a=display)
    weak_partial(display.show, Display(), a=[display])


def test_copies():
    """A copy calls the same object, a deep copy too, with copied arguments."""
    display, argument = Display(), ["a"]
    show = weak_partial(display.show, argument, key=argument)
    show.mark = argument
    for other, same in ((copy.copy(show), True), (copy.deepcopy(show), False)):
        assert type(other) is weak_partial
        assert other.func == display.show
        assert other() == show()
        assert (other.args[0] is argument, other.keywords["key"] is argument, other.mark is argument) == (same,) * 3
    del display
    assert copy.copy(show)() is None
    assert copy.deepcopy(show)() is None


def test_pickling_says_what_to_do():
    """There is nothing useful to send."""
    display = Display()
    with pytest.raises(TypeError, match="a weak partial cannot be pickled.*Display.show"):
        pickle.dumps(weak_partial(display.show, 1))


def test_subclasses():
    """A subclass makes its own kind, and its copies are of that kind."""

    class Mine(weak_partial):
        pass

    display = Display()
    assert type(copy.copy(Mine(display.show, 1))) is Mine
    assert type(Mine(weak_partial(display.show, 1), 2)) is Mine


def test_no_cyclic_garbage():
    """An object that keeps its own weak partials, calls, copies, and refusals leave nothing for the collector."""
    with no_cyclic_garbage():
        thing = Display()
        thing.handler = weak_partial(thing.show, 1)
        thing.other = weak_partial(thing.handler, Thing(), key=Thing())
        thing.handler(2)
        thing.copies = [copy.copy(thing.other), copy.deepcopy(thing.handler), thing.other.func(3), repr(thing.other)]
        for bad in ([].append, print):
            with pytest.raises(TypeError):
                weak_partial(bad, thing.handler)
        del thing
