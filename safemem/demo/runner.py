"""Runs the rows: each way once, timed, then counts and weighs what it left behind."""

from __future__ import annotations

import gc
import time
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from safemem.demo.audited import audit
from safemem.demo.corpus import BadInputError, Corpus
from safemem.demo.crossref import parse
from safemem.demo.measure import Counted, built, start_count, survivors, weigh
from safemem.demo.row import Answer, Job, Left, Row, Way
from safemem.leaks.report import LeakReport

__all__ = ["Measured", "Outcome", "check_usable", "run_rows"]


@dataclass(frozen=True)
class Measured:
    """What one way came to, how long it took, and what it left behind."""

    answer: Answer
    seconds: float
    left: Left
    report: LeakReport = field(default_factory=LeakReport)  # what the audit says about what was left


@dataclass(frozen=True)
class Outcome:
    """A row and its two measurements."""

    row: Row
    usual: Measured
    safemem: Measured

    @property
    def complaint(self) -> str:
        """Why this row failed, or ""."""
        if self.usual.answer != self.safemem.answer:
            return "the two ways gave different answers (did the files change meanwhile?)"
        leaks = self.safemem.report.failures
        return self.row.excess(self.safemem.left) or (f"the audit found {leaks[0].what} held by {leaks[0].holder}" if leaks else "")


def run_rows(rows: Iterable[Row], corpus: Corpus, show: Callable[[str, float], None]) -> Iterator[Outcome]:
    """Run the rows one after the other and yield each when it is done; `show` is told how far a row has come."""
    for row in rows:
        usual = measure(row, row.usual, corpus, partial(_show_part, show, row.title, 0.0))
        yield Outcome(row, usual, measure(row, row.safemem, corpus, partial(_show_part, show, row.title, 0.5)))


def _show_part(show: Callable[[str, float], None], title: str, before: float, fraction: float) -> None:
    """Show how far a row has come; each of its ways is one half."""
    show(title, before + fraction / 2)


def measure(row: Row, way: Way, corpus: Corpus, show: Callable[[float], None]) -> Measured:
    """Do the work, then look at what stayed behind, then clear it away."""
    left: list[Counted] = []
    way.forget()
    gc.collect()
    start_count()
    try:
        job = Job(corpus, show)
        with _quiet_compiler():
            before = time.perf_counter()
            answer = way.work(job)
            seconds = time.perf_counter() - before
        facts = job.facts
        del job
        left = survivors()
        live = sum(isinstance(obj, row.counts) for obj in left)
        known = {id(corpus), *map(id, left)}
        size = sum(weigh(obj, known) for obj in left)
        facts = {**facts, **row.look()}
        found = Left(live, built(row.counts), size + int(facts.get("bytes outside", 0)), facts)
        return Measured(answer, seconds, found, audit(row, way, left, corpus))
    finally:
        left.clear()
        way.forget()
        start_count()
        gc.collect()


def check_usable(corpus: Corpus) -> None:
    """Make sure that there is something to work on.

    Raises:
        BadInputError: not a single file is valid Python.
    """
    with _quiet_compiler():
        for path in corpus.paths:
            parse(corpus, path)
            if path not in corpus.problems:
                return
    raise BadInputError(f"none of the Python files in {corpus.root!r} can be used: {corpus.skipped()}")


@contextmanager
def _quiet_compiler() -> Generator[None]:
    """Show no warnings about the style of other people's files, and do not let them become errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        yield
