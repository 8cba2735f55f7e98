"""Who waits for whom: the graph of runs under way, and the circle that a further wait would close.

A `Run` stands for one flight here. It is led by a thread or is an asyncio task, and everything called from inside it is part of it:
what its thread does, and whatever inherits its context (tasks made by `gather`, `asyncio.to_thread`, `copy_context().run`). A `Wait` is an
edge of the graph: those who stand inside some runs wait for another one.

There is no lock. The garbage collector may run a finaliser between any two steps, a signal its handler, and either may ask for something
and wait: a thread stopped like that inside a lock would stop all others, and nobody could see that circle. What takes the place of a lock:

* every change is one atomic operation on a set or dict whose members are hashed and compared by identity, or one store to an attribute;
* who wants to wait says so first and searches afterwards, so of those who close a circle together at least the last one sees it whole;
* a circle counts only if none of its waits was over after the last of them was found: then all of them existed at one time;
* everybody who sees the circle puts a name into one place of it; `setdefault` lets one name in, and that one gives up.
"""

from __future__ import annotations

import os
import sys
from _thread import _local
from contextvars import ContextVar
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _thread import LockType
    from collections.abc import Iterable

__all__ = ["Run", "Wait", "enclosing", "enter", "here", "innermost", "leave", "wait_for"]


class _Process:
    """This process, told from the one it was forked from by identity."""

    __slots__ = ()


class Thread:
    """What one thread waits for at the moment: more than one run only if a finaliser or a signal interrupted a wait."""

    __slots__ = ("innermost", "process", "waits")

    def __init__(self) -> None:
        self.innermost: Run | None = None  # what it leads, where the context must not say so, see `enter`
        self.process = _process
        self.waits: set[Wait] = set()

    def lives(self) -> bool:
        """Whether it can be a thread of this process: False for those that a fork left behind in the parent."""
        return self.process is _process


_process = _Process()
_watching = False
_here = _local()
_numbers = count()

# The innermost run that the running code is inside of, as its context knows; ask `_innermost_run`.
innermost: ContextVar[Run | None] = ContextVar("safemem_innermost_run", default=None)

# Python 3.11 may collect garbage in the middle of ContextVar.set(), and crashes if a finaliser then sets a variable of the same context.
_CONTEXTS_BEAR_FINALISERS = sys.version_info >= (3, 12)


def enter(run: Run) -> Any:
    """Be inside of a run led by this thread, until `leave` with what is returned here."""
    if _CONTEXTS_BEAR_FINALISERS:
        return innermost.set(run)
    thread = here()
    before, thread.innermost = thread.innermost, run
    return before


def leave(before: Any) -> None:
    """Be where one was before `enter`."""
    if _CONTEXTS_BEAR_FINALISERS:
        innermost.reset(before)
    else:
        here().innermost = before


def _innermost_run() -> Run | None:
    if _CONTEXTS_BEAR_FINALISERS:
        return innermost.get()
    # A run that an interrupt ended between two steps may still stand there, or be the last that a context knows of.
    by_thread, by_context = _live(here().innermost), _live(innermost.get())
    if by_thread is None or by_context is None:
        return by_context if by_thread is None else by_thread
    run: Run | None = by_context
    while run is not None:
        if run is by_thread:  # the context's is further inside
            return by_context
        run = run.outer
    return by_thread


def here() -> Thread:
    """Return what stands for this thread."""
    try:
        return _here.thread  # type: ignore[no-any-return]
    except AttributeError:
        if not _watching:
            _watch_forks()
        # A finaliser may come in between and be the first.
        return _here.__dict__.setdefault("thread", Thread())  # type: ignore[no-any-return]


def _watch_forks() -> None:
    global _watching  # noqa: PLW0603 - with the first flight, so that importing changes nothing in the process
    _watching = True
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_drop_other_threads)


def _drop_other_threads() -> None:
    # Only the thread that forked lives on. Thread idents would not do: the child may give those of dead threads to new ones.
    global _process  # noqa: PLW0603 - there is one process
    survivor = here()
    survivor.process = _process = _Process()


