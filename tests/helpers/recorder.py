"""An `on_remove` that remembers what it was told, and the catcher of what may not be raised."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Recorder:
    """Remembers every removal as `(key, value, name of the cause)`."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, Any, str]] = []

    def __call__(self, key: Any, value: Any, cause: Any) -> None:
        self.told.append((key, value, cause.name))

    def take(self) -> list[tuple[Any, Any, str]]:
        """What was told since the last time."""
        told, self.told = self.told, []
        return told


@contextmanager
def unraisable() -> Iterator[list[BaseException]]:
    """Collect what goes to `sys.unraisablehook` during the block."""
    caught: list[BaseException] = []
    before = sys.unraisablehook

    def hook(args: Any) -> None:
        caught.append(args.exc_value)

    sys.unraisablehook = hook
    try:
        yield caught
    finally:
        sys.unraisablehook = before
