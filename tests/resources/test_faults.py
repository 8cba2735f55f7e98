"""Temporary things, memory without a name, mapped files: each system call fails in turn, and the system has no room, no permission, no descriptors."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os
import resource
import signal
import subprocess
import sys
from itertools import count

import pytest
from helpers.failing import Failing
from helpers.forks import in_child

from safemem.resources import lease, segment
from safemem.resources.memfd import managed_memfd
from safemem.resources.mmaps import managed_mmap
from safemem.resources.shm import managed_shm
from safemem.resources.temp import managed_tempdir, managed_tempfile

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the calls are those of Linux")

CALLS = [
    *(
        (os, name)
        for name in ("open", "close", "fstat", "lstat", "stat", "mkdir", "rmdir", "unlink", "scandir", "memfd_create", "posix_fallocate")
    ),
    (mmap, "mmap"),
    (fcntl, "flock"),
    (fcntl, "fcntl"),
]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A directory for temporary things of our own, with a file in it, and no guardian."""
    (tmp_path / "file").write_bytes(b"content")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("SAFEMEM_GUARDIAN", "off")
    return str(tmp_path)


def full_directory() -> None:
    """Make a temporary directory with something in it, and remove it."""
    with managed_tempdir() as directory:
        (directory.path / "deep").mkdir()
        (directory.path / "deep" / "file").touch()


OPERATIONS = {
    "temporary file": lambda place: managed_tempfile().close(),
    "text file with a prefix": lambda place: managed_tempfile("w", prefix="x", encoding="utf-8").close(),
    "temporary directory": lambda place: full_directory(),
    "directory with a prefix": lambda place: managed_tempdir(prefix="x").close(),
    "memfd": lambda place: managed_memfd(10).close(),
    "memfd, passed on": lambda place: managed_memfd(10, sealed=False, prealloc=False).close(),
    "mapping by path": lambda place: managed_mmap(f"{place}/file").close(),
    "mapping to write": lambda place: managed_mmap(f"{place}/file", access="write", flush=True).close(),
}


def clean(place: str) -> list[str]:
    """Sweep, and return what is left then."""
    for name in list(lease.owned_names(place)):
        lease.reclaim(place, name)
    return os.listdir(place)


@pytest.mark.parametrize(("module", "name"), CALLS, ids=[name for _, name in CALLS])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_one_call_fails(place, monkeypatch, operation, module, name):
    """The Nth call of one kind fails, for every N there is: its error is the one that is reported, descriptors are closed, a sweep finds all that is left."""
    real = getattr(module, name)
    OPERATIONS[operation](place)  # what is done once a process is done
    for number in count(1):
        failing = Failing(real, number)
        before = len(os.listdir("/dev/fd"))
        with monkeypatch.context() as patch:
            patch.setattr(module, name, failing)
            first = errno.EIO  # what fails while it asks who else uses something need not be told
            try:
                OPERATIONS[operation](place)
            except OSError as error:
                first = error.errno
        if not (name == "close" and first == errno.EBADF):  # shutil.rmtree() closes again what could not be closed
            assert first == errno.EIO, number
        assert len(os.listdir("/dev/fd")) == before, number
        assert clean(place) == ["file"], number
        if number >= failing.calls:
            break


MAKERS = {
    "file": managed_tempfile,
    "file with a prefix": lambda: managed_tempfile(prefix="x"),
    "directory": managed_tempdir,
    "directory with a prefix": lambda: managed_tempdir(prefix="x"),
    "memfd": lambda: managed_memfd(1),
    "mapping": lambda: managed_mmap(os.path.join(os.environ["TMPDIR"], "file")),
}


@pytest.mark.parametrize("kind", MAKERS)
def test_no_descriptors(place, kind):
    """With fewer descriptors than are needed there is one clear error, and nothing is left."""

    def work() -> None:
        MAKERS[kind]().close()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        low = max(map(int, os.listdir("/dev/fd"))) + 1
        told = []
        for room in range(4):
            resource.setrlimit(resource.RLIMIT_NOFILE, (low + room, hard))
            filler = []
            with contextlib.suppress(OSError):
                while True:
                    filler.append(os.dup(0))
            for _ in range(room):
                os.close(filler.pop())
            try:
                MAKERS[kind]().close()
            except OSError as error:
                told.append(error.errno)
            for each in filler:
                os.close(each)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            assert clean(place) == ["file"], room
        assert told
        assert set(told) == {errno.EMFILE}

    assert in_child(work) == 0


