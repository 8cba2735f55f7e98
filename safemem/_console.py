"""How commands print, complain, and fail: one line, never a traceback."""

from __future__ import annotations

import os
import sys
from typing import TextIO

from safemem.errors import SafememError

__all__ = ["CommandError", "OutputError", "abandon_stdout", "check_stdout", "complain", "flush_stderr", "flush_stdout", "say", "say_json"]


class CommandError(SafememError):
    """A command cannot do what it was asked to: its text is shown in one line, and the exit status is 2."""


class OutputError(CommandError, OSError):
    """What a command prints cannot be written."""


def say(text: str) -> None:
    """Print to standard output at once; what its encoding cannot express is escaped.

    Raises:
        OutputError: standard output is closed, full, or nobody reads it any more.
    """
    stream = _stream(sys.stdout)
    if stream is None:
        raise OutputError("standard output is closed")
    try:
        stream.write(_encodable(text, stream) + "\n")
        stream.flush()
    except (OSError, ValueError) as error:
        raise _explain(error) from None


def say_json(content: object) -> None:
    """Print something as JSON."""
    import json

    say(json.dumps(content, indent=2))


def complain(text: str) -> None:
    """Print one line to standard error; where that is not possible, the exit status has to do."""
    stream = _stream(sys.stderr)
    if stream is not None:
        try:
            stream.write(_encodable(f"safemem: {text}\n", stream))
            stream.flush()
        except (OSError, ValueError):
            _abandon(stream)


def check_stdout() -> None:
    """Refuse to start long work for nobody.

    Raises:
        OutputError: standard output is closed.
    """
    if _stream(sys.stdout) is None:
        raise OutputError("standard output is closed")


def flush_stdout() -> None:
    """Write what others have printed; otherwise it could fail at exit, with a traceback."""
    stream = _stream(sys.stdout)
    try:
        if stream is not None:
            stream.flush()
    except (OSError, ValueError) as error:
        raise _explain(error) from None


def flush_stderr() -> None:
    """Write what others have complained of; where that is not possible, the exit status has to do."""
    stream = _stream(sys.stderr)
    if stream is not None:
        try:
            stream.flush()
        except (OSError, ValueError):
            _abandon(stream)


def abandon_stdout() -> None:
    """Let the interpreter flush into nothing when it exits, as Python's documentation advises after a broken pipe."""
    stream = _stream(sys.stdout)
    if stream is not None:
        _abandon(stream)


def _abandon(stream: TextIO) -> None:
    """Let what is still in a stream go nowhere: to fail with it at exit would change the status."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, stream.fileno())
        finally:
            os.close(nowhere)
    except (OSError, ValueError, AttributeError):
        pass


def _stream(stream: TextIO | None) -> TextIO | None:
    """Admit that a standard stream is None in a program started with it closed, which typeshed does not."""
    return stream


def _encodable(text: str, stream: TextIO) -> str:
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _explain(error: OSError | ValueError) -> OutputError:
    if isinstance(error, BrokenPipeError):
        return OutputError("nobody reads the output any more (broken pipe)")
    return OutputError(f"cannot write to standard output: {getattr(error, 'strerror', None) or error}")
