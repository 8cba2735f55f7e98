"""A progress bar on a terminal, and nothing anywhere else."""

from __future__ import annotations

import os
import time
from types import TracebackType
from typing import Self, TextIO

__all__ = ["Progress"]

_EVERY = 0.1


class Progress:
    """A context manager that draws a bar on a stream that is a terminal and leaves no trace of it.

    It uses no escape sequences, and an error of the terminal is nobody's concern.
    """

    def __init__(self, stream: TextIO | None, steps: int) -> None:
        self._stream = stream if _is_terminal(stream) else None
        self._steps = steps
        self._done = 0
        self._drawn = 0
        self._next = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.erase()

    def show(self, text: str, fraction: float) -> None:
        """Draw how far the current step has come, ten times a second at most."""
        if self._stream is None or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _EVERY
        self._write(self._line(text, fraction))

    def step(self) -> None:
        """Go on to the next step, and make room for what is printed meanwhile."""
        self._done += 1
        self.erase()

    def erase(self) -> None:
        """Remove the bar."""
        if self._drawn:
            self._write("")
            self._drawn = 0
            self._next = 0.0

    def _line(self, text: str, fraction: float) -> str:
        """Lay out the bar and as much of the text as fits beside it."""
        # The last column stays free: some terminals wrap as soon as it is filled.
        width = _width(self._stream) - 1
        share = (self._done + fraction) / self._steps
        cells = min(24, width // 3)
        full = int(cells * share)
        return f"[{'#' * full}{'.' * (cells - full)}] {share:4.0%}  {text}"[:width].rstrip()

    def _write(self, line: str) -> None:
        if self._stream is None:
            return
        # Noted before it is drawn, for Ctrl-C may come in between, and then it has to be erased.
        self._drawn = max(self._drawn, len(line))
        try:
            self._stream.write("\r" + line.ljust(self._drawn) + ("" if line else "\r"))
            self._stream.flush()
        except (OSError, ValueError):
            self._stream = None


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"
    except ValueError:
        return False


def _width(stream: TextIO | None) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80 if stream else 80
    except (OSError, ValueError):
        return 80
