"""strip_traceback: every frame is let go, the text stays, and nothing is left for the collector."""

from __future__ import annotations

import copy
import gc
import pickle
import sys
import traceback
import weakref

import pytest
from helpers.collect import Thing, collector_off, freed_by_count, no_cyclic_garbage
from hypothesis import given
from hypothesis import strategies as st

from safemem import strip_traceback


class Keeper:
    """Stores the exception it ran into, as people do."""

    error: BaseException | None = None

    def run(self, work, strip=strip_traceback):
        local = Thing("local of the frame")  # noqa: F841 - frames keep it
        try:
            work()
        except BaseException as error:
            self.error = strip(error)


def raised(exc: BaseException) -> BaseException:
    """An exception with a traceback of its own."""
    try:
        raise exc
    except BaseException as caught:
        return caught


def fail_plainly():
    raise KeyError("plain")


def fail_with_cause():
    try:
        fail_plainly()
    except KeyError as error:
        raise ValueError("from a cause") from error


def fail_in_handler():
    try:
        fail_plainly()
    except KeyError:
        raise ValueError("in a handler")


def fail_suppressed():
    try:
        fail_plainly()
    except KeyError:
        raise ValueError("alone") from None


def fail_as_group():
    errors = []
    for work in (fail_plainly, fail_with_cause, fail_in_handler):
        try:
            work()
        except Exception as error:
            error.add_note(f"while doing {work.__name__}")
            errors.append(error)
    raise ExceptionGroup("several", [*errors, ExceptionGroup("inner", [raised(OSError(2, "none"))])])


def fail_as_member_of_group():
    try:
        fail_as_group()
    except ExceptionGroup as group:
        raise group.exceptions[0]


def fail_from_itself():
    error = ValueError("of itself")
    raise error from error


def fail_in_a_circle():
    one, two, three = raised(KeyError(1)), raised(ValueError(2)), raised(OSError(3))
    one.__cause__, two.__context__, three.__cause__ = two, three, one
    raise one


def fail_on_an_attribute():
    keeper = Thing()
    keeper.other = raised_by(keeper)
    raise keeper.other


def raised_by(obj):
    try:
        obj.missing  # the exception refers to the object, which will refer to the exception
    except AttributeError as error:
        return error


def stop():
    raise KeyboardInterrupt


WAYS = [
    fail_plainly,
    fail_with_cause,
    fail_in_handler,
    fail_suppressed,
    fail_as_group,
    fail_as_member_of_group,
    fail_from_itself,
    fail_in_a_circle,
    fail_on_an_attribute,
    stop,
]


def reachable(exc: BaseException) -> list[BaseException]:
    """All exceptions that one leads to."""
    found, waiting = [], [exc]
    while waiting:
        each = waiting.pop()
        if each is not None and each not in found:
            found.append(each)
            waiting += [each.__cause__, each.__context__, *(each.exceptions if isinstance(each, BaseExceptionGroup) else ())]
    return found


@pytest.mark.parametrize("work", WAYS)
def test_storing_an_exception_leaves_nothing(work):
    """A stored exception, then dropped with its keeper: all is freed by reference count."""
    with no_cyclic_garbage():
        keeper = Keeper()
        keeper.run(work)
        assert keeper.error is not None
        del keeper


@pytest.mark.parametrize("work", [work for work in WAYS if work is not fail_from_itself])
def test_the_usual_way_does_leave_garbage(work):
    """The same without stripping is what the collector has to clean up: the test above can fail."""
    with pytest.raises(AssertionError, match="cyclic garbage"), no_cyclic_garbage():
        keeper = Keeper()
        keeper.run(work, strip=lambda error: error)
        del keeper


@pytest.mark.parametrize("work", WAYS)
def test_the_text_is_what_traceback_would_have_printed(work):
    """Types, arguments, notes, groups and lines, as `traceback` gives them at that moment."""
    with pytest.raises(BaseException) as caught:
        work()
    error = caught.value
    expected = "".join(traceback.format_exception(error))
    assert strip_traceback(error) is error
    assert error.formatted_traceback == expected
    assert work.__name__ in expected


