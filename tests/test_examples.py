"""The examples of classes that claim to live in `safemem` and are imported late, so that pytest does not find them by itself."""

from __future__ import annotations

import doctest

import pytest

import safemem
from safemem import _LATER

CLASSES = [name for name in _LATER if isinstance(getattr(safemem, name), type)]


@pytest.mark.parametrize("name", CLASSES)
def test_examples(name):
    """They run, and give what the docstring says."""
    public = {each: getattr(safemem, each) for each in safemem.__all__}
    found = doctest.DocTestFinder().find(getattr(safemem, name), name, module=False, globs=public)
    report: list[str] = []
    results = [doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=report.append) for test in found]
    assert sum(result.attempted for result in results) > 0
    assert sum(result.failed for result in results) == 0, "".join(report)
