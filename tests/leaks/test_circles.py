"""Which of the cycles that a program leaves to the collector are told: those that are its own, and those that keep something open."""

from __future__ import annotations

import io
import mmap
import os
import sys
from importlib import import_module

import pytest

from safemem import LeakError, check_leaks, no_leaks


class Node:
    """An object of the program that refers to itself."""

    def __init__(self, content=None):
        self.me = self
        self.content = content


class Closing(Node):
    """The same with a finaliser."""

    def __del__(self):
        self.content = None


@pytest.fixture
def library(tmp_path, monkeypatch):
    """An installed library whose objects refer to themselves."""
    directory = tmp_path / "site-packages"
    directory.mkdir()
    text = "class Part:\n    def __init__(self, content=None):\n        self.me = self\n        self.content = content\n"
    text += "class Ending(Part):\n    def __del__(self):\n        self.content = None\n"
    (directory / "somelibrary.py").write_text(text)
    monkeypatch.syspath_prepend(directory)
    yield import_module("somelibrary")
    del sys.modules["somelibrary"]


def told(func, **options):
    """The holders of what is reported."""
    return [leak.holder for leak in check_leaks(func, **options).leaks]


def left_by_block(func):
    """What a block says of one call."""
    try:
        with no_leaks():
            func()
    except LeakError as error:
        return [leak.holder for leak in error.report.leaks]
    return []


def test_cycle_with_open_map_is_told():
    """An open memory map that waits for the collector is a leak."""
    assert told(lambda: Node(mmap.mmap(-1, 4096))) == ["Node.me -> the same Node"]


@pytest.mark.parametrize("make", [io.BytesIO, io.StringIO, lambda: open(os.devnull).close()], ids=["bytes", "text", "closed"])
def test_cycle_with_nothing_open_is_not_told(make):
    """A file in memory and a closed file hold nothing that the collector must not keep waiting."""
    assert told(lambda: Node(make())) == []


def test_only_cycles_that_keep_it_are_told():
    """Of two cycles the one that keeps the open map is told."""

    def leave():
        Node([])
        Node([mmap.mmap(-1, 4096)])

    leaks = check_leaks(leave).leaks
    assert [(leak.count, leak.holder) for leak in leaks] == [(1, "Node.me -> the same Node")]


def test_cycle_of_own_objects_with_finaliser_is_told():
    """Whether it has a `__del__` itself or keeps something that has."""
    assert told(lambda: Closing()) == ["Closing.me -> the same Closing"]
    assert "Node.me -> the same Node" in told(lambda: Node(Closing()))


def test_cycle_of_library_is_its_own_business(library):
    """What an installed library leaves to the collector is not told, be it with a `__del__`."""
    assert told(library.Part) == []
    assert told(library.Ending) == []
    assert left_by_block(library.Part) == []


def test_cycle_of_library_that_keeps_something_open_is_told(library):
    """What it keeps open is everybody's business."""

    def leave():
        library.Part(mmap.mmap(-1, 4096))

    assert told(leave) == ["Part.me -> the same Part"]
    assert left_by_block(leave) == ["Part.me -> the same Part"]


def test_cycle_of_library_is_told_if_asked_for(library):
    """Every cycle is every cycle."""
    assert told(library.Part, cycles="always") == ["Part.me -> the same Part"]


def test_dropped_namespace_is_no_cycle_of_the_program():
    """A text that is run leaves its functions and the names they use, as every module does."""
    text = "def double(x):\n    return 2 * x\n"

    def run():
        space = {}
        exec(text, space)
        assert space["double"](2) == 4

    assert left_by_block(run) == []
    assert told(run, cycles="always") == []


def test_own_cycle_in_block_is_told():
    """A block tells of every cycle of the program's own."""
    assert left_by_block(Node) == ["Node.me -> the same Node"]


def test_cycle_of_plain_lists_is_told_by_who_had_it(library):
    """Lists alone do not tell whose they are, and are told if asked for; the object that had them does."""

    def ring():
        ends = []
        ends.append(ends)
        return ends

    assert left_by_block(lambda: library.Part(ring())) == []
    assert left_by_block(lambda: ring() and None) == []
    assert told(lambda: ring() and None, cycles="always") == ["list[0] -> the same list"]
    assert "list[0] -> the same list" in left_by_block(lambda: Node(ring()) and None)