@pytest.mark.parametrize("kind", ["file", "file with a prefix", "directory", "directory with a prefix"])
def test_no_permission(place, kind, tmp_path):
    """In a directory that may not be written there is one clear error that names it."""

    def work() -> None:
        from safemem.resources.sweep import sweep_once

        sweep_once(place)
        os.chmod(place, 0o555)
        if os.geteuid() == 0:
            os.chdir(place)
            os.seteuid(12345)
        make = managed_tempdir if kind.startswith("directory") else managed_tempfile
        with pytest.raises(PermissionError):
            make(dir=place, prefix="x" if kind.endswith("prefix") else None)

    parent = tmp_path
    while os.geteuid() == 0 and parent != parent.parent:  # what leads there must let the other user pass
        parent = parent.parent
        os.chmod(parent, os.stat(parent).st_mode | 0o011)
    assert in_child(work) == 0
    os.chmod(place, 0o700)
    assert os.listdir(place) == ["file"]


@pytest.mark.parametrize("make", [managed_tempfile, managed_tempdir])
def test_no_directory(place, make):
    """What is none, or is not there, is one clear error; one that goes away under what is in it is none at the end."""
    for name in ("absent", "file"):
        with pytest.raises((FileNotFoundError, NotADirectoryError)):
            make(dir=f"{place}/{name}")
    os.mkdir(f"{place}/going")
    made = make(dir=f"{place}/going")
    subprocess.run(["rm", "-r", f"{place}/going"], check=True)
    made.close()
    assert os.listdir(place) == ["file"]


@pytest.mark.parametrize("make", [managed_tempfile, managed_tempdir])
def test_a_name_too_long(place, make):
    """It is one clear error, and nothing is left, also of the directory that a prefix gets."""
    for options in ({"suffix": "x" * 300}, {"prefix": "x" * 300}):
        with pytest.raises(OSError, match="too long"):
            make(**options)
    assert os.listdir(place) == ["file"]


def test_a_limit_of_file_sizes(place, monkeypatch):
    """Memory that may not be had is an error at once, and no signal, then or later; what is written to a file tells at its end, and the file goes."""
    monkeypatch.setattr(segment, "directory", lambda: place)

    def work() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        for make in (managed_shm, managed_memfd, lambda size: managed_shm(size, prealloc=False)):
            with pytest.raises(OSError, match=r"need 8192 bytes") as caught:
                make(8192)
            assert caught.value.errno == errno.EFBIG
        with managed_shm(4096) as shm:
            shm.buf[:] = b"x" * 4096
        file = managed_tempfile()
        file.write(b"x" * 4097)
        with pytest.raises(OSError, match="too large"):
            file.close()
        assert clean(place) == ["file"]

    assert in_child(work) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a file system of its own")
def test_a_full_and_a_read_only_file_system(tmp_path, monkeypatch):
    """What cannot be written is told, at the end at the latest, and goes all the same; nothing can be made where nothing may be."""
    monkeypatch.setenv("SAFEMEM_GUARDIAN", "off")
    path = tmp_path / "small"
    path.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(path)], check=False, capture_output=True).returncode:
        pytest.skip("may not mount")
    try:
        before = len(os.listdir("/dev/fd"))
        for options in ({}, {"prefix": "x"}):
            file = managed_tempfile(dir=path, buffering=1 << 20, **options)
            file.write(b"x" * 100_000)
            with pytest.raises(OSError, match="No space"):
                file.close()
            with pytest.raises(KeyError) as caught, managed_tempfile(dir=path, buffering=1 << 20, **options) as file:
                file.write(b"x" * 100_000)
                raise KeyError("mine")
            assert "No space" in caught.value.__notes__[0]
        assert os.listdir(path) == []
        subprocess.run(["mount", "-o", "remount,ro", str(path)], check=True)
        for make in (managed_tempfile, managed_tempdir):
            with pytest.raises(OSError, match="Read-only"):
                make(dir=path)
        assert len(os.listdir("/dev/fd")) == before
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)
