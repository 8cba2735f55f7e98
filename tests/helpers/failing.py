"""Calls of the system that are made to fail."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any


class Failing:
    """Stands in for a call of the system, and fails the Nth time with EIO; `calls` counts them."""

    def __init__(self, real: Callable[..., Any], number: int) -> None:
        self.real = real
        self.number = number
        self.calls = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        if self.calls != self.number:
            return self.real(*args, **kwargs)
        if self.real.__name__ == "close":  # it frees the descriptor all the same
            self.real(*args)
        raise OSError(errno.EIO, "made to fail")
