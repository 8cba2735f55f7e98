"""What every test of the caches gets: each class in turn, a clock, and a check of all caches it made."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from helpers.clock import Clock
from helpers.kinds import KINDS, TIMED, Kind, check_all
from helpers.recorder import Recorder


@pytest.fixture(params=KINDS, ids=str)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each cache class in turn."""
    chosen: Kind = request.param
    return chosen


@pytest.fixture(params=TIMED, ids=str)
def timed(request: pytest.FixtureRequest) -> Kind:
    """Each cache class whose items expire, in turn."""
    chosen: Kind = request.param
    return chosen


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
    """After each test, every cache it made is whole. (A test that hangs is ended by faulthandler_timeout.)."""
    yield
    check_all()
