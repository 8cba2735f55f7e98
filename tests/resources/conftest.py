"""A file to be replaced, in both ways there are. The scripts are run by the tests, not collected where they lie."""

from __future__ import annotations

import os

import pytest

collect_ignore = ["scripts"]


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
