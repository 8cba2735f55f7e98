"""Where in the user's code something was made, for the warning that it was never closed."""

from __future__ import annotations

import sys

__all__ = ["place_of_caller"]


def place_of_caller() -> tuple[str, int]:
    """Return the file and line of who called into this room."""
    frame = sys._getframe(1)
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).startswith("safemem.resources."):
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno
