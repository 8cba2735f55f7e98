"""What was set aside by `gc.freeze()`, as servers do before they fork, is audited like everything else."""

from __future__ import annotations

import gc
import sys
import weakref
from types import ModuleType

import pytest
from helpers.collect import set_heap_aside

from safemem import Audit, LeakError, check_leaks, no_leaks, watch_class


class Visit:
    """Something to keep."""


class Page:
    """Something that the collector knows and that can be set aside."""

    def __init__(self):
        self.lines = ["one"]


@pytest.fixture
def server(monkeypatch):
    """A module with a list, a dict in a class and an object, all set aside."""
    module = ModuleType("server")
    monkeypatch.setitem(sys.modules, "server", module)
    module.visits = [None]
    module.Pages = type("Pages", (), {"known": {}, "__module__": "server"})
    module.page = Page()
    set_heap_aside()
    known = {*map(id, gc.get_objects())}
    assert id(module.visits) not in known
    assert id(module.page) not in known
    return module


def test_growing_list(server):
    """It is named as the list that it is."""
    (leak,) = check_leaks(lambda: server.visits.append(Visit())).leaks
    assert leak.what.startswith("list of ")
    assert leak.holder.startswith("module server.visits[")


def test_growing_dict_of_a_class(server):
    """One that is reached through a class."""

    def work():
        server.Pages.known[len(server.Pages.known)] = [1]

    (leak,) = check_leaks(work).leaks
    assert leak.what.startswith("dict of ")
    assert leak.holder.startswith("module server.Pages.known[")


def test_clean_work(server):
    """What stays as large as it is, is none."""

    def work():
        server.visits.append(Visit())
        server.visits.pop()

    assert check_leaks(work).ok


def test_audit(server):
    """A stretch in which it was growing all the time."""
    with Audit() as audit:
        for _ in range(3000):
            server.visits.append(Visit())
    (leak,) = audit.report.leaks
    assert leak.holder.startswith("module server.visits[")


def test_watched_class(server):
    """Instances made since are found when they were set aside, and those from before are known although nobody lists them."""
    watch_class(Page)
    server.other = Page()
    set_heap_aside()
    with pytest.raises(LeakError, match="1 Page still alive"), no_leaks():
        pass


def test_nothing_is_held_afterwards(server):
    """It goes when the program lets go of it."""
    gone = weakref.ref(server.page)
    with Audit():
        check_leaks(lambda: None)
    del server.page
    assert gone() is None
