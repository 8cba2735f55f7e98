"""Each system call of making, attaching and closing fails in turn: the first error comes out, and nothing is left behind."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os
import sys

import pytest
from helpers.failing import Failing

from safemem.resources import lease, segment
from safemem.resources.shm import managed_shm

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock()")

CALLS = [
    (os, "open"),
    (os, "close"),
    (os, "fstat"),
    (os, "lstat"),
    (os, "link"),
    (os, "unlink"),
    (os, "posix_fallocate"),
    (os, "ftruncate"),
    (os, "scandir"),
    (mmap, "mmap"),
    (fcntl, "flock"),
]

OPERATIONS = {
    "create": lambda place: managed_shm(10).close(),
    "create named": lambda place: managed_shm(10, name="x").close(),
    "create last": lambda place: managed_shm(10, name="x", policy="last").close(),
    "create sparse": lambda place: managed_shm(10, prealloc=False).close(),
    "create over an orphan": lambda place: managed_shm(10, name="x").close(),
    "create filled, for reading": lambda place: managed_shm(init=b"abc", readonly=True).close(),
    "create kept": lambda place: unlinked(managed_shm(10, policy="keep")),
    "attach": lambda place: managed_shm(name="there", attach=True).close(),
    "attach and be the last": lambda place: last_out(),
    "close with a view": lambda place: viewed(),
    "close after a fork": lambda place: forked(),
}


def last_out() -> None:
    """Attach, and stay longer than the creator."""
    with contextlib.ExitStack() as stack:
        with managed_shm(10, name="x", policy="last"):
            stack.enter_context(managed_shm(name="x", attach=True))


def viewed() -> None:
    """Close under a view, which keeps the open file."""
    with managed_shm(10, policy="last") as shm:
        view = shm.buf[:]
    assert len(view) == 10


def forked() -> None:
    """Close what has a second lease."""
    with managed_shm(10, policy="last"):
        segment.prepare_fork()


def orphan(place: str) -> None:
    """Leave a segment that nobody uses."""
    fd, name = lease.create_file(place)
    lease.link(place, name, "x")
    os.close(fd)


def unlinked(shm) -> None:
    """Remove what would be kept; if that fails, again."""
    try:
        shm.close()
    finally:
        try:
            shm.unlink()
        except OSError:
            shm.unlink()
            raise


@pytest.mark.parametrize(("module", "name"), CALLS, ids=[name for _, name in CALLS])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_one_call_fails(tmp_path, monkeypatch, operation, module, name):
    """The Nth call of one kind fails, for every N there is: its error is the one that is reported, descriptors are closed, a sweep finds all that is left."""
    place = str(tmp_path)
    monkeypatch.setattr(segment, "directory", lambda: place)
    real = getattr(module, name)
    there = managed_shm(10, name="there")
    segment.prepare_fork()  # else one operation would do something about this one, too
    live = set(segment.live)
    expected = sorted(os.listdir(place))
    number = 0
    while True:
        number += 1
        failing = Failing(real, number)

        if operation == "create over an orphan":
            orphan(place)
        before = len(os.listdir("/dev/fd"))
        monkeypatch.setattr(module, name, failing)
        try:
            OPERATIONS[operation](place)
        except OSError as error:
            first = error.errno
        else:
            first = errno.EIO  # what fails while it asks who else uses something need not be told
        finally:
            monkeypatch.setattr(module, name, real)
        assert first == errno.EIO
        assert len(os.listdir("/dev/fd")) == before
        for leased in list(lease.owned_names(place)):
            lease.reclaim(place, leased)
        assert sorted(os.listdir(place)) == expected
        assert segment.live.keys() == live
        if failing.calls < number:  # there is no Nth call: all of them have failed once
            break
    there.close()
    assert os.listdir(place) == []
