"""The table: fits the room there is, shows what was measured, and says plainly what failed."""

from __future__ import annotations

import dataclasses
import json

import pytest

from safemem.demo import ROWS, load_rows
from safemem.demo.corpus import Corpus, Source
from safemem.demo.report import as_json, heading, row_of_table, size_in_words, summary
from safemem.demo.row import Left
from safemem.demo.runner import Measured, Outcome

CORPUS = Corpus("/src", "/src", (Source("a.py", 1_234_567),), {"in test directories": 1056}, {"b.py": "not valid Python"})


def outcome(row=None, **left: int) -> Outcome:
    """A row with invented numbers."""
    usual = Measured({"definitions": 19_099, "digest": "abc"}, 6.125, Left(734, 1734, 322_300_000))
    safemem = Measured({"definitions": 19_099, "digest": "abc"}, 5.5, Left(left.get("live", 0), 934, left.get("bytes", 0)))
    return Outcome(row or load_rows()[0], usual, safemem)


def whole(outcomes: list[Outcome], width: int) -> str:
    """All that is printed."""
    rows = [row_of_table(number, each, width) for number, each in enumerate(outcomes, 1)]
    return "\n".join([heading(CORPUS, width), *rows, summary(outcomes, CORPUS, 22.06, width)])


@pytest.mark.parametrize("width", [20, 30, 40, 60, 79, 80, 200])
def test_is_no_wider_than_the_room(width):
    """At every width, except for words that are longer than a very narrow one."""
    lines = whole([outcome(row) for row in load_rows()], width).split("\n")
    assert max(map(len, lines)) <= max(min(width, 79), 35)


def test_wide():
    """Two lines of columns, and one that says whether the promise was kept."""
    assert row_of_table(1, outcome(live=32, bytes=20_600_000), 80).split("\n") == [
        "1. The dict that only grows",
        "   usual   a module-level dict             734 of 1,734 files  322.3 MB  6.12 s",
        "   safemem LRUCache(32)                       32 of 934 files   20.6 MB  5.50 s",
        "   kept:   at most 32 parsed files; same answer (19,099 definitions)",
    ]


def test_narrow():
    """The same numbers below each other, none torn apart."""
    assert row_of_table(1, outcome(live=32, bytes=20_600_000), 40).split("\n") == [
        "1. The dict that only grows",
        "   usual: a module-level dict",
        "     734 of 1,734 files, 322.3 MB,",
        "     6.12 s",
        "   safemem: LRUCache(32)",
        "     32 of 934 files, 20.6 MB, 5.50 s",
        "   kept: at most 32 parsed files; same",
        "     answer (19,099 definitions)",
    ]


def test_failure():
    """A broken promise is named in its row and counted at the end."""
    text = whole([outcome(live=33)], 80)
    assert "FAILED: 33 parsed files, 32 allowed (promised: at most 32 parsed files)" in text
    assert "1 of 1 rows FAILED; 22.1 s" in text


def test_heading():
    """What is worked on, what is left out and how to have it."""
    text = heading(CORPUS, 80)
    assert text.startswith("/src\n1 file, 1.2 MB of Python")
    assert "1,056 files in test directories (--all takes them)" in text.replace("\n", " ")


def test_skipped_files_are_told():
    """A file that is not Python is no secret."""
    assert "skipped files: 1 not valid Python" in summary([outcome()], CORPUS, 1, 80)
    assert "skipped" not in summary([outcome()], dataclasses.replace(CORPUS, problems={}), 1, 80)


def test_no_spaces_at_line_ends():
    """What is copied from the terminal is clean."""
    assert [line for line in whole([outcome()], 80).split("\n") if line != line.rstrip()] == []


@pytest.mark.parametrize(("size", "words"), [(999_949, "999.9 kB"), (999_950, "1.0 MB"), (4_000_000, "4.0 MB"), (1.5e9, "1.5 GB")])
def test_size_in_words(size, words):
    """The unit changes where the number would get too long."""
    assert size_in_words(size) == words


def test_json():
    """Plain data, with everything that was measured."""
    found = json.loads(json.dumps(as_json([outcome(live=33, bytes=5)], CORPUS, 22.5)))
    (row,) = found.pop("rows")
    assert found == {
        "directory": "/src",
        "files": 1,
        "bytes": 1_234_567,
        "left_out": {"in test directories": 1056},
        "skipped": {"b.py": "not valid Python"},
        "seconds": 22.5,
        "ok": False,
    }
    assert row.pop("safemem") == {"write": "LRUCache(32)", "live": 33, "built": 934, "bytes": 5, "facts": {}, "seconds": 5.5, "leaks": []}
    assert row.pop("usual")["live"] == 734
    assert row == {
        "name": ROWS[0],
        "title": "The dict that only grows",
        "unit": "files",
        "promise": "at most 32 parsed files",
        "complaint": "33 parsed files, 32 allowed",
        "ok": False,
        "answer": {"definitions": 19_099, "digest": "abc"},
    }
