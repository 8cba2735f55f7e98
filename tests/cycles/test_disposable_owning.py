"""Disposable: what it owns, how that is closed, and what is let go of."""

from __future__ import annotations

import contextlib
import functools
import os
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from helpers.collect import freed_by_count, no_cyclic_garbage
from helpers.disposables import Plain, Resource, every_kind

from safemem import CycleWarning, Disposable
from safemem.errors import ClosedError


class TestOwning:
    """What can be owned, and what owning means."""

    def test_all_sorts(self):
        """Something with `close()`, context managers, functions; the way is chosen when it is handed over."""
        log = []

        class Manager:
            def __enter__(self):
                return self

            def __exit__(self, *details):
                log.append(details)

        thing = Plain()
        thing.own(functools.partial(log.append, "partial"))
        thing.own(Manager())
        thing.own(contextlib.closing(Resource(log, "closing")))
        thing.own(item for item in [1])
        file = thing.own(Path(os.devnull).open())
        thing.own(log.clear)
        thing.close()
        assert log == ["closing", (None, None, None), "partial"]
        assert file.closed

    @pytest.mark.parametrize("bad", [None, 5, "x", object(), Resource, [1]])
    def test_bad(self, bad):
        """What has no way to be closed, classes among that, is refused at once."""
        with Plain() as thing, pytest.raises(TypeError, match=r"resource must have close\(\) or aclose\(\), be a context manager"):
            thing.own(bad)

    def test_not_itself(self):
        """An object does not own itself."""
        with Plain() as thing, pytest.raises(ValueError, match="cannot own itself"):
            thing.own(thing)

    def test_disown(self):
        """What is given up, by identity, is not closed; what is not owned is refused."""
        log = []
        first, second = Resource(log, 1), Resource(log, 2)
        with Plain() as thing:
            thing.own(first)
            thing.own(second)
            thing.own(second)
            thing.own(thing.close)
            assert thing.disown(second) is second
            assert thing.disown(first) is first
            thing.disown(thing.close)
            with pytest.raises(ValueError, match="resource must be owned by <Plain object"):
                thing.disown(first)
            with pytest.raises(ValueError, match="resource must be owned"):
                thing.disown(thing.close)
        assert log == [2]

    @every_kind
    def test_too_late(self, kind):
        """What is handed to a closed object is closed at once and refused; nothing stays open."""
        log: list[Any] = []
        thing = kind(log)
        thing.close()
        with pytest.raises(ClosedError):
            thing.own(Resource(log, "late"))
        assert log == ["dispose", "late"]
        with pytest.raises(ClosedError) as caught:
            thing.own(Resource(log, "bad", KeyError))
        assert isinstance(caught.value.__cause__, KeyError)

    def test_while_closing(self):
        """What is handed over by `_dispose()`, or by what is just being closed, is closed too."""
        log = []

        class Late(Plain):
            def _dispose(self):
                self.own(Resource(log, "by dispose"))

        thing = Late()

        def more():
            with pytest.raises(ClosedError):
                thing.own(Resource(log, "by another"))

        with pytest.warns(CycleWarning, match="closure, as variable 'thing'"):
            thing.own(more)
        thing.close()
        assert log == ["by dispose", "by another"]

    def test_own_methods(self):
        """A method of the object itself is called, and does not keep the object."""
        log = []

        class Timer(Disposable):
            def start(self):
                self.own(self.stop)

            def stop(self):
                log.append("stopped")

        with freed_by_count() as watched:
            timer = Timer()
            timer.start()
            watched.append(weakref.ref(timer))
            timer.close()
            assert log == ["stopped"]
            del timer
        with freed_by_count() as watched, pytest.warns(ResourceWarning, match="unclosed <.*Timer"):
            timer = Timer()
            timer.start()
            watched.append(weakref.ref(timer))
            del timer
        assert log == ["stopped"] * 2

    def test_a_function_that_captures_the_object(self):
        """It makes a cycle, and so it is warned about, at the line that hands it over."""
        with Plain() as thing:
            with pytest.warns(CycleWarning, match="the Plain object .* closure, as variable 'thing'") as seen:
                thing.own(lambda: thing.log)
            assert seen[0].filename == __file__
            with pytest.warns(CycleWarning, match="an argument of the partial"):
                thing.own(functools.partial(print, thing))


class TestClearing:
    """`clear_on_close`."""

    def test_attributes_are_cleared(self):
        """Attributes named in any class of the object are None afterwards; one name need not be a tuple."""

        class Base(Disposable):
            clear_on_close = ("first", "second")

        class Derived(Base):
            clear_on_close = "third"

            def __init__(self):
                self.first = self.second = self.third = self.fourth = object()

        thing = Derived()
        thing.close()
        assert (thing.first, thing.second, thing.third) == (None, None, None)
        assert thing.fourth is not None

    def test_frozen_and_slotted(self):
        """It works where assigning is forbidden; a slot that is not there is an error."""

        @dataclass(frozen=True, slots=True)
        class Data(Disposable):
            clear_on_close = ("parent", "nothing")
            parent: Any

        data = Data(object())
        with pytest.raises(ExceptionGroup) as caught:
            data.close()
        assert data.parent is None
        assert isinstance(caught.value.exceptions[0], AttributeError)

    def test_it_breaks_a_cycle(self):
        """A strong parent that is cleared by closing leaves nothing to the collector."""

        class Child(Disposable):
            clear_on_close = ("parent",)

            def __init__(self, parent):
                self.parent = parent

        with no_cyclic_garbage(), freed_by_count() as watched:
            parent = Plain()
            child = parent.own(Child(parent))
            watched += [weakref.ref(parent), weakref.ref(child)]
            parent.close()
            del parent, child
