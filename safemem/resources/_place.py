"""Where in the user's code something was made, for the warning that it was never closed."""

from __future__ import annotations

import sys

__all__ = ["place_of_caller"]


def place_of_caller() -> tuple[str, int]:
    """Return the file and line of who called into the module that asks."""
    frame = sys._getframe(1)
    own = frame.f_globals
    while frame.f_globals is own and frame.f_back is not None:
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno
