"""What holds for everything that is managed: blocks, close(), being dropped, exit, errors, threads, forks."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from helpers.collect import no_cyclic_garbage
from helpers.files import descriptors
from helpers.forks import forks, in_child
from helpers.isolate import assert_clean, run_code
from helpers.recorder import unraisable
from helpers.threads import run_threads

import safemem
from safemem.resources import lease, segment

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock(), and most of it says so")


class Thing:
    """Something with a closing method."""

    def __init__(self, log: Path) -> None:
        self.log = log

    def close(self) -> None:
        with self.log.open("a") as log:
            log.write("closed ")


class Kind(NamedTuple):
    """One kind of resource: how it is made in a directory, in code too, and how its closing is made to fail."""

    make: Callable[..., Any]
    code: str
    fails: tuple[str, str] | str = ""  # what is made to fail, or an option by which a view does


KINDS = {
    "shm": Kind(lambda place, **options: safemem.managed_shm(100, **options), "managed_shm(100)", "on_views"),
    "shm named": Kind(lambda place: safemem.managed_shm(100, name="chosen"), "managed_shm(100, name='chosen')", ("os", "unlink")),
    "memfd": Kind(lambda place, **options: safemem.managed_memfd(100, **options), "managed_memfd(100)", "on_views"),
    "file": Kind(lambda place: safemem.managed_file(place / "file"), "managed_file(place / 'file')"),
    "file replaced": Kind(lambda place: safemem.managed_file(place / "file", "w"), "managed_file(place / 'file', 'w')", ("os", "replace")),
    "mmap": Kind(lambda place, **options: safemem.managed_mmap(place / "file", **options), "managed_mmap(place / 'file')", "on_views"),
    "tempfile": Kind(lambda place: safemem.managed_tempfile(dir=place), "managed_tempfile(dir=place)", ("os", "unlink")),
    "tempfile with a prefix": Kind(
        lambda place: safemem.managed_tempfile(dir=place, prefix="x"), "managed_tempfile(dir=place, prefix='x')"
    ),
    "tempdir": Kind(lambda place: safemem.managed_tempdir(dir=place), "managed_tempdir(dir=place)", ("shutil", "rmtree")),
    "managed": Kind(lambda place: safemem.managed(Thing(place / "log")), "managed(Thing(place / 'log'))", ("pathlib.Path", "open")),
}
if sys.platform != "linux":
    del KINDS["memfd"]

FAILING = [name for name, kind in KINDS.items() if kind.fails]


@pytest.fixture
def place(nothing_of_other_tests, tmp_path, monkeypatch):
    """A directory for everything; no test leaves anything there but one file and a log, or a descriptor."""
    monkeypatch.setattr(segment, "directory", lambda: str(tmp_path))
    monkeypatch.setenv("SAFEMEM_GUARDIAN", "off")
    (tmp_path / "file").write_bytes(b"old" * 100)
    (tmp_path / "log").touch()
    gc.collect()
    before = descriptors()
    yield tmp_path
    gc.collect()
    assert sorted(os.listdir(tmp_path)) == ["file", "log"]
    assert descriptors() == before


def failing(kind: Kind, place: Path, monkeypatch) -> tuple[Any, list[Any]]:
    """Return one whose closing fails, and what has to be kept until then."""
    if isinstance(kind.fails, str):
        made = kind.make(place, on_views="raise")
        return made, [made.buf[1:]]
    made = kind.make(place)
    module, name = kind.fails
    owner = {"os": os, "shutil": __import__("shutil"), "pathlib.Path": Path}[module]
    real = getattr(owner, name)

    def fail(*args, **options):
        real(*args, **options) if name in {"unlink", "rmtree"} else None
        raise OSError(5, "made to fail")

    monkeypatch.setattr(owner, name, fail)
    return made, []


def swept(place: Path) -> None:
    """Remove what a failing step has left for a sweep."""
    for name in list(lease.owned_names(str(place))):
        lease.reclaim(str(place), name)


@pytest.fixture(params=KINDS)
def kind(request):
    """Each of the kinds."""
    return KINDS[request.param]


@pytest.fixture(params=FAILING)
def failing_kind(request):
    """Each of the kinds whose closing can fail."""
    return KINDS[request.param]


def test_every_public_name_is_here():
    """Whatever is called managed_... is held to this."""
    named = {name for name in safemem.__all__ if name.startswith("managed")}
    assert {kind.code.split("(")[0] for kind in KINDS.values()} >= named - ({"managed_memfd"} if sys.platform != "linux" else set())


def test_block(kind, place):
    """A block gives the thing, open, and leaves it closed; closing again does nothing."""
    made = kind.make(place)
    with made as inside:
        assert inside is (made.obj if isinstance(made, safemem.managed) else made)
        assert not made.closed
    assert made.closed
    made.close()


def test_async_block(kind, place):
    """So does an asynchronous one; a cancellation in it comes out."""

    async def main():
        made = kind.make(place)
        async with made:
            assert not made.closed
        assert made.closed
        made = kind.make(place)

        async def wait():
            async with made:
                await asyncio.Event().wait()

        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert made.closed

    asyncio.run(main())


def test_without_a_block(kind, place):
    """close() is enough, and may be called any number of times."""
    made = kind.make(place)
    assert not made.closed
    for _ in range(3):
        made.close()
        assert made.closed
    repr(made)


@pytest.mark.parametrize("error", [KeyError("mine"), KeyboardInterrupt("mine"), asyncio.CancelledError("mine"), GeneratorExit("mine")])
def test_exception_in_the_block(kind, place, error):
    """It comes out as it is, and the thing is closed."""
    made = kind.make(place)
    with pytest.raises(type(error)) as seen, made:
        raise error
    assert seen.value is error
    assert not hasattr(error, "__notes__")
    assert made.closed


def test_dropped(kind, place):
    """Being dropped open closes it, and is one warning that names the line which made it, also for filters by place."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        made = kind.make(place)
        gc.collect()
        assert seen == []
        del made
        gc.collect()
    (warning,) = seen
    assert warning.category is ResourceWarning
    line = kind.make.__code__.co_firstlineno
    assert (warning.filename, warning.lineno) == (__file__, line)