class Run:
    """A flight as the graph sees it.

    Contexts keep it for as long as they like, so it refers to no key, no function and no result.
    """

    __slots__ = ("ended", "gate", "outer", "thread", "waits")

    def __init__(self, thread: Thread, gate: LockType | None) -> None:
        self.thread = thread
        self.gate = gate
        around = _innermost_run()
        self.outer = around and _around(around)
        self.ended = False
        self.waits: set[Wait] = set()

    def goes_on(self) -> bool:
        """Whether somebody is at work on it; a leader that a signal kept from saying that the run ended has let go of the gate all the same."""
        return not self.ended and self.thread.process is _process and (self.gate is None or self.gate.locked())


class Wait:
    """That somebody waits for a run."""

    __slots__ = ("claims", "number", "over", "run")

    def __init__(self, run: Run) -> None:
        self.run = run
        self.over = False
        self.number = next(_numbers)
        self.claims: dict[frozenset[int], int] = {}  # for a circle, given by the numbers of its waits: the number of the one that gives up


def _live(run: Run | None) -> Run | None:
    while run is not None and not run.goes_on():
        run = run.outer
    return run


def _around(innermost_run: Run) -> Run | None:
    run = _live(innermost_run)
    if run is not None:
        run.outer = _live(run.outer)  # a task that starts a task that starts a task ... does not grow a chain of ended runs
    return run


def enclosing() -> list[Run]:
    """Return the runs that the running code is inside of and that still go on."""
    runs: list[Run] = []
    run = _live(_innermost_run())
    while run is not None:
        runs.append(run)
        run = _live(run.outer)
    return runs


class wait_for:  # noqa: N801 - reads as what it does in a with statement
    """Context manager: the running code waits for `run`; RecursionError if it would wait for itself. `thread`: the one that blocks, if any."""

    __slots__ = ("_key", "_places", "_runs", "_thread", "_wait")

    def __init__(self, run: Run, key: object, thread: Thread | None) -> None:
        self._wait = Wait(run)
        self._key = key
        self._thread = thread
        self._runs = enclosing()
        self._places = [inside.waits for inside in self._runs]
        if thread is not None:
            self._places.append(thread.waits)

    def __enter__(self) -> None:
        try:
            for place in self._places:
                place.add(self._wait)
            length = self._length_of_circle() if self._places else 0
        except BaseException:
            self.__exit__()
            raise
        if length:
            self.__exit__()
            msg = (
                f"key {self._key!r} is asked for inside its own func"
                if length == 1
                else f"waiting for key {self._key!r} would close a circle of {length} that wait for each other"
            )
            raise RecursionError(msg)

    def __exit__(self, *_: object) -> None:
        self._wait.over = True
        for place in self._places:
            place.discard(self._wait)

    def _length_of_circle(self) -> int:
        """Return how many waits make the circle that is this one's to break; 0: none."""
        wait = self._wait
        giving_up: set[int] = set()
        while True:
            circle = self._path_back(giving_up)
            if not circle:
                return 0
            if any(other.over or not other.run.goes_on() for other in circle):
                continue
            eldest = min(circle, key=_number)
            victim = eldest.claims.setdefault(frozenset(map(_number, circle)), wait.number)
            if victim == wait.number:
                return len(circle)
            giving_up.add(victim)

    def _path_back(self, giving_up: set[int]) -> list[Wait]:
        """Return waits, this one first, that lead from run to run back to where this one stands; empty: there is no such path."""
        todo: list[tuple[Wait, ...]] = [(self._wait,)]
        seen = {self._wait.run}
        while todo:
            path = todo.pop()
            run = path[-1].run
            if not run.goes_on():
                continue
            led_by = None if run.gate is None else run.thread
            if run in self._runs or (led_by is not None and led_by is self._thread):
                return [*path]
            for wait in _both(run.waits, () if led_by is None else led_by.waits):
                if not wait.over and wait.number not in giving_up and wait.run not in seen:
                    seen.add(wait.run)
                    todo.append((*path, wait))
        return []


def _number(wait: Wait) -> int:
    return wait.number


def _both(waits: set[Wait], more: Iterable[Wait]) -> list[Wait]:
    # A list display reads a set in one go: nothing is allocated in the middle that could start the collector, which `tuple(waits)` does.
    return [*waits, *more]
