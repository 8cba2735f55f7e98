"""Fixtures for tests of cycles."""

from __future__ import annotations

import gc

import pytest


@pytest.fixture
def collector():
    """After each test the collector is as it was before; what others have left to it is gone when it begins."""
    gc.collect()

    def state():
        return gc.isenabled(), gc.get_debug(), gc.get_threshold(), [*map(id, gc.garbage)]

    before = state()
    yield
    assert state() == before
