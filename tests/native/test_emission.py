"""The native emission core: wrong arguments, exact reference counts, and no memory."""

from __future__ import annotations

import gc
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.collect import Thing, collector_off
from helpers.isolate import assert_clean, run_script
from helpers.recorder import unraisable

from safemem import Signal
from safemem.core import _emission, _native
from safemem.observers.connection import Connection
from safemem.observers.links import Link

testcapi = pytest.importorskip("_testcapi", reason="part of CPython's own tests")

# From 3.12 on `code.co_lines()`, which finds the line to name, crashes the interpreter where there is no memory.
FAILING = [False, True] if sys.version_info < (3, 12) else [False]
ORIGIN = (0, (lambda: None).__code__, 0, None)


class Listener:
    """Has a method to connect."""

    def hear(self, *args: Any, **kwargs: Any) -> Any:
        return args, kwargs

    def fail(self, *args: Any, **kwargs: Any) -> Any:
        raise LookupError(args)


def bare() -> Any:
    """A core without a public class."""
    return _native.EmissionCore()


MISUSES: dict[str, Callable[[Any], object]] = {
    "append an object": lambda core: core._append(object()),
    "append None": lambda core: core._append(None),
    "swap a list": lambda core: core._swap((), []),
    "swap one": lambda core: core._swap(()),
    "join nothing": lambda core: core._join(),
    "join objects": lambda core: core._join(object, Connection, accept, True, 0, sys._getframe()),
    "join with no handles": lambda core: core._join(Link, Link, accept, True, 0, sys._getframe()),
    "join for a flag": lambda core: core._join(Link, Connection, accept, True, True, sys._getframe()),
    "join nowhere": lambda core: core._join(Link, Connection, accept, True, 0, None),
    "links a list": lambda core: setattr(core, "_links", []),
    "no links": lambda core: delattr(core, "_links"),
    "limit": lambda core: setattr(core, "_limit", "many"),
    "link of nothing": lambda _core: Link(),  # type: ignore[call-arg]
    "link of two": lambda _core: Link(print, None),  # type: ignore[call-arg]
    "empty origin": lambda _core: Link(print, None, ()),  # type: ignore[arg-type]
    "priority": lambda _core: Link(print, None, ("high",)),  # type: ignore[arg-type]
    "link of four": lambda _core: Link(print, None, ORIGIN, None),  # type: ignore[call-arg]
    "keywords": lambda _core: Link(func=print, ref=None, origin=ORIGIN),
    "ended": lambda _core: setattr(Link(print, None, ORIGIN), "ended", 1),
    "links of objects": lambda core: (setattr(core, "_links", (object(),)), core.emit()),
}


@pytest.mark.parametrize("misuse", MISUSES)
def test_private_methods_survive_wrong_arguments(misuse: str) -> None:
    """What only this package calls refuses what makes no sense, and the core stays whole."""
    core = bare()
    with pytest.raises((TypeError, AttributeError)):
        MISUSES[misuse](core)
    core._links = ()
    core._limit = 8
    assert core._append(Link(print, None, ORIGIN)) is True
    assert len(core._links) == 1


def test_what_help_shows() -> None:
    """The docstring and the parameters of the pure core's."""
    pure = _emission.EmissionCore
    assert inspect.getdoc(Signal.emit) == inspect.getdoc(pure.emit)
    for shown, reference in ((Signal.emit, pure.emit), (Signal().emit, pure().emit)):
        assert str(inspect.signature(shown)) == str(inspect.signature(reference)).replace(": 'Any'", "").replace(" -> 'None'", "")


def test_late() -> None:
    """Finalisers may emit while the package is taken apart, and at the end of a process, with a thread in the middle of an emission."""
    assert_clean(run_script(Path(__file__).parent / "scripts" / "late_signals.py", SAFEMEM_PURE="0"))


def test_a_bare_core() -> None:
    """Without the public class it calls its links, in order, and puts a link only where it belongs."""
    core = bare()
    heard: list[Any] = []
    assert core.emit(1) is None
    links = [Link(heard.append, None, (priority, *ORIGIN[1:])) for priority in (2, 1, 1, 3)]
    assert [core._append(link) for link in links] == [True, True, True, False]
    assert core._links == tuple(links[:3])
    core.emit("x")
    assert heard == ["x"] * 3
    assert not core._swap((), ())
    assert core._swap(core._links, ())
    links[0].end()
    core._links = (links[0],)
    assert core._append(links[3])
    assert core._links == (links[3],)
    core._special = object()
    assert not core._append(links[1])
    core._special = None
    core._limit = 1
    assert not core._append(links[1])


def signal_of(listener: Listener, owner: object) -> Any:
    """A signal with receivers of every sort, one of which is switched off and one dead."""
    changed: Any = Signal(name="changed")
    changed.connect(accept)
    changed.connect(listener.hear)
    changed.connect(listener.hear, weak=False)
    changed.connect(listener.hear, owner=owner)
    changed.connect(accept).disconnect()
    dead = Listener()
    changed.connect(dead.hear)
    return changed


def accept(*_args: Any, **_kwargs: Any) -> None:
    """Take anything."""


CALLS: dict[str, Callable[[Any, Any, Any], object]] = {
    "nothing": lambda changed, _first, _second: changed.emit(),
    "one": lambda changed, first, _second: changed.emit(first),
    "many": lambda changed, first, second: changed.emit(first, second, first, second, first, second, first, second),
    "named": lambda changed, first, second: changed.emit(first, a=second, b=first),
    "only named": lambda changed, first, _second: changed.emit(a=first),
    "muted": lambda changed, first, second: muted(changed, first, x=second),
    "send": lambda changed, first, second: changed.send(first, x=second),
}


