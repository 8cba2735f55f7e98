"""Muted and paused signals: what is lost, what is delivered afterwards and in which order, and how they overlap."""

from __future__ import annotations

import itertools
import weakref

import pytest
from helpers.aio import in_loop
from helpers.listeners import Emitter, Listener
from helpers.recorder import unraisable

from safemem import Signal


@pytest.fixture
def changed():
    """A signal, and in `changed_heard` what it told."""
    return Signal(name="changed")


@pytest.fixture
def heard(changed):
    """What the signal told."""
    told = []
    changed.connect(told.append)
    return told


# -- muted ----------------------------------------------------------------------------------------------------------------------------


def test_muted_loses_emissions(changed, heard):
    """Of all kinds; they do not come later."""
    with changed.muted():
        changed.emit(1)
        changed.emit_from(heard, 2)
        assert changed.send(3) == []
    changed.emit(4)
    assert heard == [4]
    assert changed._special is None


def test_muted_nests(changed, heard):
    """The inner end does not unmute the outer."""
    mute = changed.muted()
    with mute:
        with mute, changed.muted():
            changed.emit(1)
        changed.emit(2)
    changed.emit(3)
    assert heard == [3]


def test_contexts_that_were_made_before_overlap_in_any_order(changed, heard):
    """Emissions are lost until the last has ended."""
    one, two = changed.muted(), changed.muted()
    one.__enter__()
    two.__enter__()
    one.__exit__(None, None, None)
    changed.emit(1)
    two.__exit__(None, None, None)
    changed.emit(2)
    assert heard == [2]


@pytest.mark.parametrize("name", ["muted", "paused"])
def test_leaving_what_was_not_entered(changed, heard, name):
    """Is an error, and changes nothing: neither for this context nor for another one."""
    context = getattr(changed, name)()
    for attempt in range(3):
        if attempt:
            with context:
                changed.emit(0)
        with pytest.raises(RuntimeError, match=rf"{name}\(\) was left more often than entered"):
            context.__exit__(None, None, None)
    heard.clear()
    with changed.muted():
        with pytest.raises(RuntimeError):
            context.__exit__(None, None, None)
        changed.emit(1)
    changed.emit(2)
    assert heard == [2]


def test_muted_ends_after_an_exception(changed, heard):
    """As any context manager."""
    with pytest.raises(ZeroDivisionError), changed.muted():
        raise ZeroDivisionError
    changed.emit(1)
    assert heard == [1]


# -- paused ---------------------------------------------------------------------------------------------------------------------------


def test_paused_delivers_afterwards_in_order(changed, heard):
    """To the senders' receivers too."""
    sender = Listener()
    changed.connect(lambda value: heard.append(("sender", value)), sender=sender)
    with changed.paused():
        changed.emit(1)
        changed.emit_from(sender, 2)
        assert changed.send(3) == []
        assert heard == []
    assert heard == [1, 2, ("sender", 2), 3]
    changed.emit(4)
    assert heard[-1] == 4
    assert changed._special is None


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
@pytest.mark.parametrize("entered", list(itertools.permutations(range(3))), ids=str)
def test_pauses_overlap_in_any_order(changed, heard, entered, order):
    """Whichever ends first, all is delivered when the last ends, in the order of emission."""
    pauses = [changed.paused() for _ in range(3)]
    count = itertools.count()
    sent = []

    def emit():
        sent.append(next(count))
        changed.emit(sent[-1])

    for number in entered:
        pauses[number].__enter__()
        emit()
    for number in order:
        assert heard == []
        pauses[number].__exit__(None, None, None)
        if number != order[-1]:
            emit()
    assert heard == sent


def test_paused_nests_with_itself(changed, heard):
    """The same context manager entered twice."""
    pause = changed.paused()
    with pause:
        with pause:
            changed.emit(1)
        assert heard == []
    assert heard == [1]


def test_the_newest_emissions_up_to_the_limit_are_kept(changed, heard):
    """The rest is counted."""
    with changed.paused(limit=2) as pause:
        for number in range(5):
            changed.emit(number)
    assert heard == [3, 4]
    assert pause.dropped == 3


def test_the_limit_of_an_outer_pause_holds_for_what_an_inner_one_leaves(changed, heard):
    """Bounded is bounded."""
    with changed.paused(limit=2) as outer, changed.paused():
        for number in range(5):
            changed.emit(number)
    assert heard == [3, 4]
    assert outer.dropped == 3


def test_the_limit_of_a_later_pause_holds_for_what_an_earlier_one_leaves(changed, heard):
    """In whatever order they end."""
    first, second = changed.paused(), changed.paused(limit=2)
    first.__enter__()
    changed.emit(0)
    changed.emit(1)
    second.__enter__()
    changed.emit(2)
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)
    assert heard == [1, 2]
    assert second.dropped == 1


def test_a_reducer_combines_emissions(changed, heard):
    """The older arguments first; one emission is kept."""
    calls = []

    def reducer(old, new):
        calls.append((old, new))
        return (old[0] + new[0],)

    with changed.paused(reducer=reducer):
        for text in ("a", "b", "c"):
            changed.emit(text)
        assert calls == [(("a",), ("b",)), (("ab",), ("c",))]
    assert heard == ["abc"]
    with changed.paused(reducer=reducer):
        pass
    assert heard == ["abc"]


