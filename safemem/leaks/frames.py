"""Local variables of frames, read without leaving anything in them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from safemem._graph import class_of

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["is_ours", "locals_of", "place_of", "running_frames"]

_OURS: Final = ("safemem.leaks", "safemem.pytest_plugin", "safemem.cli", "safemem.__main__")
_OPTIMIZED: Final = 0x1
_get: Final[Any] = vars(dict)["get"]


def locals_of(frame: FrameType) -> dict[Any, Any]:
    """Return a frame's variables and their values.

    Until 3.12 the interpreter makes a dict of them that the frame keeps, and with it every value; it is emptied again unless somebody has it.
    """
    space: Any = frame.f_locals
    found: dict[Any, Any] = dict(space)
    if class_of(space) is dict and frame.f_code.co_flags & _OPTIMIZED and sys.getrefcount(space) <= _OWN_REFERENCES:
        space.clear()  # pyright: ignore[reportUnknownMemberType]
    return found


_OWN_REFERENCES: Final = 3  # the frame's, the variable's, the argument's


def running_frames() -> list[tuple[int, FrameType]]:
    """Return the frames that run, with the number of their thread: this thread's first, the innermost of each first, without those of the audit."""
    from threading import get_ident

    this = get_ident()
    found: list[tuple[int, FrameType]] = []
    innermost: FrameType | None = None
    for number, innermost in sorted(sys._current_frames().items(), key=lambda pair: pair[0] != this):
        frame: FrameType | None = innermost
        while frame is not None:
            if not is_ours(frame):
                found.append((number, frame))
            frame = frame.f_back
    innermost = None  # one of them is this function's own, which would refer to itself
    return found


def is_ours(frame: FrameType) -> bool:
    """Whether it is the audit that runs in a frame."""
    name: Any = _get(frame.f_globals, "__name__")
    return class_of(name) is str and bool(name.startswith(_OURS))


def place_of(frame: FrameType) -> str:
    """Say where a frame is: `function (file:line)`."""
    code = frame.f_code
    return f"{code.co_qualname} ({code.co_filename}:{frame.f_lineno})"