@pytest.mark.parametrize("work", WAYS)
def test_every_traceback_is_gone(work):
    """Causes, contexts, members and their own causes: none has a traceback."""
    keeper = Keeper()
    keeper.run(work)
    assert [each for each in reachable(keeper.error) if each.__traceback__ is not None] == []


def test_what_is_kept():
    """Type, arguments, notes, cause, context, suppression and members are as they were."""
    for work in (fail_with_cause, fail_in_handler, fail_suppressed, fail_as_group):
        with pytest.raises(Exception) as caught:
            work()
        error = caught.value
        before = [(type(e), e.args, getattr(e, "__notes__", None), e.__suppress_context__, e.__cause__) for e in reachable(error)]
        members = reachable(error)
        strip_traceback(error)
        after = reachable(error)
        assert [(type(e), e.args, getattr(e, "__notes__", None), e.__suppress_context__, e.__cause__) for e in after] == before
        assert all(one is another for one, another in zip(members, after, strict=True))


def test_locals_of_the_frames_die():
    """What the frames held goes the moment the exception is stripped."""
    with freed_by_count() as watched:
        keeper = Keeper()

        def work():
            local = Thing("far down")
            watched.append(weakref.ref(local))
            fail_in_handler()

        keeper.run(work)
        del work
        assert watched[0]() is None
        assert keeper.error is not None


def test_only_the_one_that_was_passed_has_the_text():
    """Its text tells of the others; theirs would say it again."""
    keeper = Keeper()
    keeper.run(fail_with_cause)
    assert "KeyError: 'plain'" in keeper.error.formatted_traceback
    assert not hasattr(keeper.error.__cause__, "formatted_traceback")


def test_a_second_call_keeps_the_first_text():
    """Without a new traceback there is nothing new to say."""
    error = strip_traceback(raised(ValueError("once")))
    text = error.formatted_traceback
    assert "raised" in text
    assert strip_traceback(error).formatted_traceback == text
    assert strip_traceback(strip_traceback(copy.copy(error))).formatted_traceback == text


def test_raised_again():
    """A new traceback gives a new text, and is let go too."""
    error = strip_traceback(raised(ValueError("twice")))
    first = error.formatted_traceback

    def again():
        raise error

    keeper = Keeper()
    keeper.run(again)
    assert keeper.error is error
    assert error.__traceback__ is None
    assert "in again" in error.formatted_traceback
    assert "in again" not in first


def test_never_raised():
    """An exception without a traceback has the text that `traceback` gives it."""
    assert strip_traceback(ValueError("new")).formatted_traceback == "ValueError: new\n"


@pytest.mark.parametrize("value", [None, "text", ValueError, 5, Thing()], ids=repr)
def test_anything_else_is_refused(value):
    """An exception class is no exception either."""
    with pytest.raises(TypeError, match="exc must be an exception, got "):
        strip_traceback(value)


class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no words")


class BadNotes(Exception):
    @property
    def __notes__(self):
        raise RuntimeError("no notes")


class Frozen(Exception):
    def __setattr__(self, name, value):
        raise TypeError("frozen")

    __delattr__ = None


class Own(Exception):
    @property
    def formatted_traceback(self):
        return "my own"


class Sly(Exception):
    """Lies about everything that Python code can lie about."""

    __traceback__ = __cause__ = __context__ = property(lambda self: 1 / 0)

    def __getattribute__(self, name):
        if name in {"__class__", "__dict__", "__traceback__", "__cause__", "__context__"}:
            raise RuntimeError("no attributes")
        return super().__getattribute__(name)

    def with_traceback(self, tb):
        raise RuntimeError("no")


def held_frames(exc):
    """Whether the interpreter's own traceback of the exception is there, whatever its class says."""
    return vars(BaseException)["__traceback__"].__get__(exc)


def caught(exc: BaseException) -> BaseException:
    """As `raised`, for those that do not let themselves be looked at."""
    try:
        raise exc
    except BaseException:
        return sys.exc_info()[1]