# Without a GIL the interpreter crashes where functions in Python have no memory, also on the pure core.
COMPILED = [call for call in CALLS if getattr(sys, "_is_gil_enabled", lambda: True)() or call not in {"muted", "send"}]


def muted(changed: Any, *args: Any, **kwargs: Any) -> None:
    """Emit to nobody."""
    with changed.muted():
        changed.emit(*args, **kwargs)


def attempt(call: str, *arguments: Any) -> bool:
    """Call; receivers may fail in their way, or there may be no memory: return whether there was none."""
    try:
        CALLS[call](*arguments)
    except BaseException as error:  # noqa: BLE001 - looked at below, when there is memory again: to match a group takes some
        raised = error
    else:
        return False
    finally:
        testcapi.remove_mem_hooks()
    try:
        if isinstance(raised, ExceptionGroup):
            return [type(error) for error in raised.exceptions] != [LookupError]
        assert isinstance(raised, (MemoryError, SystemError))  # the interpreter may forget to say that it has no memory for a group
        return True
    finally:
        del raised  # its traceback leads here


@pytest.mark.parametrize("failing", [False, True])
@pytest.mark.parametrize("call", CALLS)
def test_counts(call: str, failing: bool) -> None:
    """An emission, whether a receiver fails or not, leaves the reference count of everything where it was, and no garbage."""
    listener, first, second = Listener(), Thing(), Thing()
    changed = signal_of(listener, first)
    if failing:
        changed.connect(listener.fail)
    objects = [listener, first, second, changed, Listener.hear, Listener.fail, accept]
    for _ in range(3):
        assert not attempt(call, changed, first, second)
    with collector_off():
        before = [sys.getrefcount(item) for item in objects]
        for _ in range(50):
            attempt(call, changed, first, second)
        assert [sys.getrefcount(item) for item in objects] == before
        assert gc.collect() == 0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # whatever else runs in this process has no memory either
@pytest.mark.parametrize("failing", FAILING)
@pytest.mark.parametrize("call", COMPILED)
def test_every_allocation_fails_in_turn(call: str, failing: bool) -> None:
    """For want of memory there is a MemoryError, alone or in the group; the signal stays whole and nothing leaks."""
    listener, first, second = Listener(), Thing(), Thing()
    changed = signal_of(listener, first)
    if failing:
        changed.connect(listener.fail)
    receivers = [connection.receiver for connection in changed.connections()]
    attempt(call, changed, first, second)
    objects = [listener, first, second]
    gc.collect()
    before = [sys.getrefcount(item) for item in objects]
    failures = 0
    with collector_off(), unraisable() as caught:
        for start in range(400):
            testcapi.set_nomemory(start, start + 1)
            failed = attempt(call, changed, first, second) or bool(caught)
            failures += failed
            caught.clear()
            while sys.version_info[:2] == (3, 14) and Signal._lock._is_owned():  # there a with statement may lack the memory to let go
                Signal._lock.release()
            if not failed and start > 60:
                break
    assert failures > 0 or call in {"nothing", "one", "only named"}
    gc.collect()  # errors and the frames they came through
    assert [sys.getrefcount(item) for item in objects] == before
    assert [connection.receiver for connection in changed.connections()] == receivers
    assert attempt("one", changed, first, second) is False


def test_counts_of_connecting() -> None:
    """Connecting and disconnecting in one step leaves every count where it was, wherever the link belongs, and no garbage."""
    listener, changed = Listener(), Signal[[]]()
    last = changed.connect(accept, priority=-1)  # the others come before it
    objects = [listener, changed, Listener.hear, accept, last]

    def use() -> None:
        for priority in (0, -1):
            assert changed.connect(listener.hear, priority=priority).disconnect()
            connection = changed.connect(accept, priority=priority)
            assert (connection.receiver, connection.priority) == (accept, priority)
            assert connection.disconnect()
            changed._prune()

    for _ in range(3):
        use()
    with collector_off():
        before = [sys.getrefcount(item) for item in objects]
        for _ in range(50):
            use()
        assert [sys.getrefcount(item) for item in objects] == before
        assert gc.collect() == 0
    assert len(changed) == 1


def connect(changed: Any, receiver: Any) -> Any:
    """Connect, or return None if there is no memory."""
    try:
        return changed.connect(receiver)
    except MemoryError:
        return None
    finally:
        testcapi.remove_mem_hooks()


@pytest.mark.parametrize("bound", [False, True])
def test_connecting_without_memory(bound: bool) -> None:
    """There is a connection and a handle of it, or neither; tested where all is compiled: CPython crashes making a lambda without memory."""
    listener, changed = Listener(), Signal[[]]()
    receiver = listener.hear if bound else accept
    changed.connect(print)
    connect(changed, receiver).disconnect()
    failures = 0
    with collector_off():
        for start in range(200):
            testcapi.set_nomemory(start, start + 1)
            connection = connect(changed, receiver)
            assert len(changed) == 1 + (connection is not None)
            failures += connection is None
            if connection is not None and start > 20:
                break
            changed.disconnect(receiver)
    assert failures > 2  # link, handle and tuple, if nothing can be had from free lists
    assert connection.receiver == receiver
