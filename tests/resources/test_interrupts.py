"""A signal whose handler raises, as Ctrl-C does, at every line of the code that makes something: nothing is left, no descriptor, no name."""

from __future__ import annotations

import os
import sys
from itertools import count
from typing import TYPE_CHECKING, Self

import pytest
from helpers.files import descriptors

import safemem
from safemem.resources import lease, segment

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock()")

FULL = os.environ.get("SAFEMEM_MATRIX") == "full"
ROOM = os.path.dirname(os.path.abspath(lease.__file__))

MAKES = {
    "shm": lambda place: safemem.managed_shm(10),
    "shm named": lambda place: safemem.managed_shm(10, name="chosen"),
    "shm for the last": lambda place: safemem.managed_shm(10, name="chosen", policy="last"),
    "shm with contents": lambda place: safemem.managed_shm(init=b"contents", readonly=True),
    "shm attached": lambda place: safemem.managed_shm(name="there", attach=True),
    "tempfile": lambda place: safemem.managed_tempfile(dir=place),
    "tempfile with a prefix": lambda place: safemem.managed_tempfile(dir=place, prefix="x"),
    "tempdir": lambda place: safemem.managed_tempdir(dir=place),
    "tempdir with a prefix": lambda place: safemem.managed_tempdir(dir=place, prefix="x"),
}

FORKED = ("shm named", "shm for the last", "shm attached", "tempfile", "tempdir with a prefix")  # what differs in what a fork does


class Stopped(BaseException):
    """What the handler raises."""


class Interruption:
    """Raises at the Nth line of the room that is run while it is on; or does something else there."""

    def __init__(self, number: int, do: Callable[[], object] | None = None) -> None:
        self.left = number
        self.do = do

    def __enter__(self) -> Self:
        self.before = sys.gettrace()
        sys.settrace(self._called)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self.before)

    def _called(self, frame, event, arg):
        return self._line if frame.f_code.co_filename.startswith(ROOM) else None

    def _line(self, frame, event, arg):
        if event == "line":
            self.left -= 1
            if self.left == 0:
                sys.settrace(None)
                if self.do is None:
                    raise Stopped
                self.do()
        return self._line


@pytest.fixture
def full(tmp_path, monkeypatch):
    """A directory for everything, with a segment in it to attach to."""
    monkeypatch.setattr(segment, "directory", lambda: str(tmp_path))
    monkeypatch.setenv("SAFEMEM_GUARDIAN", "off")
    with safemem.managed_shm(10, name="there"):
        yield tmp_path


@pytest.mark.parametrize("make", MAKES.values(), ids=MAKES)
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # what was whole already is dropped open
def test_at_every_line(full, make):
    """What was made until then is gone with the exception; what is made in the end works."""
    make(full).close()
    names, open_before, live = sorted(os.listdir(full)), descriptors(), len(segment.live)
    made = None
    for number in count(1):
        try:
            with Interruption(number):
                made = make(full)
        except Stopped:
            pass
        if made is not None:
            break
        assert (sorted(os.listdir(full)), descriptors(), len(segment.live)) == (names, open_before, live), number
    assert number > 50
    made.close()
    assert sorted(os.listdir(full)) == names


class Forked(BaseException):
    """What a handler raises in the child that it has forked."""


class Fork:
    """Forks, and waits for the child, which comes back from here, or has an exception."""

    def __init__(self, raising: bool) -> None:
        self.raising = raising
        self.child: int | None = None

    def __call__(self) -> int:
        self.child = os.fork()
        if self.child:
            assert os.waitpid(self.child, 0)[1] == 0
        elif self.raising:
            raise Forked
        return self.child


def made_in_two(make, full, number: int, fork: Fork):
    """Return what the parent makes, if it can, while a child is forked at a line of it, which closes what it makes."""
    status, made = 1, None
    try:
        with Interruption(number, fork):
            made = make(full)
        if fork.child == 0:
            made.close()
        status = 0
    except Forked:
        status = 0
    except FileExistsError:  # the child, which went on, was first to give it that name
        status = 0
        assert not fork.raising
    finally:
        if fork.child == 0:
            os._exit(status)
    return made


@pytest.mark.parametrize("raising", [True, False], ids=["raises", "goes on"])
@pytest.mark.parametrize("make", [MAKES[name] for name in FORKED], ids=FORKED)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of a fork where there are threads
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # what was whole already is dropped open
def test_a_fork_at_every_line(full, make, raising):
    """The child of a signal handler that forks takes nothing from its parent, whether its handler raises or it makes the thing as well.

    By default every third line is tried, and others where it raises; SAFEMEM_MATRIX=full tries every one.
    """
    first = make(full)
    Fork(raising=False)() or os._exit(0)  # what is open now has a second descriptor from now on
    there = len(os.listdir(full))
    first.close()
    before, open_before = sorted(os.listdir(full)), descriptors()
    for number in count(1 + (raising and not FULL), 1 if FULL else 3):
        fork = Fork(raising)
        made = made_in_two(make, full, number, fork)
        safemem.sweep(directories=[full])  # a name that was just being made up is the parent's, and then it is the child that leaves it
        if made is not None:
            assert len(os.listdir(full)) == there, number
            made.close()
        assert (sorted(os.listdir(full)), descriptors()) == (before, open_before), number
        if fork.child is None:
            break
    assert number > 50
