"""reagento/adaptix, issue 461: the source of every compiled loader is put into linecache under a name of its own."""

from __future__ import annotations

import linecache
from itertools import count

KINDS = ["growth"]
HOLDER = ["linecache.cache"]
FIX = ["linecache.cache.pop", "same file name"]

numbers = count()
SOURCE = "def load(data):\n    return data\n"


def compiled(name: str) -> None:
    linecache.cache[name] = (len(SOURCE), None, SOURCE.splitlines(keepends=True), name)
    exec(compile(SOURCE, name, "exec"), {})


def leak() -> None:
    compiled(f"<adaptix generated {next(numbers)}>")


def mended() -> None:
    compiled("<adaptix generated>")


def tidy() -> None:
    linecache.clearcache()
