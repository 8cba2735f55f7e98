"""`safemem demo` as it is called: status, table, JSON, choice of rows."""

from __future__ import annotations

import json
import math

import pytest

from safemem import LRUCache
from safemem.cli import main
from safemem.demo import ROWS, crossref, growing_dict, load_rows
from safemem.demo.corpus import Corpus
from safemem.demo.crossref import Module

WAY = {"write": str, "live": int, "built": int, "bytes": int, "facts": dict, "seconds": float, "leaks": list}
ROW = {
    "name": str,
    "title": str,
    "unit": str,
    "promise": str,
    "complaint": str | None,
    "ok": bool,
    "answer": dict,
    "usual": dict,
    "safemem": dict,
}
WHOLE = {
    "directory": str,
    "files": int,
    "bytes": int,
    "left_out": dict,
    "skipped": dict,
    "rows": list,
    "seconds": float,
    "ok": bool,
}


def has_shape(found: dict, shape: dict) -> bool:
    """Whether an object has exactly these keys, with values of these types."""
    return found.keys() == shape.keys() and all(isinstance(found[key], kind) for key, kind in shape.items())


def test_the_whole_table(tree, capsys):
    """Every row, its promise kept, and status 0."""
    assert main(["demo", str(tree)]) == 0
    out, err = capsys.readouterr()
    for row in load_rows():
        assert row.title in out
        assert row.usual.write in out
        assert row.safemem.write in out
    assert out.count("kept:") == len(ROWS)
    assert f"{len(ROWS)} of {len(ROWS)} rows: same answers, and safemem left nothing beyond its bounds" in out.replace("\n", " ")
    assert err == ""


def test_json(tree, capsys):
    """One object of the documented shape, and nothing else on standard output."""
    assert main(["demo", str(tree), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert has_shape(found, WHOLE)
    assert found["files"] == 40
    assert [row["name"] for row in found["rows"]] == list(ROWS)
    for row in found["rows"]:
        assert has_shape(row, ROW)
        assert has_shape(row["usual"], WAY)
        assert has_shape(row["safemem"], WAY)
        assert row["ok"] is True


@pytest.mark.parametrize("option", [[], ["--json"]], ids=["table", "json"])
def test_something_left_behind_is_status_1(tree, capsys, monkeypatch, option):
    """A cache without its bound is found out."""
    monkeypatch.setattr(growing_dict, "recent", LRUCache(math.inf))
    assert main(["demo", str(tree), *option]) == 1
    assert "40 parsed files, 32 allowed" in capsys.readouterr().out


def test_different_answers_are_status_1(tree, capsys, monkeypatch):
    """A way that does other work is found out."""
    monkeypatch.setattr(growing_dict, "load_safemem", lambda corpus, _path: growing_dict.parse(corpus, corpus.paths[0]))
    assert main(["demo", str(tree), "--row", "growing_dict"]) == 1
    assert "the two ways gave different answers" in capsys.readouterr().out


def test_some_rows(tree, capsys):
    """Only the rows asked for, in that order."""
    assert main(["demo", str(tree), "--json", "--row", "stampede", "--row", "growing_dict"]) == 0
    assert [row["name"] for row in json.loads(capsys.readouterr().out)["rows"]] == ["stampede", "growing_dict"]


def test_unknown_row(tree, capsys):
    """The rows there are are named."""
    assert main(["demo", str(tree), "--row", "nothing"]) == 2
    assert capsys.readouterr().err == f"safemem: error: no row is called 'nothing'; there are {', '.join(ROWS)}\n"


def test_skipped_files_are_counted(tree, capsys):
    """Bad files among good ones are told, not fatal."""
    (tree / "bad.py").write_text("def f(:\n", encoding="utf-8")
    (tree / "dangling.py").symlink_to("nowhere.py")
    assert main(["demo", str(tree)]) == 0
    assert "skipped files: 1 cannot be read, 1 not valid Python" in capsys.readouterr().out


def test_the_files_own_warnings_are_not_shown(tree, capsys):
    """What the compiler thinks of an escape sequence is not the topic, even where warnings are errors."""
    (tree / "old.py").write_text('x = "\\d"\n', encoding="utf-8")
    assert main(["demo", str(tree)]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("row", ROWS)
def test_interrupted_anywhere(row, tree, capsys, monkeypatch):
    """Ctrl-C in the middle of a row is one line and status 130, and the next run is not troubled by it."""

    def interrupt(*_args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("safemem.demo.row.Job.each", interrupt)
        assert main(["demo", str(tree), "--row", row]) == 130
    assert capsys.readouterr().err == "safemem: interrupted\n"
    assert main(["demo", str(tree), "--row", row]) == 0


def test_interrupted_within_a_cache(tree, capsys, monkeypatch):
    """Ctrl-C while a safemem cache computes a value: the same, and the cache is fit for the next run."""
    calls = iter(range(60))

    def parse(corpus: Corpus, path: str) -> Module:
        if next(calls) == 50:
            raise KeyboardInterrupt
        return crossref.parse(corpus, path)

    with monkeypatch.context() as patch:
        patch.setattr(growing_dict, "parse", parse)
        assert main(["demo", str(tree), "--row", "growing_dict"]) == 130
    assert capsys.readouterr().err == "safemem: interrupted\n"
    assert main(["demo", str(tree), "--row", "growing_dict"]) == 0


def test_out_of_memory(tree, capsys, monkeypatch):
    """One line here as well."""

    def fail(*_args: object) -> None:
        raise MemoryError

    monkeypatch.setattr("safemem.demo.row.Job.each", fail)
    assert main(["demo", str(tree)]) == 2
    assert capsys.readouterr().err == "safemem: error: out of memory\n"