def test_a_reducer_keeps_senders_apart(changed):
    """An emission is combined with the one before it if both are of one sender."""
    one, two = Listener(), Listener()
    changed.connect(one.hear, sender=one)
    changed.connect(two.hear, sender=two)
    with changed.paused(reducer=lambda old, new: (old[0] + new[0],)):
        changed.emit_from(one, 1)
        changed.emit_from(one, 2)
        changed.emit_from(two, 4)
        changed.emit_from(two, 8)
    assert (one.heard, two.heard) == ([3], [12])


def test_keyword_arguments_of_the_newest_count():
    """Where a reducer combines the positional ones."""
    changed = Signal()
    seen = []
    changed.connect(lambda *args, **kwargs: seen.append((args, kwargs)))
    with changed.paused(reducer=lambda old, new: new):
        changed.emit(1, first=1, both=1)
        changed.emit(2, both=2)
    assert seen == [((2,), {"first": 1, "both": 2})]


def test_a_reducer_that_fails_loses_nothing_that_was_kept(changed, heard):
    """Its error goes to whoever emits."""
    with changed.paused(reducer=lambda old, new: (old[0] / new[0],)):
        changed.emit(4)
        with pytest.raises(ZeroDivisionError):
            changed.emit(0)
        changed.emit(2)
    assert heard == [2.0]
    with changed.paused(reducer=lambda old, new: 5):
        changed.emit(1)
        with pytest.raises(TypeError, match="reducer must return a tuple of arguments, got 5"):
            changed.emit(2)
    assert heard == [2.0, 1]


def test_receivers_that_are_gone_or_came_meanwhile(changed):
    """What was kept goes to those who listen when it is delivered."""
    gone, ended, came = Listener(), Listener(), Listener()
    changed.connect(gone.hear)
    connection = changed.connect(ended.hear)
    told = gone.heard
    with changed.paused():
        changed.emit(1)
        connection.disconnect()
        changed.connect(came.hear)
        del gone
    assert (told, ended.heard, came.heard) == ([], [], [1])


def test_paused_delivers_after_an_exception_too(changed, heard):
    """The state has changed all the same; what receivers raise does not hide the exception on its way."""
    bad = Listener("bad")
    changed.connect(bad.fail)
    with unraisable() as caught, pytest.raises(ZeroDivisionError), changed.paused():
        changed.emit(1)
        raise ZeroDivisionError
    assert heard == [1]
    assert isinstance(caught[0], ExceptionGroup)
    changed.disconnect(bad.fail)
    changed.emit(2)
    assert heard == [1, 2]


def test_failures_of_all_that_is_delivered_come_as_one_group(changed, heard):
    """Everything is delivered first."""
    bad = Listener("bad")
    changed.connect(bad.fail, priority=1)
    with pytest.raises(ExceptionGroup) as caught, changed.paused():
        changed.emit(1)
        changed.emit(2)
    assert len(caught.value.exceptions) == 2
    assert heard == [1, 2]


def test_paused_within_muted_and_muted_within_paused(changed, heard):
    """What is emitted or delivered while muted is lost."""
    with changed.paused():
        changed.emit(1)
        with changed.muted():
            changed.emit(2)
    assert heard == [1]
    with changed.muted(), changed.paused():
        changed.emit(3)
    assert heard == [1]
    mute = changed.muted()
    with changed.paused():
        changed.emit(4)
        mute.__enter__()
    mute.__exit__(None, None, None)
    assert heard == [1]


def test_a_receiver_may_pause_the_signal(changed, heard):
    """In the middle of a delivery."""
    pause = changed.paused()
    changed.connect(lambda value: pause.__enter__(), once=True, priority=1)
    with changed.paused():
        changed.emit(1)
        changed.emit(2)
    assert heard == [1]
    pause.__exit__(None, None, None)
    assert heard == [1, 2]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"limit": 0}, ValueError, "limit must be >= 1, got 0; to lose every emission use muted()"),
        ({"limit": 1.5}, TypeError, "limit must be an int or None, got 1.5"),
        ({"reducer": 5}, TypeError, "reducer must be callable or None, got 5"),
    ],
)
def test_bad_options_of_paused(changed, options, error, message):
    """At once, not when the block ends."""
    with pytest.raises(error, match=message):
        changed.paused(**options)


def test_a_pause_keeps_its_signal_and_no_emitter():
    """The context manager of an emitter's signal does not keep the emitter."""
    emitter = Emitter()
    heard = []
    emitter.changed.connect(heard.append)
    watch = weakref.ref(emitter)
    with emitter.changed.paused():
        emitter.changed.emit(1)
        del emitter
        assert watch() is None
    assert heard == [1]


@in_loop
async def test_an_asynchronous_pause_awaits_its_receivers():
    """What was kept is delivered as by aemit(), failures included."""
    changed = Signal()
    heard = []

    @changed.receiver
    async def receiver(value):
        heard.append(value)
        if value == 2:
            raise ValueError(value)

    with pytest.raises(ExceptionGroup):
        async with changed.paused():
            changed.emit(1)
            await changed.aemit(2)
            changed.emit(3)
            assert heard == []
    assert heard == [1, 2, 3]
    with unraisable() as caught, pytest.raises(ZeroDivisionError):
        async with changed.paused():
            changed.emit(2)
            raise ZeroDivisionError
    assert isinstance(caught[0], ExceptionGroup)
