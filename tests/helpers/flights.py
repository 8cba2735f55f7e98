"""Threads that lead flights and join them, one step at a time."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from safemem import SingleFlight
from safemem.caches import flight

from .threads import LIMIT, until

# There setting a context variable can crash the interpreter, so a thread's runs are not handed on with its context; see circles.enter.
needs_contexts = pytest.mark.skipif(sys.version_info < (3, 12), reason="Python 3.11 cannot say in a context what a thread runs")


def waits(thread: threading.Thread | Call) -> bool:
    """Whether a thread stands before the gate of a flight."""
    frame = sys._current_frames().get(thread.ident or 0)
    return frame is not None and frame.f_code is flight._pass_gate.__code__


def never() -> Any:
    """A function that must not be run."""
    raise AssertionError


def fail() -> Any:
    """Raise."""
    raise LookupError("on purpose")


def tried(function: Callable[..., Any], *arguments: Any) -> None:
    """Call; what is raised is part of the programme."""
    try:
        function(*arguments)
    except BaseException:  # noqa: BLE001 - as the docstring says
        pass


class Call:
    """A call in a thread of its own, and what came of it."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call: Any = (function, arguments)
        self.value: Any = None
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        function, arguments = self.call
        try:
            self.value = function(*arguments)
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            self.error = error
        finally:
            del function, arguments, self.call, self  # the error leads to this frame

    @property
    def ident(self) -> int | None:
        """As of a thread."""
        return self.thread.ident

    def end(self) -> None:
        """Wait for the end."""
        self.thread.join(LIMIT)
        assert not self.thread.is_alive(), "the call hangs"

    def result(self) -> Any:
        """Wait for the end; return the value or raise the error."""
        self.end()
        if self.error is not None:
            raise self.error
        return self.value


class Slow:
    """A function that runs until it is let go, counts its runs, and then does what it was given to do."""

    def __init__(self, then: Callable[[], Any] = object) -> None:
        self.then = then
        self.runs = 0
        self.entered = threading.Event()
        self.leave = threading.Event()

    def __call__(self) -> Any:
        self.runs += 1
        self.entered.set()
        assert self.leave.wait(LIMIT)
        return self.then()

    def lead(self, flights: SingleFlight[Any], key: Any = "key") -> Call:
        """Have a thread lead a flight with this function; return when it is in the air."""
        call = Call(flights.do, key, self)
        assert self.entered.wait(LIMIT)
        return call


def join(flights: SingleFlight[Any], count: int, key: Any = "key", func: Callable[[], Any] = never) -> list[Call]:
    """Have threads join a flight; return when all wait."""
    calls = [Call(flights.do, key, func) for _ in range(count)]
    for call in calls:
        until(lambda call=call: waits(call))
    return calls


class Bell:
    """In a cycle with itself; asks when the collector finds it."""

    def __init__(self, ask: Callable[[], Any]) -> None:
        self.ask = ask
        self.myself = self

    def __del__(self) -> None:
        self.ask()
