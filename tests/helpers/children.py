"""What children of tests do: they find it by its name, wherever the tests lie."""

from __future__ import annotations

from typing import Any


def write_into(memory: Any) -> None:
    """Write a word to the beginning of shared memory."""
    memory.buf[:5] = b"child"
    memory.close()
