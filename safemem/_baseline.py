"""The baseline of a test suite: signatures of leaks that are known, one a line, each with what it is behind a `#`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["read_baseline", "write_baseline"]

_HEAD = """\
# Leaks that are known: `pytest --safemem-leaks --safemem-leaks-baseline=FILE` fails for others only.
# Take a line out when its leak is mended; remove the file to have it written again.
"""


def read_baseline(path: str) -> frozenset[str] | None:
    """Return the signatures in a baseline; None if there is no such file."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    return frozenset(signature for line in text.splitlines() if (signature := line.partition("#")[0].strip()))


def write_baseline(path: str, found: Mapping[str, str]) -> None:
    """Write signatures with what they are; sorted, so that versions compare well."""
    lines = [f"{signature}  # {' '.join(text.split())}\n" for signature, text in sorted(found.items())]
    Path(path).write_text(_HEAD + "".join(lines), encoding="utf-8", errors="backslashreplace")
