"""watch, watch_class and Audit: what should be gone, and what was growing until the end."""

from __future__ import annotations

import gc
import os
import sys
import tracemalloc
import weakref
from importlib import import_module
from types import SimpleNamespace

import pytest
from helpers.collect import collector_off

from safemem import Audit, LeakError, no_leaks, watch, watch_class
from safemem.leaks import watch as room


class Session:
    """Something that ends."""


kept: list[object] = []


@pytest.fixture(autouse=True)
def _clean():
    """Nothing of one test is in the next."""
    kept.clear()
    yield
    kept.clear()
    room._watched.clear()
    room._classes.clear()


def test_object_that_is_gone_is_forgotten():
    """Watching keeps nothing: neither the object nor the note of it."""
    session = Session()
    watch(session, "closed")
    assert len(room._watched) == 1
    del session
    assert len(room._watched) == 0
    with no_leaks():
        pass


def test_object_that_is_alive_is_told_once():
    """The reason and the holder are in the report; the next check does not tell it again."""
    kept.append(Session())
    watch(kept[0], "the user has logged out")
    with pytest.raises(LeakError, match=r"1 Session still alive: the user has logged out") as caught, no_leaks():
        pass
    assert caught.value.report.leaks[0].holder.endswith(".kept[0]")
    with no_leaks():
        pass


def test_cycle_is_given_its_collection():
    """An object that only the collector frees is gone by the check."""
    session = Session()
    session.me = session
    watch(session)
    del session
    with no_leaks():
        pass


def test_grace():
    """What dies within its grace is not reported."""
    import threading

    holder = [Session()]
    watch(holder[0], grace=30.0)
    timer = threading.Timer(0.05, holder.clear)
    timer.start()
    with no_leaks(resources=False):
        pass
    assert holder == []
    timer.join()


@pytest.mark.parametrize(("grace", "error"), [(-1, ValueError), (float("nan"), ValueError), ("1", TypeError), (True, TypeError)])
def test_bad_grace(grace, error):
    """A grace is a number of seconds."""
    with pytest.raises(error, match="grace must"):
        watch(Session(), grace=grace)


def test_unweakable_object():
    """What cannot be weakly referenced is refused, with the way out."""
    with pytest.raises(TypeError, match="watch_class"):
        watch([])


def test_objects_with_an_equality_of_their_own():
    """Objects are told apart by identity: no `__eq__` and no `__hash__` runs."""

    class Odd:
        __hash__ = None

        def __eq__(self, other):
            raise RuntimeError

    odd = [Odd(), Odd()]
    for each in odd:
        watch(each)
    assert len(room._watched) == 2
    odd.clear()
    each = None
    assert len(room._watched) == 0


def test_class():
    """Instances from before are let pass, those made since are not; those of subclasses count."""

    class Child(Session):
        __slots__ = ()

    old = Session()
    watch_class(Session, "at the end of the request")
    kept.append(Child())
    with pytest.raises(LeakError, match="1 Child still alive: at the end of the request"), no_leaks():
        pass
    assert old is not None
    with pytest.raises(TypeError, match="cls must be a class, got 3"):
        watch_class(3)


def test_audit_finds_what_grows():
    """A list that was growing until the end, with the line if it is traced."""
    for trace in (False, True):
        kept.clear()
        audit = Audit(trace)
        audit.start()
        for _ in range(3000):
            kept.append(Session())  # noqa: PERF401 - one at a time
        report = audit.stop()
        leaks = [leak for leak in report.failures if leak.kind == "growth"]
        assert [".kept" in leak.holder for leak in leaks] == [True], str(report)
        assert (leaks[0].where is not None) is trace
    assert not tracemalloc.is_tracing()


@pytest.mark.parametrize("containers", range(0, 300, 25))
def test_audit_finds_what_grows_wherever_the_collector_has_run(containers):
    """That the collector has just run when the stretch ends, or runs twice, does not look as if growth had ended."""
    kept.clear()
    audit = Audit()
    audit.start()
    for _ in range(3000):
        kept.append(Session())  # noqa: PERF401 - one at a time
    others = [[] for _ in range(containers)]
    gc.collect()
    gc.collect()
    report = audit.stop()
    assert [".kept" in leak.holder for leak in report.failures] == [True], (str(report), len(others))


def test_look_in_the_middle_of_an_import_counts_for_nothing(tmp_path, monkeypatch):
    """What was growing before it, and after it, is told."""
    tmp_path.joinpath("imported_late.py").write_text("from running_audit import look\n\nlook()\n")
    monkeypatch.syspath_prepend(tmp_path)
    audit = Audit()
    monkeypatch.setitem(sys.modules, "running_audit", SimpleNamespace(look=audit.look))
    audit.start()
    with collector_off():  # else it may run, and have the audit look, just before the test does
        for _ in range(5):
            kept.extend(Session() for _ in range(100))
            audit.look()
        import_module("imported_late")
        kept.extend(Session() for _ in range(100))
    report = audit.stop()
    sys.modules.pop("imported_late")
    assert [".kept" in leak.holder for leak in report.failures] == [True], str(report)


def test_audit_of_a_clean_stretch():
    """What is made and dropped, and what was filled once, is no leak."""
    with Audit() as audit:
        table = {number: [number] for number in range(150)}
        for _ in range(2000):
            row = [Session() for _ in range(10)]
            row.append(table[3])
    assert audit.report.ok, str(audit.report)


def test_audit_of_what_stays_open():
    """A file that nobody closed."""
    with Audit() as audit:
        kept.append(open(os.devnull))
    kept.pop().close()
    assert [leak.kind for leak in audit.report.failures] == ["file"]


def test_audit_must_be_started_once():
    """Stop without start, and start without stop, are errors."""
    audit = Audit()
    with pytest.raises(RuntimeError, match="has not been started"):
        audit.stop()
    audit.start()
    with pytest.raises(RuntimeError, match="started already"):
        audit.start()
    audit.stop()
    with pytest.raises(TypeError, match="trace must be a bool, got 1"):
        Audit(1)


def test_audit_leaves_nothing():
    """No callback of the collector, and no object, outlives it."""
    before = list(gc.callbacks)
    audit = Audit()
    audit.start()
    session = Session()
    reference = weakref.ref(session)
    del session
    audit.stop()
    assert gc.callbacks == before
    assert reference() is None
