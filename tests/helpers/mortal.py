"""Values that can die, alone or in a cycle, and be told apart."""

from __future__ import annotations

import gc


class Thing:
    """A value; in a cycle with itself if wanted, so that only the collector can end it."""

    def __init__(self, name: object = None, *, cyclic: bool = False, weight: float = 1) -> None:
        self.name = name
        self.weight = weight
        self.me = self if cyclic else None

    def __repr__(self) -> str:
        return f"Thing({self.name!r})"


def settle() -> None:
    """Let everything die that nobody holds."""
    gc.collect()
