"""A row of one's own: what it may leave out, and what it can look up where a count of objects does not tell enough."""

from __future__ import annotations

import dataclasses

from safemem.demo.measure import Counted
from safemem.demo.row import Answer, Job, Left, Row, Way, more_than
from safemem.demo.runner import run_rows


class Segment(Counted):
    """Stands for something the system holds."""


def count_files(job: Job) -> Answer:
    """Some work."""
    return {"files": len([Segment() for _ in job.each(job.corpus.paths)])}


WAY = Way("nothing to keep", count_files)
SMALLEST = Row("segments", "A row of one's own", Segment, "segments", WAY, WAY, "nothing", lambda left: more_than(0, left.live, "segments"))


def test_the_smallest_row(corpus):
    """A way that keeps nothing in its module has nothing to forget."""
    (outcome,) = run_rows([SMALLEST], corpus, lambda _title, _fraction: None)
    assert outcome.complaint == ""
    assert SMALLEST.held(outcome.safemem.left) == "0 of 40 segments"


def test_what_is_looked_up_arrives(corpus):
    """Numbers found afterwards are there for the criterion and for the table."""
    row = dataclasses.replace(
        SMALLEST,
        look=lambda: {"open": 3},
        excess=lambda left: more_than(2, left.facts["open"], "segments"),
        headline=lambda left: f"{left.facts['open']} open segments",
    )
    (outcome,) = run_rows([row], corpus, lambda _title, _fraction: None)
    assert outcome.complaint == "3 segments, 2 allowed"
    assert row.held(outcome.safemem.left) == "3 open segments"


def test_work_can_be_done_alone(corpus):
    """A job without a bar to move is fine."""
    assert count_files(Job(corpus)) == {"files": 40}


def test_words_for_what_is_held():
    """Large numbers are grouped."""
    assert SMALLEST.held(Left(1234, 5678, 0)) == "1,234 of 5,678 segments"
