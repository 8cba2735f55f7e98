"""Where in the user's code something was made, for the warning that it was never closed."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["place_of_caller"]


def place_of_caller(own: dict[str, Any], depth: int = 1) -> tuple[str, int]:
    """Return the file and line of who called into the module whose globals are given; from so many calls up, to be there sooner."""
    frame = sys._getframe(depth)
    while frame.f_globals is own and frame.f_back is not None:
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno
