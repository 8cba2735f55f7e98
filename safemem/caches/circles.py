"""Who waits for whom: the graph of runs under way, and the circle that a further wait would close.

A `Run` stands for one flight here. It is led by a thread or is an asyncio task, and everything called from inside it is part of it:
what its thread does, and whatever inherits its context (tasks made by `gather`, `asyncio.to_thread`, `copy_context().run`; but see `enter`).
A `Wait` is an edge of the graph: those who stand inside some runs wait for another one.

There is no lock. The garbage collector may run a finaliser between any two steps, a signal its handler, and either may ask for something
and wait: a thread stopped like that inside a lock would stop all others, and nobody could see that circle. What takes the place of a lock:

* every change is one atomic operation on a set or dict whose members are hashed and compared by identity, or one store to an attribute;
* who wants to wait says so first and searches afterwards, so of those who close a circle together at least the last one sees it whole;
* a circle counts only if none of its waits was over after the last of them was found: then all of them existed at one time;
* everybody who sees the circle puts a name into one place of it; `setdefault` lets one name in, and that one gives up;
* what ends a wait for good is the store to its `over`; whatever else of it an interrupt leaves behind counts for nothing.
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

__all__ = ["Run", "Wait", "Waiting", "enclosing", "enter", "here", "innermost", "leave"]


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
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_drop_other_threads)
    _watching = True  # last: no thread has a flight before this is done; to do it twice does no harm


def _drop_other_threads() -> None:
    # Only the thread that forked lives on. Thread idents would not do: the child may give those of dead threads to new ones.
    global _process  # noqa: PLW0603 - there is one process
    survivor = here()
    survivor.process = _process = _Process()
    for wait in [*survivor.waits]:  # a signal handler or finaliser forked in the middle of it; nobody else will open that gate
        gate = wait.run.gate
        if gate is not None and wait.run.thread is not survivor and gate.locked():
            gate.release()


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


class Waiting:
    """The running code waits for a run: from `begin()`, which raises RecursionError if it would wait for itself, until `end()`.

    Not a context manager: whoever waits sets `wait.over` itself, first thing in a `finally`, because an interrupt that comes in where
    `__exit__` is being called would leave a wait behind that never ends. `thread`: the one that blocks, if any.
    """

    __slots__ = ("_claim", "_key", "_places", "_runs", "_thread", "wait")

    def __init__(self, run: Run, key: object, thread: Thread | None) -> None:
        self.wait = Wait(run)
        self._key = key
        self._thread = thread
        self._runs = enclosing()
        self._places = [inside.waits for inside in self._runs]
        self._claim: tuple[dict[frozenset[int], int], frozenset[int]] | None = None
        if thread is not None:
            self._places.append(thread.waits)

    def begin(self) -> None:
        """Say so to everybody, then look for a circle."""
        if self._thread is not None and self._thread.waits:
            self._forget_what_is_over(self._thread.waits)
        for place in self._places:
            place.add(self.wait)
        length = self._length_of_circle() if self._places else 0
        if length:
            msg = (
                f"key {self._key!r} is asked for inside its own func"
                if length == 1
                else f"waiting for key {self._key!r} would close a circle of {length} that wait for each other"
            )
            raise RecursionError(msg)

    def end(self) -> None:
        """Take away what is left of a wait that is over."""
        for place in self._places:
            place.discard(self.wait)
        if self._claim is not None:
            claims, circle = self._claim
            claims.pop(circle, None)

    @staticmethod
    def _forget_what_is_over(waits: set[Wait]) -> None:
        for wait in [*waits]:
            if wait.over:  # an interrupt kept it from being taken away
                waits.discard(wait)

    def _length_of_circle(self) -> int:
        """Return how many waits make the circle that is this one's to break; 0: none."""
        number = self.wait.number
        giving_up: set[int] = set()
        while circle := self._path_back(giving_up):
            if _is_open(circle):
                continue
            claims = min(circle, key=_number).claims
            numbers = frozenset(map(_number, circle))
            victim = claims.setdefault(numbers, number)
            if victim != number:
                giving_up.add(victim)
            elif _is_open(circle):  # the one that gave up has just left, its claim too
                claims.pop(numbers, None)
                giving_up.clear()
            else:
                self._claim = claims, numbers
                return len(circle)
        return 0

    def _path_back(self, giving_up: set[int]) -> list[Wait]:
        """Return waits, this one first, that lead from run to run back to where this one stands; empty: there is no such path."""
        todo: list[tuple[Wait, ...]] = [(self.wait,)]
        seen = {self.wait.run}
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


def _is_open(circle: list[Wait]) -> bool:
    return any(wait.over or not wait.run.goes_on() for wait in circle)


def _number(wait: Wait) -> int:
    return wait.number


def _both(waits: set[Wait], more: Iterable[Wait]) -> list[Wait]:
    # A list display reads a set in one go: nothing is allocated in the middle that could start the collector, which `tuple(waits)` does.
    return [*waits, *more]
