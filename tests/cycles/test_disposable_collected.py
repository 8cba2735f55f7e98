"""Disposable: what is collected open, and the warning that says so."""

from __future__ import annotations

import gc
import warnings
from typing import Any

import pytest
from helpers.disposables import Mixed, Plain, Resource, Slotted, every_kind, this_line
from helpers.forks import forks, in_child
from helpers.isolate import assert_clean, run_code
from helpers.recorder import unraisable

from safemem import Disposable


class TestCollectedOpen:
    """An object that nobody closed is closed when it goes, and that is told."""

    @every_kind
    def test_warns_and_closes(self, kind):
        """The warning names the class and the line that made it; everything is closed as by `close()`."""
        log: list[Any] = []
        thing = kind(log)
        line = this_line()
        thing.own(Resource(log, 1))
        with pytest.warns(
            ResourceWarning, match=f"unclosed <{kind.__name__} object at .*, created at .*test_disposable_collected.py:{line - 1}: "
        ) as seen:
            del thing
        assert seen[0].filename == __file__
        assert log == ["dispose", 1]

    def test_the_line_is_that_of_the_call(self):
        """Neither `__new__` of a subclass nor its `__init__` is in the way."""

        class Deep(Disposable):
            def __new__(cls):
                return super().__new__(cls)

            def __init__(self):
                super().__init__()

        with pytest.warns(ResourceWarning, match=f"test_disposable_collected.py:{this_line() + 1}: "):
            Deep()

    @every_kind
    def test_it_is_the_same_object_until_it_is_closed(self, kind):
        """What `_dispose()` asks and does is as in `close()`: it is open, is not disposed of a second time, and may own more."""
        log: list[Any] = []

        class Asking(kind):
            __slots__ = ()

            def _dispose(self):
                assert not self.closed
                self._check_open()
                self.close()
                self.own(lambda: log.append("late"))
                super()._dispose()

        thing = Asking(log)
        with unraisable() as errors, pytest.warns(ResourceWarning, match="unclosed"):
            del thing
        assert errors == []
        assert log == ["dispose", "late"]

    def test_closed_ones_are_silent(self):
        """Nothing is said of what was closed, however, when it is dropped."""
        with unraisable() as errors, warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            Plain().close()
            with Slotted():
                pass
            Plain()
        assert (errors, len(said)) == ([], 1)  # of the last one

    def test_in_a_cycle(self):
        """It is closed when the collector finds it."""
        log = []
        thing = Plain(log)
        thing.me = thing
        thing.own(Resource(log, 1))
        del thing
        with pytest.warns(ResourceWarning, match="unclosed"):
            gc.collect()
        assert log == ["dispose", 1]

    def test_errors_are_told(self):
        """Nobody is there to catch them, so they go to `sys.unraisablehook`, and the rest is closed."""
        log = []
        with unraisable() as told, pytest.warns(ResourceWarning):
            thing = Plain(log)
            thing.own(Resource(log, 1, KeyError))
            thing.own(Resource(log, 2, KeyboardInterrupt))
            del thing
        assert [type(error) for error in told] == [KeyboardInterrupt, KeyError]
        assert log == ["dispose", 2, 1]

    def test_the_warning_is_an_error(self):
        """It then goes the way of the other errors, and everything is closed."""
        log = []
        with unraisable() as told:
            thing = Plain(log)
            thing.own(Resource(log, 1))
            del thing
        assert [type(error) for error in told] == [ResourceWarning]
        assert log == ["dispose", 1]

    @forks
    def test_fork(self):
        """A forked child closes nothing that its parent made, but what it made itself."""
        log = []
        thing = Plain(log)

        def work():
            nonlocal thing
            del thing
            assert log == []
            mine = Plain(log)
            mine.close()
            assert log == ["dispose"]

        assert in_child(work) == 0
        thing.close()

    def test_exit(self):
        """At exit of the interpreter nothing is closed and nothing is said."""
        code = """
from safemem import Disposable
class Thing(Disposable):
    def _dispose(self):
        print("closed")
class Slotted(Thing):
    __slots__ = ("me",)
thing, other, third = Thing(), Slotted(), Thing()
third.me = third
print("end")
"""
        done = run_code(code, "-W", "always")
        assert_clean(done)
        assert done.stdout == "end\n"

    @pytest.mark.parametrize(
        ("options", "place"),
        [
            (("-W", "always"), True),
            (("-X", "dev"), True),
            (("-X", "tracemalloc"), True),
            ((), False),
            (("-W", "ignore::ResourceWarning"), False),
        ],
    )
    def test_the_line_is_noted_if_anybody_may_read_it(self, options, place):
        """If ResourceWarning is shown when the object is made, or `tracemalloc` is on; else not, and that costs nothing."""
        code = """
import warnings
from safemem import Disposable
class Thing(Disposable):
    pass
thing = Thing()
warnings.simplefilter("always")
del thing
"""
        done = run_code(code, *options)
        assert done.returncode == 0
        assert "ResourceWarning: unclosed <Thing object at" in done.stderr
        assert (", created at <string>:6" in done.stderr) is place, done.stderr

    def test_filters_that_change(self):
        """Whether warnings are shown is asked again when the filters are others."""
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("ignore")
            silent = Plain()
            warnings.simplefilter("always")
            loud = Plain()
            warnings.filterwarnings("ignore", category=ResourceWarning, message="other")
            loud_too = Plain()
            warnings.filterwarnings("ignore", category=ResourceWarning)
            silent_too = Plain()
            warnings.simplefilter("always")
            del silent, loud, loud_too, silent_too
        assert ["created at" in str(each.message) for each in seen] == [False, True, True, False]

    def test_nothing_is_kept(self):
        """Objects that come and go leave nothing in the tables, closed or not, with slots or without."""
        from safemem.cycles import disposal

        for kind in (Plain, Slotted, Mixed):
            with pytest.warns(ResourceWarning):
                things = [kind([]) for _ in range(3)]
                things[0].close()
                del things
        assert disposal._homeless == {}
