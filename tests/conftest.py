"""What holds for every test: the header says what is tested, and no test leaves a thread behind."""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from helpers.collect import set_heap_aside

from safemem import core

if TYPE_CHECKING:
    from collections.abc import Iterator

# A thread that was told to stop may still be on its way out when its test returns.
GRACE = 5.0


def pytest_report_header() -> list[str]:
    """Say which core and which kind of interpreter the results are about."""
    gil = "on" if getattr(sys, "_is_gil_enabled", lambda: True)() else "off"
    return [f"safemem core: {core.CORE} ({core.WHY}), GIL: {gil}"]


def pytest_collection_finish() -> None:
    """Keep what thousands of tests consist of from the collector and from audits, which many of them run."""
    with suppress(ImportError):
        import hypothesis  # noqa: F401 - else its plugin does at the end, and then asks who refers to what, which nobody knows of what is set aside
    set_heap_aside()


@pytest.fixture(scope="module", autouse=True)
def _nothing_of_other_modules() -> None:
    # What thousands of tests leave with pytest and hypothesis, their reports above all, becomes as much again.
    set_heap_aside()


@pytest.fixture(autouse=True)
def _no_thread_left_behind() -> Iterator[None]:
    # What a finaliser or a thread raises is already an error: pytest warns about it and warnings are errors.
    before = set(threading.enumerate())
    yield
    started = [thread for thread in threading.enumerate() if thread not in before and not thread.daemon]
    for thread in started:
        thread.join(GRACE)
    left = [thread for thread in started if thread.is_alive()]
    assert not left, f"the test left non-daemon threads behind: {left}"