@pytest.mark.parametrize("cls", [Mute, BadNotes, Frozen, Own, Sly])
def test_classes_that_bite(cls):
    """Special methods that raise lose the frames all the same, and the type is in the text."""
    error = caught(cls("argument"))
    assert strip_traceback(error) is error
    assert held_frames(error) is None
    text = error.formatted_traceback
    assert text == "my own" if cls is Own else cls.__qualname__ in text and "in caught" in text


def test_frames_go_even_if_the_text_is_interrupted():
    """What stops the formatting stops the caller, and the frames are gone."""

    class Stopping(Exception):
        @property
        def __notes__(self):
            raise KeyboardInterrupt

    error = caught(Stopping())
    with pytest.raises(KeyboardInterrupt):
        strip_traceback(error)
    assert error.__traceback__ is None


def test_at_the_end_of_the_stack():
    """Where there is no room to format anything, the frames are let go all the same."""
    seen = []

    def fall(depth):
        try:
            fall(depth + 1)
        except RecursionError as error:
            if not seen:
                seen.append(strip_traceback(error))
            raise

    with pytest.raises(RecursionError):
        fall(0)
    assert "RecursionError" in seen[0].formatted_traceback


def test_a_chain_of_a_hundred_thousand():
    """No recursion on the way down, the whole text, and freed by count."""
    with no_cyclic_garbage():
        error = None
        for number in range(100_000):
            outer = ValueError(number)
            if number % 2:
                outer.__cause__ = error
            else:
                outer.__context__ = error
            error = outer
        error = raised(error)
        strip_traceback(error)
        assert error.formatted_traceback.count("ValueError: ") == 100_000
        assert error.__cause__.__context__.args == (99_997,)
        del error, outer


def test_groups_deeper_than_any_recursion():
    """Thousands of groups in each other, the innermost of which has a traceback."""
    innermost = raised(ValueError("deep"))
    group = innermost
    for _ in range(5000):
        group = ExceptionGroup("level", [group])
    strip_traceback(group)
    assert innermost.__traceback__ is None
    assert "ExceptionGroup: level" in group.formatted_traceback


@given(st.integers(1, 8), st.lists(st.tuples(st.integers(0, 7), st.booleans(), st.integers(0, 7)), max_size=12), st.integers(0, 7))
def test_any_graph(count, edges, group_at):
    """Whatever leads to whatever: all tracebacks reachable are gone, links that close no circle are there, and a count frees it."""
    with no_cyclic_garbage():
        nodes = []
        for number in range(count):
            exc = ValueError(number)
            if number == group_at:
                exc = ExceptionGroup("group", [*nodes[:1], raised(KeyError("member"))])
            nodes.append(raised(exc))
        for start, is_cause, end in edges:
            if start < count and end < count:
                setattr(nodes[start], "__cause__" if is_cause else "__context__", nodes[end])
        there = reachable(nodes[0])
        links = [(each, other) for each in there for other in (each.__cause__, each.__context__) if other and each not in reachable(other)]
        strip_traceback(nodes[0])
        assert not any(each.__traceback__ for each in there)
        assert all(other in {each.__cause__, each.__context__} for each, other in links)
        for node in nodes:
            strip_traceback(node)
        del nodes, node, exc, there, links


def test_copies_and_pickles_have_the_text():
    """The text is an ordinary attribute."""
    error = strip_traceback(raised(ValueError("sent")))
    for other in (copy.copy(error), copy.deepcopy(error), pickle.loads(pickle.dumps(error))):
        assert other.formatted_traceback == error.formatted_traceback


def test_freed_while_the_collector_is_off():
    """A loop that keeps the last failure only keeps the last failure."""
    with collector_off():
        before = sum(isinstance(obj, Thing) for obj in gc.get_objects())
        keeper = Keeper()
        for _ in range(50):
            keeper.run(fail_with_cause)
        assert sum(isinstance(obj, Thing) for obj in gc.get_objects()) == before
