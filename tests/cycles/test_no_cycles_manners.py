"""no_cycles: what it does to the collector, threads, exceptions, functions that it decorates, and tests."""

from __future__ import annotations

import asyncio
import gc
import inspect
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import pytest
from helpers.aio import in_loop
from helpers.collect import no_cyclic_garbage
from helpers.recorder import unraisable
from helpers.rings import Node, Small, one, slot
from helpers.threads import run_threads

import safemem
from safemem import no_cycles

pytestmark = pytest.mark.usefixtures("collector")


def test_the_exception_of_the_block():
    """It is not hidden, whatever the block has left."""
    with pytest.raises(LookupError), no_cycles():
        one()
        raise LookupError


def test_nested():
    """An inner block tells of its own, an outer one of the rest, and of nothing twice."""
    with no_cycles():
        with pytest.raises(AssertionError, match="Node.me"), no_cycles():
            one()
    with pytest.raises(AssertionError, match=r"\(1 object: 1 Small\)"), no_cycles():
        slot()
        with no_cycles():
            pass
        with pytest.raises(AssertionError, match=r"\(1 object: 1 Node\)"), no_cycles():
            one()
    with pytest.raises(AssertionError, match=r"\(1 object: 1 Small\)"), no_cycles():
        with pytest.raises(AssertionError), no_cycles():
            one()
        slot()
        gc.collect()
    guard = no_cycles()
    with pytest.raises(AssertionError, match="Small"), guard:
        slot()
        with guard:
            pass


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("work", [one, Node, lambda: 1 // 0])
def test_the_collector_is_as_it_was(enabled, work):
    """Switched on or off, with its thresholds, flags and saved garbage, whatever happens in the block."""
    mine = [Node()]
    gc.garbage.append(mine)
    thresholds = gc.get_threshold()
    if not enabled:
        gc.disable()
    try:
        gc.set_threshold(701, 11, 12)
        try:
            with no_cycles():
                gc.set_threshold(5)
                gc.enable()
                gc.set_debug(0)
                work()
        except (AssertionError, ZeroDivisionError):
            pass
        assert gc.isenabled() is enabled
        assert gc.get_threshold()[0] == 701
        assert gc.get_debug() == 0
        assert gc.garbage == [mine]
    finally:
        gc.garbage.remove(mine)
        gc.set_threshold(*thresholds)
        gc.enable()


def test_what_was_found_is_freed():
    """Neither the error nor the collector keeps it."""
    gone = []

    def watched():
        node = Node()
        node.me = node
        gone.append(weakref.ref(node))

    with pytest.raises(AssertionError) as caught, no_cycles():
        watched()
    assert gone[0]() is None
    assert caught.value.__traceback__ is not None


def test_threads():
    """Blocks that overlap in several threads leave the collector as it was."""

    def work(number):
        for _ in range(5):
            with no_cycles():
                [Node() for _ in range(10)]

    run_threads(3, work)


def test_no_code_of_the_objects_is_run():
    """Neither of them nor of their classes, whatever they have overridden."""

    class Hostile:
        """Whatever one does to it, it fails."""

        def _fail(self, *_: object) -> Any:
            raise AssertionError("user code ran")

        __eq__ = __hash__ = __bool__ = __len__ = __iter__ = __repr__ = __str__ = __getattr__ = __getattribute__ = _fail
        __class__ = property(_fail)  # type: ignore[assignment]
        __dict__ = property(_fail)  # type: ignore[assignment]

    class HostileType(type):
        def _fail(cls, *_: object) -> Any:
            raise AssertionError("user code ran")

        __instancecheck__ = __subclasscheck__ = __eq__ = __hash__ = __repr__ = __getattribute__ = __len__ = _fail
        __name__ = __mro__ = property(_fail)  # type: ignore[assignment]

    class HostileClass(metaclass=HostileType):
        __slots__ = ("me",)

    def work():
        hostile = Hostile()
        object.__setattr__(hostile, "me", [hostile])
        other = HostileClass()
        object.__setattr__(other, "me", {1: other})

    with unraisable() as told, pytest.raises(AssertionError) as caught, no_cycles(ignore=Small):
        work()
    assert "reference cycles (4 objects" in str(caught.value)
    assert "HostileClass.me -> dict[1] -> the same HostileClass" in str(caught.value)
    assert told == []


def test_decorator():
    """With and without parentheses; each call is watched; name, signature and result are those of the function."""

    @no_cycles
    def good(number: int, *, twice: bool = False) -> int:
        """Say it."""
        return number * (1 + twice)

    @no_cycles(ignore=Small)
    def bad(kind):
        kind()

    assert good(2, twice=True) == 4
    assert (good.__name__, good.__doc__) == ("good", "Say it.")
    assert "twice" in inspect.signature(good).parameters
    bad(slot)
    for _ in range(2):
        with pytest.raises(AssertionError, match="Node.me"):
            bad(one)
    with pytest.raises(ZeroDivisionError):
        bad(lambda: 1 // 0)


def test_decorator_on_recursion():
    """A function may call itself."""

    @no_cycles
    def down(number):
        return down(number - 1) if number else one()

    with pytest.raises(AssertionError, match="1 object: 1 Node"):
        down(3)


@in_loop
async def test_coroutine_functions():
    """What the coroutine does is watched, up to its end."""

    @no_cycles
    async def good():
        await asyncio.sleep(0)
        return 5

    @no_cycles()
    async def bad():
        await asyncio.sleep(0)
        one()

    assert inspect.iscoroutinefunction(good)
    assert await good() == 5
    with pytest.raises(AssertionError, match="Node.me"):
        await bad()


def test_bad_functions():
    """Generator functions run after the call, so they are refused; so is what is no function."""

    def generate():
        yield 1

    async def agenerate():
        yield 1

    for func in (generate, agenerate):
        with pytest.raises(TypeError, match="is a generator function"):
            no_cycles(func)
    with pytest.raises(TypeError, match="func must be callable, got 5"):
        no_cycles(5)


def test_it_makes_none_itself():
    """Neither success nor failure of the guard leaves anything to the collector."""

    def work():
        try:
            with no_cycles():
                slot()
        except AssertionError:
            pass
        with no_cycles():
            pass

    work()
    with no_cyclic_garbage():
        work()


TESTS = """
import pytest

class Node:
    pass

def test_bad(no_cycles):
    node = Node()
    node.me = node

@pytest.mark.parametrize("number", [1, 2])
def test_good(no_cycles, number, tmp_path):
    node = Node()
    with no_cycles():
        assert number

def test_fails_otherwise(no_cycles):
    node = Node()
    node.me = node
    assert 0, "the real reason"

def test_not_asked():
    node = Node()
    node.me = node

class TestMethods:
    def test_raises(self, no_cycles):
        with pytest.raises(ValueError):
            int("x")
"""


def test_fixture(tmp_path):
    """A test that asks for the fixture fails for the cycles of its own code, with the message, and for no others."""
    (tmp_path / "test_it.py").write_text(TESTS, encoding="utf-8")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "safemem.pytest_plugin",
            "-p",
            "no:cacheprovider",
            "--rootdir",
            str(tmp_path),
            str(tmp_path),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(safemem.__file__).parent.parent), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PATH": ""},
    )
    assert "2 failed, 4 passed" in done.stdout, done.stdout + done.stderr
    assert "Node.me -> the same Node" in done.stdout
    assert "the real reason" in done.stdout
    assert "test_bad" in done.stdout
