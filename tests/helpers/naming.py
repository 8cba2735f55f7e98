"""Readable, unique names for parametrised lambdas."""

from __future__ import annotations

import linecache
from typing import Any


def source(value: Any) -> str | None:
    """Name a lambda by the line it was written on, other callables by their name; leave the rest to pytest."""
    code = getattr(value, "__code__", None)
    if code is not None and code.co_name == "<lambda>":
        line = linecache.getline(code.co_filename, code.co_firstlineno).strip()
        return line.partition("# noqa")[0].partition(": ")[2].rstrip(", ")
    return getattr(value, "__name__", None)