def test_dropped_where_warnings_are_errors(kind, place):
    """It is closed all the same, and nobody who has nothing to do with it gets the error."""
    with unraisable() as caught:
        kind.make(place)
        gc.collect()
    assert [type(error) for error in caught] == [ResourceWarning]


def test_dropped_in_a_cycle(kind, place):
    """The collector finds it, too."""
    ring: list[Any] = [kind.make(place)]
    ring.append(ring)
    with pytest.warns(ResourceWarning):
        del ring
        gc.collect()


OPEN_AT_EXIT = """
import json, os, pathlib, sys
from safemem import {names}
from safemem.resources import segment
os.environ["SAFEMEM_GUARDIAN"] = "off"
class Thing:
    def __init__(self, log):
        self.log = log
    def close(self):
        with open(self.log, "a") as log:
            log.write("closed ")
def make(place, code):
    segment.directory = lambda: str(place)
    return eval(code)
kept = [make(pathlib.Path(place), code) for place, code in json.loads({specs!r})]
"""


@pytest.mark.parametrize("cyclic", [False, True])
def test_open_at_exit(tmp_path, cyclic):
    """What is open when the program ends is closed, without a word, whether something refers to it or it is part of a cycle."""
    places = [tmp_path / str(number) for number in range(len(KINDS))]
    for place in places:
        place.mkdir()
        (place / "file").write_bytes(b"old" * 100)
    specs = json.dumps([(str(place), kind.code) for place, kind in zip(places, KINDS.values(), strict=True)])
    names = ", ".join(sorted({kind.code.split("(")[0] for kind in KINDS.values()}))
    code = OPEN_AT_EXIT.format(names=names, specs=specs)
    if cyclic:
        code += "for each in kept:\n    ring = [each]\n    ring.append(ring)\ndel kept, each, ring\n"
    assert_clean(run_code(code, "-W", "ignore" if cyclic else "error"))
    for place, kind in zip(places, KINDS.values(), strict=True):
        assert {path.name: path.read_bytes() for path in place.iterdir()} == {
            "file": b"old" * 100,
            **({"log": b"closed "} if "Thing" in kind.code else {}),
        }, kind


def test_an_error_while_closing(failing_kind, place, monkeypatch):
    """Without another one it is raised, by close() and by the block; the thing is closed all the same, and closing again is no error."""
    for use in (lambda made: made.close(), lambda made: made.__exit__(None, None, None)):
        made, held = failing(failing_kind, place, monkeypatch)
        with pytest.raises((OSError, BufferError)):
            use(made)
        assert made.closed
        made.close()
        monkeypatch.undo()
        monkeypatch.setattr(segment, "directory", lambda: str(place))
        monkeypatch.setenv("SAFEMEM_GUARDIAN", "off")
        swept(place)
        held.clear()


@pytest.mark.parametrize("asynchronous", [False, True])
def test_an_error_while_closing_hides_nothing(failing_kind, place, monkeypatch, asynchronous):
    """An exception on its way out of the block stays, and gets a note if closing really was to do what failed."""
    made, held = failing(failing_kind, place, monkeypatch)

    async def leave():
        async with made:
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine") as seen:
        if asynchronous:
            asyncio.run(leave())
        else:
            with made:
                raise KeyError("mine")
    monkeypatch.undo()
    swept(place)
    assert made.closed
    notes = getattr(seen.value, "__notes__", [])
    assert len(notes) <= 1
    if failing_kind.fails in {("os", "unlink"), ("shutil", "rmtree"), ("pathlib.Path", "open")}:
        assert "made to fail" in notes[0]
    held.clear()


def test_threads_close_it(kind, place):
    """Of many that close it at the same time one does, the others return, and nobody gets an error."""
    for _ in range(10):
        made = kind.make(place)
        run_threads(4, lambda _number, made=made: made.close())
        assert made.closed
    assert (place / "log").read_text() in {"", "closed " * 10}


@forks
def test_forked_child(kind, place):
    """A child that closes it, drops it or exits takes nothing from the parent."""
    made = kind.make(place)
    there = sorted(os.listdir(place))
    held = [made]

    def child():
        held[0].close()
        held.clear()
        gc.collect()

    del made
    assert in_child(child) == 0
    assert sorted(os.listdir(place)) == there
    assert not held[0].closed
    assert (place / "log").read_text() == ""
    held[0].close()


def test_nothing_for_the_collector(kind, place):
    """Blocks, errors and being dropped leave no cycles."""
    with no_cyclic_garbage(kind.code), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with kind.make(place):
            pass
        try:
            with kind.make(place):
                raise KeyError
        except KeyError:
            pass
        kind.make(place)


def test_closed_is_not_entered(kind, place):
    """A block around what is closed is an error at once, not at its first use."""
    made = kind.make(place)
    made.close()
    with pytest.raises(ValueError, match="closed"), made:
        pass
