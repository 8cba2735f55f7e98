"""The audit at the end of the demo: the usual half's leaks are found and named, the other half is clean."""

from __future__ import annotations

import json

import pytest

from safemem.cli import main
from safemem.demo import ROWS, growing_dict, load_rows
from safemem.demo.report import audit_of
from safemem.demo.row import Left
from safemem.demo.runner import Measured, Outcome, run_rows
from safemem.leaks.report import Edge, Leak, LeakReport, RetentionPath

# Where each row's usual half keeps what it should not; None for rows whose trouble is no leak of objects.
HOLDERS = {
    "growing_dict": "module safemem.demo.growing_dict.parsed[",
    "pinned_instances": "module safemem.demo.pinned_instances.UsualIndexer.module",
    "byte_bound": "module safemem.demo.byte_bound.load_usual",
    "stampede": None,
    "registry": "module safemem.demo.registry.documents[",
    "listener": "module safemem.demo.listener.bus.listeners['opened'][",
    "identity_map": "module safemem.demo.identity_map.symbols[",
    "big_objects": "module safemem.demo.big_objects.load_usual",
    "stored_exception": "module safemem.demo.stored_exception.checks[",
    "parent_pointer": ".parent",
    "short_of_memory": None,
    "open_files": "module safemem.demo.open_files.findings[",
    "half_written": None,
    "killed_workers": "the system's shared memory, /dev/shm",
}


def test_every_row_has_its_holder():
    """A row that is added says here who holds its leak."""
    assert tuple(name for name in HOLDERS if name in ROWS) == ROWS


@pytest.mark.parametrize("name", ROWS)
def test_usual_half_is_named_and_the_other_is_clean(name, corpus):
    """Of each row's usual way the audit says who holds what stayed behind; safemem's is clean."""
    (outcome,) = run_rows(load_rows([name]), corpus, lambda title, fraction: None)
    assert outcome.safemem.report.ok
    assert outcome.complaint == ""
    holder = HOLDERS[name]
    if holder is None:
        assert outcome.usual.report.ok
        assert outcome.row.trouble
    else:
        leak = outcome.usual.report.failures[0]
        assert holder in leak.holder
        assert leak.fix


def test_a_leak_in_the_other_half_fails_the_row(tree, capsys, monkeypatch):
    """What stays behind where it must not is named, too, and the status is 1."""
    monkeypatch.setattr(growing_dict, "load_safemem", growing_dict.load_usual)
    assert main(["demo", str(tree), "--row", "growing_dict", "--json"]) == 1
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert "growing_dict.parsed" in row["safemem"]["leaks"][0]["holder"]


@pytest.mark.parametrize("width", [30, 60, 80])
def test_long_paths_are_wrapped_where_a_step_begins(width):
    """No line is wider than the room, and no step is torn apart."""
    path = RetentionPath(
        (Edge("module shop", ".customers", "dict"), Edge("dict", "['someone']", "Customer"), Edge("Customer", ".orders", "list")) * 4
    )
    leak = Leak("growth", "5 orders", None, path.holder, 0, "growth-1", "LRUCache(32)", path)
    measured = Measured({}, 1.0, Left(5, 5, 5), LeakReport((leak,)))
    text = audit_of([Outcome(load_rows()[0], measured, Measured({}, 1.0, Left(0, 5, 0)))], width)
    assert all(len(line) <= width for line in text.split("\n"))
    assert text.count("['someone']") == 4
