"""cached_property with interrupts, assignments and forks in the middle of its computation."""

from __future__ import annotations

import sys
import threading
from typing import Any

import pytest
from helpers.flights import Call, tried
from helpers.forks import forks, in_child
from helpers.interject import Striker
from helpers.threads import LIMIT

from safemem import cached_property
from safemem.caches import properties

FILES = {properties.__file__}


class Plain:
    """An ordinary class."""

    @cached_property
    def value(self) -> Any:
        return ["computed"]


class Slotted:
    """A class with slots."""

    __slots__ = ("__weakref__",)

    @cached_property
    def value(self) -> Any:
        return ["computed"]


@pytest.fixture(params=[Plain, Slotted], ids=lambda cls: cls.__name__)
def owner_class(request: pytest.FixtureRequest) -> Any:
    """Each sort of class in turn; some versions of Python trace the instructions of a function from its second run on."""
    Striker(sys.maxsize, files=FILES).run(lambda: request.param().value)
    return request.param


def test_interrupted_anywhere(owner_class: Any) -> None:
    """An interrupt between any two instructions of ours leaves a property that is computed and kept when next asked for."""
    struck, at = True, 0
    while struck:
        owner = owner_class()
        striker = Striker(at, files=FILES)
        tried(striker.run, lambda owner=owner: owner.value)
        struck, at = striker.struck, at + 1
        assert owner.value is owner.value, at
        assert not properties._under_way, at
    assert at > 8


def test_assigned_anywhere(owner_class: Any) -> None:
    """A value that somebody assigns while one is computed wins, however late it comes."""
    struck, at = True, 0
    while struck:
        owner = owner_class()
        striker = Striker(at, lambda owner=owner: setattr(owner, "value", "assigned"), files=FILES)
        assert striker.run(lambda owner=owner: owner.value) in ("assigned", ["computed"])
        assert owner.value == ("assigned" if striker.struck else ["computed"]), at
        struck, at = striker.struck, at + 1
    assert at > 8


@forks
def test_computed_by_another_thread_of_the_parent() -> None:
    """A child forked in the middle of it computes the property itself, and keeps it."""
    entered, leave = threading.Event(), threading.Event()

    class Owner:
        @cached_property
        def value(self) -> Any:
            entered.set()
            assert leave.wait(LIMIT)
            return ["computed"]

    def child() -> None:
        leave.set()
        assert owner.value is owner.value

    owner = Owner()
    call = Call(lambda: owner.value)
    assert entered.wait(LIMIT)
    assert in_child(child) == 0
    leave.set()
    assert call.result() is owner.value


def test_the_message_of_a_recursion() -> None:
    """It names the property."""

    class Owner:
        @cached_property
        def endless(self) -> Any:
            return self.endless

    with pytest.raises(RecursionError, match="'endless'"):
        _ = Owner().endless
