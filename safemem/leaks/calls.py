"""Counts the calls of a program's own functions: the clock by which growth is told in programs too short for the collector to run in.

From Python 3.12 on it is `sys.monitoring` that tells of calls, and code that is not the program's is heard once. Before that it is a profile function in
the thread that starts the clock and in those that it starts, which hears everything, and so is taken away after half a million events, some tenths of a second.
"""

from __future__ import annotations

import dis
import math
import os
import sys
import threading
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from safemem.leaks.places import is_own_code, place_of_code

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType

__all__ = ["CallClock"]

_FIRST: Final = 16  # calls
_LAST: Final = 1 << 20  # calls, which take half a second to count
_EVENTS: Final = 500_000  # that a profile function hears
_AGAIN: Final = 16  # calls of one function that make it one that is called again and again
_MANY: Final = 10_000  # functions, beyond which no more are told apart
_EACH: Final = 256  # calls of one function whose callers are all looked at; it costs more than to count them
_ONE_IN: Final = 17  # of those that follow
_TOOLS: Final = (4, 3)  # numbers that sys.monitoring has set aside for nobody in particular
_OPTIMIZED: Final = 1  # a flag of code: of a function, not of the body of a module or class
_RESUMED: Final = 0x20 | 0x80 | 0x200  # of a generator, coroutine, asynchronous generator
_identity: Final = object.__hash__  # unlike id() it is no audit event, of which the command listens to all
_ADDING: Final[set[object]] = {"STORE_SUBSCR", "append", "add", "setdefault", "update", "insert", "extend", "appendleft"}


class _Function:
    """Some code of the program, how often it was called, and how often by itself among so many calls that were looked at."""

    __slots__ = ("calls", "code", "looks", "recursions")

    def __init__(self, code: CodeType) -> None:
        self.code = code
        self.calls = self.looks = self.recursions = 0

    def look(self, caller: FrameType | None) -> None:
        """Note who calls it."""
        self.looks += 1
        self.recursions += caller is not None and caller.f_code is self.code


