"""What the docs promise of every kind of thing in every end is what happens."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from helpers.isolate import assert_clean, run_code, run_script
from helpers.threads import until

from safemem.resources import lease

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the page's table is of Linux, with a guardian and files without a name")

PAGE = Path(__file__).parents[2] / "docs" / "concepts" / "ends.md"
SCRIPT = Path(__file__).parent / "scripts" / "holder.py"

# The rows of the table, and what the script is told.
ENDS = {
    "the block ends, or `close()`": ["block"],
    "an exception leaves the block": ["exception in the block"],
    "dropped open, with a `ResourceWarning`": ["drop"],
    "the last line, nothing was closed": ["the last line"],
    "an exception that nobody catches": ["exception"],
    "`sys.exit()`": ["sys.exit"],
    "Ctrl-C, SIGINT": ["SIGINT"],
    "a child of multiprocessing returns": ["child"],
    'SIGTERM after `on_signals("SIGTERM")`': ["on_signals"],
    "SIGTERM, SIGHUP, SIGQUIT": ["SIGTERM", "SIGHUP", "SIGQUIT"],
    "SIGKILL": ["SIGKILL"],
    "SIGSEGV, `os.abort()`": ["SIGSEGV", "os.abort"],
    "`os._exit()`, `os.execv()`": ["os._exit", "os.execv"],
    "all at once: the program and its guardian": ["program and guardian"],
}


def rows() -> dict[str, list[str]]:
    """The table of the page: each end, and what becomes of each kind."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    start = lines.index(next(line for line in lines if line.startswith("| the end |")))
    cells = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines[start + 2 :] if line.startswith("|"))
    return {first: rest for first, *rest in cells}


ROWS = rows()


def test_the_table_is_complete():
    """Every row of the page is tried here."""
    assert list(ROWS) == list(ENDS)


@pytest.mark.parametrize(("row", "end"), [(row, end) for row, ends in ENDS.items() for end in ends])
def test_end(tmp_path, row, end):
    """A program that ends so leaves what the page says."""
    closing, target, names, mapped = ROWS[row]
    place = tmp_path / "place"
    place.mkdir()
    (tmp_path / "target").write_text("old")
    (tmp_path / "mapped").write_text("old and long")
    (tmp_path / "closed").touch()
    guardian = "" if names == "by the guardian" else "off"
    done = run_script(SCRIPT, str(place), end, SAFEMEM_GUARDIAN=guardian)
    assert len((tmp_path / "names").read_text().split()) == 5  # the name that was chosen has another one of ours beside it
    assert "Exception ignored" not in done.stderr
    assert sorted((tmp_path / "closed").read_text()) == {"closed": ["1", "2"], "not closed": []}[closing]
    assert (tmp_path / "target").read_text() == {"new content": "new", "old content": "old"}[target]
    assert (tmp_path / "mapped").read_text() == {"kept": "new and long"}[mapped]
    assert not list(tmp_path.glob(".*"))
    if names == "by the guardian":
        until(lambda: not os.listdir(place))
    elif names == "at the next start, or by a sweep":
        assert len(os.listdir(place)) == 5
        for name in list(lease.owned_names(str(place))):
            assert lease.reclaim(str(place), name)
    else:
        assert names == "gone"
    assert os.listdir(place) == []
    (tmp_path / "place").rmdir()


def test_the_next_start_removes_what_is_left(tmp_path):
    """As the last row says: a program that makes such a thing in the same directory comes upon what a dead one left there."""
    place = tmp_path / "place"
    place.mkdir()
    (tmp_path / "mapped").write_text("old and long")
    run_script(SCRIPT, str(place), "program and guardian")
    assert len(os.listdir(place)) == 5
    assert_clean(run_code(f"from safemem import managed_tempfile\nmanaged_tempfile(dir={str(place)!r}, guardian='off').close()"))
    assert os.listdir(place) == []
