"""Shared memory: what cannot be is said at once, and nothing is left."""

from __future__ import annotations

import errno
import os
import sys

import pytest
from helpers.forks import in_child

from safemem.resources import segment
from safemem.resources.shm import ManagedSharedMemory, managed_shm

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock()")


def descriptors() -> int:
    """How many descriptors are open."""
    return len(os.listdir("/dev/fd"))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, TypeError, "size must be given"),
        ({"size": 0}, ValueError, "size must be > 0, got 0"),
        ({"size": -1}, ValueError, "size must be > 0, got -1"),
        ({"size": 1.5}, TypeError, "size must be an int, got 1.5"),
        ({"size": True}, TypeError, "size must be an int, got True"),
        ({"size": 1 << 70}, ValueError, "size must be <= "),
        ({"size": 1, "name": ""}, ValueError, "name must not be empty"),
        ({"size": 1, "name": "/"}, ValueError, "name must not be empty"),
        ({"size": 1, "name": ".."}, ValueError, "name must not be empty"),
        ({"size": 1, "name": "a/b"}, ValueError, "name must not contain '/' or NUL, got 'a/b'"),
        ({"size": 1, "name": "a\0b"}, ValueError, "name must not contain '/' or NUL"),
        ({"size": 1, "name": "\ud800"}, ValueError, "name must be encodable"),
        ({"size": 1, "name": "a" * 256}, ValueError, "name must be at most 255 bytes long, got 256"),
        ({"size": 1, "name": b"x"}, TypeError, "name must be a str, got b'x'"),
        ({"size": 1, "name": "sm1_0_0123456789_01234567"}, ValueError, "name must not look like"),
        ({"size": 1, "policy": "first"}, ValueError, "policy must be 'owner', 'last' or 'keep', got 'first'"),
        ({"size": 1, "policy": None}, TypeError, "policy must be"),
        ({"size": 1, "on_views": "copy"}, ValueError, "on_views must be 'defer' or 'raise', got 'copy'"),
        ({"size": 1, "guardian": "on"}, ValueError, "guardian must be 'auto' or 'off', got 'on'"),
        ({"size": 1, "mode": 0o400}, ValueError, "mode must be .* got 0o400"),
        ({"size": 1, "mode": "rw"}, TypeError, "mode must be an int, got 'rw'"),
        ({"size": 1, "readonly": True}, ValueError, "readonly must be False"),
        ({"size": 1, "init": 5}, TypeError, "init must be a bytes-like object or a callable, got 5"),
        ({"size": 1, "init": b"ab"}, ValueError, "init must not be longer than size, which is 1, got 2"),
        ({"init": memoryview(b"abcd")[::2]}, ValueError, "init must be C-contiguous"),
        ({"init": b""}, ValueError, "size must be > 0"),
        ({"init": print}, TypeError, "size must be given"),
        ({"attach": True}, ValueError, "name must be given"),
        ({"attach": True, "name": "absent"}, FileNotFoundError, "absent"),
        ({"attach": True, "name": "x", "init": b"x"}, ValueError, "init must not be given"),
    ],
)
def test_arguments(place, arguments, error, message):
    """The message names the argument, the rule and the offender."""
    before = descriptors()
    with pytest.raises(error, match=message):
        managed_shm(**arguments)
    assert descriptors() == before


def test_attach_to_something_smaller(place):
    """A size given with `attach` is what there must be."""
    with managed_shm(4, name="x"):
        with pytest.raises(ValueError, match="size must be at most that of shared memory 'x', which is 4, got 5"):
            managed_shm(5, name="x", attach=True)
        managed_shm(4, name="x", attach=True).close()


def test_what_is_no_segment(place):
    """A directory, a link, a pipe of that name is not attached to and not removed."""
    os.mkdir(os.path.join(place, "directory"))
    os.mkfifo(os.path.join(place, "pipe"))
    os.symlink("/etc/passwd", os.path.join(place, "link"))
    for name in ("directory", "pipe", "link"):
        with pytest.raises(OSError, match=name):
            managed_shm(name=name, attach=True)
        with pytest.raises(FileExistsError, match=name):
            managed_shm(1, name=name)
    os.rmdir(os.path.join(place, "directory"))
    os.unlink(os.path.join(place, "pipe"))
    os.unlink(os.path.join(place, "link"))


