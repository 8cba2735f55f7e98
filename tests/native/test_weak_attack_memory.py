"""Want of memory at every single allocation of an import or of counters: an error at most, and the bound of what is held strongly holds."""

from __future__ import annotations

from typing import Any

import pytest

from .cores import PAIRS, make

testcapi = pytest.importorskip("_testcapi")


class Thing:
    """A value of a weight."""

    weight = 0.7


def fill(maxsize: float, **options: Any) -> Any:
    """Return a cache of the native core, full."""
    return make(PAIRS["weak"][1], maxsize, **options)


@pytest.mark.parametrize(("maxsize", "options"), [(3, {}), (0, {}), (3.5, {"weighs": True}), (3, {"step": 60})])
def test_every_allocation_of_an_import_fails_once(maxsize, options):
    """The rows before the failure are there, and those that are too many are held weakly."""
    things = [Thing() for _ in range(30)]
    rows = [(number, thing, thing.weight, None) for number, thing in enumerate(things)]
    failures = 0
    for start in range(1000):
        cache = fill(maxsize, **options)
        testcapi.set_nomemory(start, start + 1)
        try:
            cache._import(rows)
        except MemoryError:
            failures += 1
        else:
            if len(cache) == len(rows) and start > 100:
                break
        finally:
            testcapi.remove_mem_hooks()
        cache._check()
    assert failures > 5


def test_every_allocation_of_the_counters_fails_once():
    """MemoryError, or all counters."""
    cache = fill(3)
    failures = 0
    for start in range(100):
        testcapi.set_nomemory(start, start + 1)
        try:
            counters = cache._counters()
        except MemoryError:
            failures += 1
            continue
        finally:
            testcapi.remove_mem_hooks()
        assert {"hits", "strong", "revived"} <= set(counters)
    assert 0 < failures < 100
