"""What an attack on the identity containers broke."""

from __future__ import annotations

import gc
import tracemalloc
import weakref
from typing import Any

import pytest

from safemem import WeakIdentityDict, WeakIdentitySet


class Thing:
    """An owner, alone or in a cycle with itself."""

    def __init__(self, *, cyclic: bool = False) -> None:
        self.me = self if cyclic else None


def put(container: Any, owner: Any) -> None:
    """Add an owner to a dict or a set."""
    if isinstance(container, WeakIdentitySet):
        container.add(owner)
    else:
        container[owner] = 1


@pytest.mark.parametrize("cls", [WeakIdentityDict, WeakIdentitySet])
def test_one_dropped_with_unread_deaths_leaves_nothing(cls):
    """Deaths that the collector reported and nobody read are forgotten with the container."""

    def live_and_die() -> None:
        container = cls()
        for _ in range(50):
            put(container, Thing(cyclic=True))
        gc.collect()

    for _ in range(3):
        live_and_die()
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(100):
            live_and_die()
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] - before < 100_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("cls", [WeakIdentityDict, WeakIdentitySet])
def test_a_living_reference_given_to_the_callback_removes_nothing(cls):
    """Who calls the callback of a container's reference by hand removes no owner that lives."""
    container = cls()
    owner = Thing()
    put(container, owner)
    (ref,) = weakref.getweakrefs(owner)
    assert ref.__callback__ is not None
    ref.__callback__(ref)
    assert owner in container
    assert len(container) == 1
    del owner
    assert len(container) == 0
