"""What lies in a directory, and what this process has open."""

from __future__ import annotations

from pathlib import Path


def descriptors() -> int:
    """How many descriptors this process has."""
    found = Path("/proc/self/fd")
    return len(list(found.iterdir())) if found.is_dir() else 0


def alone(path: Path) -> bool:
    """Whether nothing else lies in the file's directory."""
    return list(path.parent.iterdir()) == [path]
