"""What tests of this room have in common; the scripts are run by them, not collected where they lie."""

from __future__ import annotations

import gc
import os

import pytest

collect_ignore = ["scripts"]


@pytest.fixture(scope="module")
def nothing_of_other_tests():
    """For modules whose tests collect garbage one by one: what all the others left in memory would be looked at each time."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A directory of segments of our own; nothing may be left in it."""
    from safemem.resources import segment

    path = str(tmp_path)
    monkeypatch.setenv("SAFEMEM_GUARDIAN", "off")  # it would remove what a test leaves to look at it
    monkeypatch.setattr(segment, "directory", lambda: path)
    yield path
    assert os.listdir(path) == []
    assert segment.live == {}


@pytest.fixture(params=["nameless", "named"])
def how(request, monkeypatch):
    """With files that have no name, and as on a system that knows no such thing."""
    if request.param == "named":
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    return request.param


@pytest.fixture
def target(tmp_path):
    """A file with an old content, alone in its directory."""
    path = tmp_path / "target"
    path.write_text("old")
    return path
