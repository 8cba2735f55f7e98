"""Disposable: what is closed, in which order, by whom, and what is said when something fails."""

from __future__ import annotations

import contextlib
import copy
import functools
import gc
import os
import pickle
import sys
import threading
import warnings
import weakref
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import pytest
from helpers.collect import freed_by_count, no_cyclic_garbage
from helpers.forks import forks, in_child
from helpers.interject import Striker
from helpers.isolate import assert_clean, run_code
from helpers.recorder import unraisable
from helpers.threads import run_threads, switching_often, until

from safemem import CycleWarning, Disposable, SafememError, TreeNode
from safemem.errors import ClosedError

T = TypeVar("T")


def this_line() -> int:
    """The line of the call."""
    return sys._getframe(1).f_lineno


class Resource:
    """Something with `close()` that says so in a log, and fails if told to."""

    def __init__(self, log: list[Any], name: Any, error: type[BaseException] | None = None) -> None:
        self.log = log
        self.name = name
        self.error = error

    def close(self) -> None:
        self.log.append(self.name)
        if self.error is not None:
            raise self.error(f"closing {self.name}")


class Plain(Disposable):
    def __init__(self, log: list[Any] | None = None) -> None:
        self.log = [] if log is None else log

    def _dispose(self) -> None:
        self.log.append("dispose")
        super()._dispose()


class Slotted(Disposable):
    __slots__ = ("log",)

    def __init__(self, log: list[Any] | None = None) -> None:
        self.log = [] if log is None else log

    def _dispose(self) -> None:
        self.log.append("dispose")


@dataclass(slots=True, frozen=True)
class Frozen(Disposable):
    log: list[Any]

    def _dispose(self) -> None:
        self.log.append("dispose")


class Abstract(Disposable, ABC):
    @abstractmethod
    def kind(self) -> str: ...


class Concrete(Abstract, Generic[T]):
    def __init__(self, log: list[T]) -> None:
        self.log = log

    def kind(self) -> str:
        return "concrete"

    def _dispose(self) -> None:
        self.log.append("dispose")  # type: ignore[arg-type]


class Base:
    __slots__ = ("log",)

    def __init__(self, log: list[Any]) -> None:
        self.log = log


class Mixed(Disposable, Base):
    __slots__ = ()

    def _dispose(self) -> None:
        self.log.append("dispose")


KINDS = [Plain, Slotted, Frozen, Concrete, Mixed]

try:
    import attrs
except ImportError:
    pass
else:

    @attrs.define
    class Attrs(Disposable):
        log: list[Any]

        def _dispose(self) -> None:
            self.log.append("dispose")

    KINDS.append(Attrs)

every_kind = pytest.mark.parametrize("kind", KINDS)


@every_kind
def test_order(kind):
    """First `_dispose()`, while the object is open; then what is owned, the latest first; once."""
    log: list[Any] = []
    thing = kind(log)
    assert thing.own(Resource(log, 1)).name == 1
    thing.own(Resource(log, 2))
    thing.own(lambda: log.append(("open", thing_is_open())))

    ref = [thing]

    def thing_is_open():
        return not ref[0].closed

    assert thing.closed is False
    thing.close()
    assert log == ["dispose", ("open", False), 2, 1]
    thing.close()
    assert len(log) == 4
    assert thing.closed is True


@every_kind
def test_with(kind):
    """A block closes at its end, whatever ends it."""
    log: list[Any] = []
    with pytest.raises(KeyError), kind(log) as thing:
        thing.own(Resource(log, 1))
        raise KeyError
    assert log == ["dispose", 1]
    assert thing.closed
    with pytest.raises(ClosedError, match=f"<{kind.__name__} object at 0x[0-9a-f]+> is closed"), thing:
        pass


def test_mixins_cooperate():
    """Each class in line does its own with `super()._dispose()`."""
    log = []

    class Left(Disposable):
        def _dispose(self):
            log.append("left")
            super()._dispose()

    class Right(Disposable):
        def _dispose(self):
            log.append("right")
            super()._dispose()

    class Both(Left, Right):
        def _dispose(self):
            log.append("both")
            super()._dispose()

    Both().close()
    assert log == ["both", "left", "right"]


def test_use_after_close():
    """`_check_open()` says what is wrong with an error that is a ValueError too, as files raise it; it may be used while disposing."""

    class Service(Disposable):
        flushed = 0

        def flush(self):
            self._check_open()
            self.flushed += 1

        def _dispose(self):
            self.flush()

    service = Service()
    service.flush()
    service.close()
    assert service.flushed == 2
    with pytest.raises(ValueError, match="<.*Service object at 0x[0-9a-f]+> is closed") as caught:
        service.flush()
    assert isinstance(caught.value, SafememError)


