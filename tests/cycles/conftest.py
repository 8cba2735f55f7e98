"""Fixtures for tests of cycles."""

from __future__ import annotations

import gc

import pytest


@pytest.fixture
def collector():
    """After each test the collector is as it was before. What was there before is kept from it: it runs often here."""
    gc.collect()
    gc.freeze()

    def state():
        return gc.isenabled(), gc.get_debug(), gc.get_threshold(), [*map(id, gc.garbage)]

    before = state()
    yield
    gc.unfreeze()
    assert state() == before
