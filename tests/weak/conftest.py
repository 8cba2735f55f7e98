"""What the tests of weak caches get: values that can die, and a check of all caches they made."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from helpers.clock import Clock
from helpers.kinds import check_all
from helpers.recorder import Recorder


@pytest.fixture
def clock() -> Clock:
    """A clock that moves by hand."""
    return Clock()


@pytest.fixture
def told() -> Recorder:
    """An `on_remove` that remembers."""
    return Recorder()


@pytest.fixture(autouse=True)
def consistent() -> Iterator[None]:
    """After each test, every cache it made is whole."""
    yield
    check_all()
