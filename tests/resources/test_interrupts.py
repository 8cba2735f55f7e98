"""A signal whose handler raises, as Ctrl-C does, at every line of the code that makes something: nothing is left, no descriptor, no name."""

from __future__ import annotations

import os
import sys
from itertools import count
from typing import Self

import pytest
from helpers.files import descriptors

import safemem
from safemem.resources import lease, segment

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock()")

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


class Stopped(BaseException):
    """What the handler raises."""


class Interruption:
    """Raises at the Nth line of the room that is run while it is on."""

    def __init__(self, number: int) -> None:
        self.left = number

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
                raise Stopped
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
