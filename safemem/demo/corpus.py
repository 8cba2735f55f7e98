"""Finds the Python sources the demo works on, and keeps count of those it had to leave out."""

from __future__ import annotations

import os
import platform
import sysconfig
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil

from safemem._console import CommandError

__all__ = ["BadInputError", "Corpus", "find_corpus"]

MOST_BYTES = 16_000_000
"""More source than this does not fit into the minute the demo is meant to take."""

LARGEST_FILE = 2_000_000

_TESTS = frozenset({"test", "tests", "idle_test"})
_NOT_SEARCHED = frozenset({"__pycache__", "site-packages", "dist-packages"})


class BadInputError(CommandError, ValueError):
    """The demo cannot work on what it was given."""


@dataclass(frozen=True)
class Source:
    """One file: its path below the root, with forward slashes, and its size."""

    path: str
    size: int

    @property
    def is_test(self) -> bool:
        """Whether the file lies in a directory of tests."""
        return not _TESTS.isdisjoint(self.path.split("/")[:-1])

    @property
    def module(self) -> str:
        """The dotted name under which code beside the root would import the file."""
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@dataclass(frozen=True, eq=False)
class Corpus:
    """The files to work on, those left out on purpose, and those that turned out to be unusable; a key of caches by identity."""

    root: str
    label: str
    sources: tuple[Source, ...]
    left_out: dict[str, int] = field(default_factory=dict[str, int])
    problems: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def size(self) -> int:
        """All bytes of source."""
        return sum(source.size for source in self.sources)

    @property
    def paths(self) -> list[str]:
        """The path of every file, in order."""
        return [source.path for source in self.sources]

    @cached_property
    def modules(self) -> dict[str, str]:
        """The path of the file that defines each module."""
        return {source.module: source.path for source in self.sources}

    def sample(self, size: int) -> list[str]:
        """Return the paths of evenly spread files of about this many bytes together, one at least."""
        return [source.path for source in _spread(self.sources, size)]

    def read(self, path: str) -> bytes:
        """Return a file's content; an unreadable file is noted once and counts as empty."""
        try:
            with open(os.path.join(self.root, path), "rb") as file:
                return file.read()
        except OSError:
            self.problems[path] = "cannot be read"
            return b""

    def skipped(self) -> str:
        """Say which files were unusable and why, in a few words; "" if none was."""
        return ", ".join(f"{count:,} {why}" for why, count in sorted(Counter(self.problems.values()).items()))


def find_corpus(directory: str | None = None, *, everything: bool = False) -> Corpus:
    """Find the sources below a directory, by default the standard library's, and keep as many as fit into a minute.

    Raises:
        BadInputError: the directory cannot be read or holds no Python files.
    """
    root = directory if directory is not None else sysconfig.get_path("stdlib")
    problems: dict[str, str] = {}
    found = _walk(root, problems)
    if not found:
        raise BadInputError(f"no Python files that can be read in {root!r}" if problems else f"no Python files in {root!r}")
    sources, left_out = (found, {}) if everything else _fit(found)
    if not sources:
        raise BadInputError(f"all Python files in {root!r} are over 2 MB (--all takes them)")
    shown = root if root.isprintable() else repr(root)
    label = shown if directory is not None else f"the standard library of Python {platform.python_version()}, {shown}"
    return Corpus(root, label, tuple(sources), left_out, problems)


def _walk(root: str, problems: dict[str, str]) -> list[Source]:
    """Return every source below the root, sorted by path; an unreadable root is fatal, anything else is noted."""
    try:
        os.listdir(root)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BadInputError(f"cannot read directory {root!r}: {reason}") from None
    found: list[Source] = []
    for where, folders, files in os.walk(root, onerror=lambda error: problems.update({str(error.filename): "cannot be read"})):
        folders[:] = sorted(name for name in folders if name not in _NOT_SEARCHED and not name.startswith("."))
        below = os.path.relpath(where, root).replace(os.sep, "/")
        for name in sorted(files):
            if name.endswith(".py"):
                path = name if below == "." else f"{below}/{name}"
                _note(os.path.join(where, name), path, found, problems)
    return found


def _note(full: str, path: str, found: list[Source], problems: dict[str, str]) -> None:
    """Add one file if it can be opened; a pipe or device is not even tried, for opening it could block for ever."""
    try:
        if not os.path.isfile(os.path.realpath(full, strict=True)):
            problems[path] = "not a regular file"
            return
        with open(full, "rb") as file:
            found.append(Source(path, os.fstat(file.fileno()).st_size))
    except OSError:
        problems[path] = "cannot be read"


def _fit(found: list[Source]) -> tuple[list[Source], dict[str, int]]:
    """Leave out what takes too long: huge files, then tests if it is still too much, then evenly spread files."""
    kept = [source for source in found if source.size <= LARGEST_FILE]
    left_out = {"over 2 MB": len(found) - len(kept)}
    if _size(kept) > MOST_BYTES and (code := [source for source in kept if not source.is_test]):
        left_out["in test directories"] = len(kept) - len(code)
        kept = code
    if _size(kept) > MOST_BYTES:
        spread = _spread(kept, MOST_BYTES)
        left_out["evenly spread"] = len(kept) - len(spread)
        kept = spread
    return kept, {why: count for why, count in left_out.items() if count}


def _spread(sources: Sequence[Source], size: int) -> list[Source]:
    """Choose evenly spread files of about this many bytes together."""
    step = max(_size(sources) / size, 1.0)
    return [sources[int(step * index)] for index in range(ceil(len(sources) / step))]


def _size(sources: Iterable[Source]) -> int:
    return sum(source.size for source in sources)
