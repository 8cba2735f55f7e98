"""Holders that are easily overlooked: mocks, attributes, contexts, signal handlers, bounds that are only declared, memory outside of Python."""

from __future__ import annotations

import contextvars
import ctypes
import gc
import signal
import sys
from itertools import count
from types import SimpleNamespace
from unittest import mock

import pytest

from safemem import check_leaks
from safemem.leaks.census import Following

GLIBC = sys.platform.startswith("linux")


class Box:
    """Something to hold something."""


def only_leak(func):
    """The one leak of a function."""
    leaks = check_leaks(func).leaks
    assert len(leaks) == 1, leaks
    return leaks[0]


def test_mock_in_a_program_notes_every_call(monkeypatch):
    """A mock that the program holds is told once, though it has several lists."""
    notifier = mock.Mock()
    monkeypatch.setattr(sys.modules[__name__], "NOTIFIER", notifier, raising=False)
    leak = only_leak(lambda: notifier.send([1]))
    assert "NOTIFIER" in leak.holder or "notifier" in leak.holder
    assert "reset_mock" in leak.fix


def test_attributes_with_ever_new_names():
    """An object whose attributes move to a dict of their own, when they are many, goes on to be followed."""
    box, names = Box(), count()
    leak = only_leak(lambda: setattr(box, f"user_{next(names)}", {"a": 1}))
    assert "'box'" in leak.holder
    assert leak.holder.endswith("of 1777") or ".__dict__" in leak.holder


def test_attributes_that_are_deleted_again():
    """An object that has its attributes in a dict of their own and lets go of them is clean."""
    box, names = Box(), count()
    for number in range(40):
        setattr(box, f"x{number}", number)

    def visit():
        name = f"user_{next(names)}"
        setattr(box, name, {"a": 1})
        delattr(box, name)

    assert check_leaks(visit).ok


def test_context_variables_made_again_and_again():
    """The context keeps each variable that was set in it."""

    def visit():
        contextvars.ContextVar("visitor").set([1])

    leak = contextvars.copy_context().run(only_leak, visit)
    assert leak.holder == "the context of this thread -> context variable 'visitor'"


@pytest.mark.skipif(not hasattr(signal, "SIGUSR2"), reason="there is no such signal here")
def test_signal_handlers_that_call_the_one_before():
    """The interpreter holds the last handler, that holds the others."""
    before = signal.getsignal(signal.SIGUSR2)

    def visit():
        former = signal.getsignal(signal.SIGUSR2)
        signal.signal(signal.SIGUSR2, lambda *_: former)

    try:
        leak = only_leak(visit)
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert leak.holder.startswith("the handler of signal SIGUSR2")
    assert "restore" in leak.fix


@pytest.mark.parametrize(("capacity", "ok"), [(10, False), (5000, True)])
def test_declared_bound_that_is_passed_is_none(capacity, ok):
    """Half as much again is what a bound may be passed by; one that is far away may be kept."""
    buffer = SimpleNamespace(capacity=capacity, records=[])
    assert check_leaks(lambda: buffer.records.append([1])).ok is ok


def test_bound_that_is_kept_late_is_clean():
    """A cache that starts to drop entries while it is watched does not leak."""
    cache, numbers = SimpleNamespace(maxsize=100, data={}), count()

    def visit():
        cache.data[next(numbers)] = [1]
        if len(cache.data) > cache.maxsize:
            del cache.data[next(iter(cache.data))]

    assert check_leaks(visit).ok


@pytest.mark.skipif(not GLIBC, reason="only glibc tells what it has handed out")
@pytest.mark.parametrize("freed", [False, True])
def test_memory_outside_of_python(freed):
    """Thirty kilobytes a call are enough; what is freed is none."""
    library = ctypes.CDLL(None)
    library.malloc.restype, library.malloc.argtypes, library.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]

    def visit():
        address = library.malloc(50_000)
        if freed:
            library.free(address)

    report = check_leaks(visit)
    assert [leak.kind for leak in report.leaks] == ([] if freed else ["native"])


def test_list_of_all_objects_does_not_hold_itself():
    """What was set aside is listed, too, and the list is gone when it is let go of."""
    following = Following()
    following.aside = [Box()]
    objects = following._objects()
    assert objects[-1] is following.aside[0]
    assert not any(obj is objects for obj in objects)
    assert any(obj is following for obj in objects) or gc.is_tracked(following)


def test_containers_that_grow_in_turn():
    """No list grows in every round, and one of them is named all the same."""
    workers, turn = [Box() for _ in range(5)], count()
    for worker in workers:
        worker.done = []

    leak = only_leak(lambda: workers[next(turn) % 5].done.append([1]))
    assert "workers" in leak.holder
    assert ".done[" in leak.holder


def test_state_that_is_replaced_by_a_larger_one():
    """What holds the tuple is a new object in every call."""
    store = Box()
    store.state = SimpleNamespace(items=())

    def visit():
        store.state = SimpleNamespace(items=(*store.state.items, [1]))

    leak = only_leak(visit)
    assert ".state.items[" in leak.holder


def test_containers_in_turn_that_are_emptied():
    """They fill and are emptied, each at its own time."""
    workers, turn = [[] for _ in range(5)], count()

    def visit():
        worker = workers[next(turn) % 5]
        worker.append([1])
        if len(worker) >= 60:
            worker.clear()

    assert check_leaks(visit).ok