def test_init_that_fails(place):
    """Its exception comes out, nothing is left, and nobody could ever attach."""
    before = descriptors()
    with pytest.raises(KeyError, match="mine"):
        managed_shm(1, name="x", init=lambda _: {}["mine"])
    assert descriptors() == before


def test_no_descriptors(place):
    """Too many open files is an error like others."""
    import resource

    def work() -> None:
        told: list[int | None] = []
        held = managed_shm(1, policy="last")
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        low = max(map(int, os.listdir("/dev/fd"))) + 1
        for limit in range(low, low + 3):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
            filler = []
            try:
                while True:
                    filler.append(os.dup(0))
            except OSError:
                pass
            for _ in range(limit - low):
                os.close(filler.pop())
            for arguments in ({"size": 1, "name": "x"}, {"name": held.name, "attach": True}):
                try:
                    managed_shm(**arguments).close()
                except OSError as error:
                    told.append(error.errno)
            for each in filler:
                os.close(each)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            assert os.listdir(place) == [held.name]
        held.close()
        assert os.listdir(place) == []
        assert set(told) == {errno.EMFILE}

    assert in_child(work) == 0


def test_no_address_space(place):
    """A limit of memory stops the mapping; the segment stays whose it is."""
    import resource

    def work() -> None:
        with managed_shm(1 << 28, name="big", prealloc=False):
            resource.setrlimit(resource.RLIMIT_AS, (1 << 29, 1 << 29))
            for arguments in ({"name": "big", "attach": True}, {"size": 1 << 28, "prealloc": False}):
                with pytest.raises(OSError, match="cannot map 268435456 bytes") as caught:
                    for _ in range(3):
                        live = managed_shm(**arguments)
                        locals()["kept"] = live
                        keep.append(live)
                assert caught.value.errno == errno.ENOMEM
                while keep:
                    keep.pop().close()
                assert "big" in os.listdir(place)

    keep: list[ManagedSharedMemory] = []
    assert in_child(work) == 0


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="needs a file system of its own")
def test_a_full_file_system(tmp_path, monkeypatch):
    """One clear error with what is needed and free, nothing is left, and later there is no SIGBUS."""
    import subprocess

    path = tmp_path / "small"
    path.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(path)], check=False, capture_output=True).returncode:
        pytest.skip("may not mount")
    try:
        monkeypatch.setattr(segment, "_LINUX", str(path))
        with managed_shm(500_000, name="first") as shm:
            for arguments in ({"size": 1 << 20}, {"size": 1 << 20, "name": "x"}, {"size": 1 << 50}):
                with pytest.raises(OSError, match=r"need \d+ bytes, \d+ free \(docker: --shm-size") as caught:
                    managed_shm(**arguments)
                assert caught.value.errno == errno.ENOSPC
            assert len(os.listdir(path)) == 2
            shm.buf[:] = b"x" * 500_000
        assert os.listdir(path) == []
        subprocess.run(["mount", "-o", "remount,ro", str(path)], check=True)
        with pytest.raises(OSError, match="Read-only"):
            managed_shm(1)
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def test_no_permission(tmp_path, monkeypatch):
    """A directory that may not be written is an error that names it."""
    place = tmp_path / "closed"
    place.mkdir(mode=0o755)
    monkeypatch.setattr(segment, "directory", lambda: str(place))

    def work() -> None:
        if os.geteuid() == 0:
            os.chmod(tmp_path, 0o711)
            os.seteuid(12345)
        else:
            os.chmod(place, 0o500)
        with pytest.raises(PermissionError):
            managed_shm(1)

    assert in_child(work) == 0


def test_a_vanished_directory(tmp_path, monkeypatch):
    """A directory that goes away under a block is no error at its close."""
    place = tmp_path / "going"
    place.mkdir()
    monkeypatch.setattr(segment, "directory", lambda: str(place))
    for policy in ("owner", "last"):
        shm = managed_shm(1, policy=policy)
        os.unlink(place / shm.name)
        shm.close()
    assert os.listdir(place) == []
