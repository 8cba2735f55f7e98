"""The descriptors left open: files that are compared, until an exception that is kept keeps them, too, against a ResourceScope."""

from __future__ import annotations

import gc
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import BinaryIO

from safemem import ResourceScope
from safemem.demo.measure import Counted
from safemem.demo.row import Answer, Job, Row, Way, more_than

__all__ = ["ROW"]

GROUP = 8
MOST = 400  # files, as a process may have no more than about a thousand open

_OPEN = "descriptors"
_BEFORE = "descriptors before"

findings: list[DifferenceError] = []


class DifferenceError(Exception):
    """Files are not alike."""


class Reader(Counted):
    """An open file."""

    __slots__ = ("file",)

    def __init__(self, path: str) -> None:
        self.file: BinaryIO = open(path, "rb")  # noqa: SIM115 - that is what this is about

    def close(self) -> None:
        """Close it."""
        self.file.close()


def compare(readers: Sequence[Reader]) -> int:
    """Return how many lines the files have in common at their beginning; raise where they begin to differ."""
    same = 0
    while True:
        lines = [reader.file.readline() for reader in readers]
        if len(set(lines)) > 1:
            msg = f"line {same + 1}"
            raise DifferenceError(msg)
        if not lines[0]:
            return same
        same += 1


def compare_usual(paths: Sequence[str]) -> int:
    """Open all, compare, close all."""
    readers = [Reader(path) for path in paths]
    same = compare(readers)
    for reader in readers:
        reader.close()
    return same


def compare_safemem(paths: Sequence[str]) -> int:
    """Open all, compare; the scope closes, whatever comes."""
    with ResourceScope() as scope:
        return compare([scope.adopt(Reader(path)) for path in paths])


def compare_all(job: Job, compare_group: Callable[[Sequence[str]], int]) -> Answer:
    """Compare the files in groups, and keep what was found for a report."""
    job.facts[_BEFORE] = _descriptors()
    corpus = job.corpus
    paths = [os.path.join(corpus.root, path) for path in corpus.paths[:MOST] if corpus.read(path)]
    digest, compared = sha256(), 0
    for start in job.each(range(0, len(paths), GROUP)):
        group = paths[start : start + GROUP]
        try:
            digest.update(f"{start}: {compare_group(group)} lines are the same\n".encode())
        except DifferenceError as error:
            findings.append(error)
            digest.update(f"{start}: {error}\n".encode())
        compared += len(group)
    return {"files compared": compared, "digest": digest.hexdigest()}


def look() -> Mapping[str, int]:
    """Count the descriptors of this process."""
    return {_OPEN: _descriptors()}


def _descriptors() -> int:
    return len(os.listdir("/dev/fd"))


def held(facts: Mapping[str, float]) -> int:
    """Return how many descriptors there are more than before."""
    return int(facts.get(_OPEN, 0) - facts.get(_BEFORE, 0))


def forget() -> None:
    """Let go of the findings, and of what they keep."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        findings.clear()
        gc.collect()


ROW = Row(
    name="open_files",
    title="The descriptors that a kept exception keeps open",
    counts=Reader,
    unit="files",
    usual=Way("open(), ..., close()", lambda job: compare_all(job, compare_usual), forget),
    safemem=Way("with ResourceScope()", lambda job: compare_all(job, compare_safemem), forget),
    promise="no descriptor after the comparison",
    kind="file",
    is_left=lambda reader: not reader.file.closed,  # the findings are to be kept; it is the files behind them that must be closed
    excess=lambda left: more_than(0, held(left.facts), _OPEN),
    headline=lambda left: f"{held(left.facts):,} of {left.built:,} open",
    look=look,
)
