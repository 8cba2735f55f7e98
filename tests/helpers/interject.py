"""Something that happens between any two instructions of ours: an interrupt, a finaliser, a signal handler."""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable
from typing import Any

from safemem.caches import circles, flight, outcomes, taskflight

OURS = {module.__file__ for module in (circles, flight, outcomes, taskflight)}


def interrupt() -> None:
    """Do what the usual handler of Ctrl-C does."""
    raise KeyboardInterrupt


class Striker:
    """A trace function that calls `strike` at the n-th place where a signal handler may run while our code, or that of some files, does."""

    def __init__(self, at: int, strike: Callable[[], object] = interrupt, *, files: set[str | None] = OURS) -> None:
        self.at = at
        self.files = files
        self.strike = strike
        self.places = 0
        self.struck = False
        self._last: dict[Any, str] = {}
        self._names: dict[Any, dict[int, str]] = {}

    def __call__(self, frame: Any, event: str, _argument: Any) -> Any:
        if frame.f_code.co_filename not in self.files:
            return None
        frame.f_trace_opcodes = True
        if event == "call":
            self._last[frame] = "RESUME"  # which is not told itself
        elif event == "opcode":
            names = self._names.get(frame.f_code)
            if names is None:
                names = self._names[frame.f_code] = {item.offset: item.opname for item in dis.get_instructions(frame.f_code)}
            # Handlers run after calls, at the start of a function, and when a loop jumps back.
            if self._last.get(frame, "").startswith(("CALL", "RESUME", "JUMP_BACKWARD")) and not self.struck:
                self.places += 1
                if self.places > self.at:
                    self.struck = True
                    self._last.clear()
                    self.strike()
            self._last[frame] = names[frame.f_lasti]
        elif event == "return":
            self._last.pop(frame, None)
        return self

    def run(self, function: Callable[[], Any]) -> Any:
        """Run a function under this tracer."""
        before = sys.gettrace()
        sys.settrace(self)
        try:
            return function()
        finally:
            sys.settrace(before)
