"""The rows of `safemem demo`: the same work done twice, as people write it and with safemem.

A row is a module of this package that defines `ROW`, a `safemem.demo.row.Row`; it is shown once its name is in `ROWS`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from safemem.demo.row import Row

__all__ = ["ROWS", "load_rows"]

ROWS: tuple[str, ...] = (
    "growing_dict",
    "pinned_instances",
    "byte_bound",
    "stampede",
    "registry",
    "listener",
    "identity_map",
    "big_objects",
    "stored_exception",
    "parent_pointer",
    "short_of_memory",
    *(("open_files", "half_written") if sys.platform != "win32" else ()),
    *(("killed_workers",) if sys.platform == "linux" else ()),
)


def load_rows(names: Iterable[str] = ROWS) -> list[Row]:
    """Import the modules of these rows and return what each calls `ROW`."""
    from importlib import import_module

    rows: list[Row] = [import_module(f"safemem.demo.{name}").ROW for name in names]
    return rows