def test_a_class_without_init_takes_no_arguments():
    """As of other classes."""

    class Empty(Disposable):
        pass

    with pytest.raises(TypeError, match=r"Empty\(\) takes no arguments"):
        Empty(1)
    Empty().close()

    class Failed(Disposable, Exception):
        pass

    error = Failed("message")
    assert str(error) == "message"
    error.close()


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


class TestErrors:
    """Everything is closed, and everything is told."""

    @every_kind
    def test_all_are_told(self, kind):
        """Exceptions come as one group, in the order in which they happened, even if it is only one."""
        log: list[Any] = []
        thing = kind(log)
        thing.own(Resource(log, 1, KeyError))
        thing.own(Resource(log, 2))
        thing.own(Resource(log, 3, OSError))
        with pytest.raises(ExceptionGroup, match=f"2 errors while closing <{kind.__name__} object") as caught:
            thing.close()
        assert [type(error) for error in caught.value.exceptions] == [OSError, KeyError]
        assert log == ["dispose", 3, 2, 1]
        thing.close()
        other = kind(log)
        other.own(Resource(log, 1, KeyError))
        with pytest.raises(ExceptionGroup, match="1 error while closing"):
            other.close()

    def test_dispose_fails(self):
        """What is owned is closed all the same, and the attributes are cleared."""
        log = []

        class Bad(Disposable):
            clear_on_close = ("part",)
            part = 1

            def _dispose(self):
                raise RuntimeError("dispose")

        thing = Bad()
        thing.own(Resource(log, 1))
        with pytest.raises(ExceptionGroup) as caught:
            thing.close()
        assert str(caught.value.exceptions[0]) == "dispose"
        assert (log, thing.part, thing.closed) == ([1], None, True)

    @pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
    def test_no_exception(self, kind):
        """What is no Exception is raised as it is when the rest has been closed, with the others as its cause."""
        log = []
        thing = Plain(log)
        thing.own(Resource(log, 1, KeyError))
        thing.own(Resource(log, 2, kind))
        thing.own(Resource(log, 3, KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt, match="closing 3") as caught:
            thing.close()
        assert log == ["dispose", 3, 2, 1]
        assert isinstance(caught.value.__cause__, BaseExceptionGroup)
        assert [type(error) for error in caught.value.__cause__.exceptions] == [kind, KeyError]
        alone = Plain()
        alone.own(Resource(log, 1, kind))
        with pytest.raises(kind) as caught:
            alone.close()
        assert caught.value.__cause__ is None

    def test_interrupts(self):
        """Wherever Ctrl-C comes, at most the one that was just being closed is missed, and the interrupt is raised."""
        from safemem.cycles import disposable, disposal

        for at in [1000, *range(200)]:  # the first time some interpreters do not tell of single instructions
            log: list[Any] = []
            thing = Plain(log)
            for number in range(4):
                thing.own(Resource(log, number))
            striker = Striker(at, files={disposable.__file__, disposal.__file__})
            state = disposal.disposal_of(thing)
            state.ticket.clear()  # closing has begun
            errors: list[BaseException] = []
            try:
                striker.run(
                    lambda thing=thing, state=state, errors=errors: disposable._close_synchronously(thing, state, errors, wait=False)
                )
            except KeyboardInterrupt as error:
                errors.append(error)
            if not striker.struck and at < 1000:
                break
            if at == 1000:
                continue
            assert [type(error) for error in errors] == [KeyboardInterrupt]
            if "dispose" in log:
                assert len(log) >= 4, log
        assert at > 20

    def test_the_exception_on_its_way_goes_on(self):
        """At the end of a block it is raised, with a note for each error of closing."""
        log = []
        with pytest.raises(KeyError) as caught, Plain(log) as thing:
            thing.own(Resource(log, 1, OSError))
            thing.own(Resource(log, 2, ValueError))
            raise KeyError("on its way")
        notes = caught.value.__notes__
        assert len(notes) == 2
        assert "closing <Plain object" in notes[0]
        assert notes[0].endswith("failed too: ValueError: closing 2")
        with pytest.raises(ExceptionGroup), Plain(log) as thing:
            thing.own(Resource(log, 1, OSError))

    def test_the_exception_on_its_way_goes_on_whatever_it_is(self):
        """It may be of a frozen class, and that of closing may have no words."""

        @dataclass(frozen=True)
        class Frozen(Exception):
            code: int = 1

        class Mute(Exception):
            def __str__(self):
                raise RuntimeError("no words")

        for kind in (Frozen, KeyError):
            thing = Plain()
            thing.own(Resource([], 1, Mute))
            with pytest.raises(kind) as caught, thing:
                raise kind
            assert [note.partition(" failed too: ")[2] for note in caught.value.__notes__] == [
                f"{Mute.__qualname__}: <Mute whose str() failed>"
            ]

    @pytest.mark.parametrize("errors", [[], [KeyError], [KeyError, OSError], [KeyboardInterrupt], [KeyError, KeyboardInterrupt, OSError]])
    @pytest.mark.parametrize("block", [False, True])
    def test_nothing_is_left_to_the_collector(self, errors, block):
        """Neither success nor errors make cycles."""

        def work():
            log: list[Any] = []
            failed = False
            try:
                with Plain(log) as thing:
                    for number, error in enumerate(errors):
                        thing.own(Resource(log, number, error))
                    if block:
                        raise LookupError
            except BaseException:  # noqa: BLE001
                failed = True
            return log, failed

        work()
        with no_cyclic_garbage():
            assert work() == (["dispose", *reversed(range(len(errors)))], bool(errors) or block)


class TestThreads:
    """Anybody may close, at any time."""

    def test_once(self):
        """Of many threads that close at once, one does it, and nobody waits for it."""
        with switching_often():
            for _ in range(50):
                log: list[Any] = []
                thing = Plain(log)
                for number in range(5):
                    thing.own(Resource(log, number))
                run_threads(4, lambda _, thing=thing: thing.close())
                assert log == ["dispose", 4, 3, 2, 1, 0]

    def test_nobody_waits(self):
        """A second one returns at once while the first is still closing, and so does the first that comes again from within."""
        begun, go_on = threading.Event(), threading.Event()
        log = []

        class Slow(Disposable):
            def _dispose(self):
                self.close()
                begun.set()
                assert go_on.wait(20)
                log.append("disposed")

        thing = Slow()
        first = threading.Thread(target=thing.close)
        first.start()
        assert begun.wait(20)
        thing.close()
        assert log == []
        go_on.set()
        first.join()
        assert log == ["disposed"]

    def test_owning_while_another_closes(self):
        """Whatever is handed over at that moment is closed exactly once, or was refused and closed."""
        with switching_often():
            for _ in range(50):
                thing = Plain()
                closed: list[int] = []
                refused: list[int] = []

                def work(number, thing=thing, closed=closed, refused=refused):
                    if number == 0:
                        until(lambda: True)
                        thing.close()
                        return
                    for each in range(20):
                        try:
                            thing.own(functools.partial(closed.append, (number, each)))
                        except ClosedError:
                            refused.append(each)

                run_threads(3, work)
                assert sorted(closed) == [(number, each) for number in (1, 2) for each in range(20)]


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
            ResourceWarning, match=f"unclosed <{kind.__name__} object at .*, created at .*test_disposable.py:{line - 1}: "
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

        with pytest.warns(ResourceWarning, match=f"test_disposable.py:{this_line() + 1}: "):
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
        """Warnings are errors here: nothing is said of what was closed."""
        Plain().close()
        with Slotted():
            pass

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


class Copied(Plain):
    pass


class CopiedSlots(Slotted):
    __slots__ = ()


class CopiedNode(TreeNode, Disposable):
    def __init__(self, log):
        self.log = log

    def _dispose(self):
        self.log.append("dispose")


class CopiedNodeToo(Disposable, TreeNode):
    __init__ = CopiedNode.__init__
    _dispose = CopiedNode._dispose


class CopiedSlotsNode(Slotted, TreeNode):
    __slots__ = ()


@pytest.mark.parametrize("kind", [Copied, CopiedSlots, CopiedNode, CopiedNodeToo, CopiedSlotsNode])
@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda obj: pickle.loads(pickle.dumps(obj))])
def test_copies(kind, duplicate):
    """A copy owns nothing, may be closed, and being dropped open it neither warns nor closes what belongs to the original."""
    log: list[Any] = []
    thing = kind(log)
    closed = []
    thing.own(Resource(closed, 1)) if duplicate is copy.copy else None
    made = duplicate(thing)
    assert type(made) is kind
    assert not made.closed
    del made
    assert (log, closed) == ([], [])
    made = duplicate(thing)
    made.close()
    assert made.closed
    assert not thing.closed
    assert closed == []
    assert made.log == ["dispose"]
    thing.close()
    assert duplicate(thing).closed is False


@pytest.mark.parametrize("kind", [CopiedNode, CopiedNodeToo, CopiedSlotsNode])
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda obj: pickle.loads(pickle.dumps(obj))])
def test_copies_of_trees(kind, duplicate):
    """Copies are not missed if nobody closes them, in whatever order the classes are inherited and wherever in the tree the node is."""
    top, child = kind([]), kind([])
    top.append(child)
    made = duplicate(top)
    logs = [node.log for node in made.walk()]
    assert len(logs) == 2
    del made
    assert logs == [[], []]
    top.close()
    child.close()


def test_a_tree_of_disposables():
    """Each node is closed for itself; the tree goes at once."""
    log: list[Any] = []
    with no_cyclic_garbage():
        top, child = CopiedNode(log), CopiedNode(log)
        top.append(child)
        made = copy.deepcopy(top)
        assert len([*made.walk()]) == 2
        for node in (top, child):
            node.close()
        del top, child, made, node