class CallClock:
    """Counts calls from `start(at_doubling)` to `stop()`; `at_doubling()` is called at the sixteenth, the thirty-second, and so on, in whatever thread.

    It ends by itself after a million calls, in a forked child, and when another tool takes its place; `ended` tells.
    """

    __slots__ = ("_at_doubling", "_busy", "_functions", "_next", "_process", "_stop", "calls", "ended")

    def __init__(self) -> None:
        self.calls = 0
        self.ended = False
        self._at_doubling: Callable[[], object] | None = None
        self._busy = threading.Lock()
        self._functions: dict[int, _Function] = {}  # by the identity of their code
        self._next = _FIRST
        self._process = os.getpid()
        self._stop: Callable[[], None] | None = None

    def start(self, at_doubling: Callable[[], object]) -> None:
        """Begin to count."""
        self._at_doubling = at_doubling
        self._stop = self._by_monitoring() if sys.version_info >= (3, 12) else self._by_profile()

    def stop(self) -> None:
        """Count no more; a look that another thread takes is waited for."""
        with self._busy:
            self._remove()

    def _remove(self) -> None:
        if self._stop is not None:
            self._stop()
            self._stop = None

    def is_added_to_again_and_again(self, name: str) -> bool:
        """Whether a function that was called many times, and not mostly by itself, names an attribute or variable, or is called so."""
        return any(function.recursions < function.looks / 2 for function in self._naming(name) or self._called_so(name))

    def line_that_adds(self, name: str, count: int) -> str | None:
        """Return `file:line` where an attribute or variable is added to, in the function that was called most nearly so many times.

        If none names it, and it is a function itself, the line where that begins.
        """
        found = [(abs(math.log(function.calls / count)), function.code) for function in self._naming(name)]
        if not found:
            called_so = self._called_so(name)
            return place_of_code(called_so[0].code) if len(called_so) == 1 else None
        code = min(found, key=itemgetter(0))[1]
        return f"{code.co_filename}:{_line_that_adds(code, name)}"

    def _naming(self, name: str) -> list[_Function]:
        return [function for function in self._often() if name in function.code.co_names or name in function.code.co_freevars]

    def _called_so(self, name: str) -> list[_Function]:
        return [function for function in self._often() if function.code.co_name == name]

    def _often(self) -> list[_Function]:
        functions = [*self._functions.values()]
        return [function for function in functions if function.calls >= _AGAIN and function.code.co_flags & _OPTIMIZED]

    def _function_of(self, code: CodeType) -> _Function | None:
        """Return what a call of some code is counted in; None if it is not the program's."""
        if not is_own_code(code.co_filename):
            return None
        return self._functions.setdefault(_identity(code) if len(self._functions) < _MANY else 0, _Function(code))

    def _count(self, function: _Function, called: FrameType | None) -> None:
        """Count a call, with the frame of what is called if that is at hand."""
        function.calls += 1
        if function.calls <= _EACH or not function.calls % _ONE_IN:
            function.look((called or sys._getframe(2)).f_back)
        self.calls += 1
        if self.calls >= self._next:
            self._double()

    def _double(self) -> None:
        if not self._busy.acquire(blocking=False):
            return  # another thread does it just now, while this one goes on
        try:
            if self.calls >= _LAST or os.getpid() != self._process:
                self._end()
            elif self._at_doubling is not None:
                self._at_doubling()
            self._next = self.calls * 2
        except (MemoryError, RecursionError):  # are no business of the function that is called just now
            self._end()
        finally:
            self._busy.release()

    def _end(self) -> None:
        self.ended = True
        self._remove()

    def _by_monitoring(self) -> Callable[[], None] | None:
        monitoring: Any = vars(sys)["monitoring"]
        tool = next((number for number in _TOOLS if monitoring.get_tool(number) is None), None)
        if tool is None:
            return None
        disable, event = monitoring.DISABLE, monitoring.events.PY_START
        functions = self._functions

        def called(code: CodeType, _offset: int) -> Any:
            function = functions.get(_identity(code)) or self._function_of(code)
            if function is None:
                return disable
            self._count(function, None)
            return None

        def stop() -> None:
            monitoring.set_events(tool, 0)
            monitoring.register_callback(tool, event, None)
            monitoring.free_tool_id(tool)

        monitoring.use_tool_id(tool, "safemem audit")
        monitoring.register_callback(tool, event, called)
        monitoring.set_events(tool, event)
        return stop

    def _by_profile(self) -> Callable[[], None] | None:
        if sys.getprofile() is not None or threading.getprofile() is not None:
            return None
        left = _EVENTS
        foreign: set[str] = set()  # files

        def called(frame: FrameType, event: str, _: object) -> None:
            nonlocal left
            left -= 1
            if left <= 0:
                self.calls = _LAST
                self._double()
            if self._stop is None:
                sys.setprofile(None)  # of this thread, whichever it is
            elif event == "call" and frame.f_code.co_filename not in foreign and _is_beginning(frame):
                function = self._functions.get(_identity(frame.f_code)) or self._function_of(frame.f_code)
                if function is None:
                    foreign.add(frame.f_code.co_filename)
                else:
                    self._count(function, frame)

        def stop() -> None:
            if sys.getprofile() is called:
                sys.setprofile(None)
            else:
                self.ended = True
            if threading.getprofile() is called:
                threading.setprofile(None)  # pyright: ignore[reportArgumentType]

        self._stop = stop
        threading.setprofile(called)
        sys.setprofile(called)
        return stop


def _is_beginning(frame: FrameType) -> bool:
    """Whether a function begins, rather than that a generator or coroutine goes on (of Python 3.11, which tells of both)."""
    code = frame.f_code
    return not code.co_flags & _RESUMED or frame.f_lasti <= 4 + 2 * (len(code.co_cellvars) + bool(code.co_freevars))


def _line_that_adds(code: CodeType, name: str) -> int:
    """Return the first line of a function that names something and seems to add to it; else the first that names it."""
    lines: dict[int, set[object]] = {}
    for instruction in dis.get_instructions(code):
        line = instruction.positions.lineno if instruction.positions is not None else None
        lines.setdefault(line or code.co_firstlineno, set()).update((instruction.argval, instruction.opname))
    naming = [line for line, names in lines.items() if name in names]
    return next((line for line in naming if lines[line] & _ADDING), naming[0] if naming else code.co_firstlineno)
