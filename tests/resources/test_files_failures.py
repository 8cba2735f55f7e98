"""managed_file where something fails: one error, the target as it was, and nothing left."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
from contextlib import suppress

import pytest
from helpers.failing import Failing
from helpers.files import alone, descriptors
from helpers.isolate import assert_clean, run_code

from safemem.resources.files import managed_file
from safemem.resources.replacing import sweep_directory

fcntl = pytest.importorskip("fcntl", reason="about file systems as POSIX has them")
posix = pytest.mark.skipif(os.name != "posix", reason="about what POSIX systems keep of a file")


def test_durable_syncs_file_and_directory(target, how, monkeypatch):
    """With durable=True the content is on the disk before it takes the target's place, and the directory after it."""
    synced = []
    real = os.fsync

    def fsync(fd):
        synced.append((stat.S_ISDIR(os.fstat(fd).st_mode), target.read_text()))
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    with managed_file(target, "w", durable=True) as file:
        file.write("new")
    assert synced == [(False, "old"), (True, "new")]


CALLS = ["open", "close", "stat", "lstat", "fstat", "access", "fchmod", "fchown", "fsync", "link", "replace", "unlink"]
CALLS += ["listxattr", "getxattr", "setxattr", "removexattr", "flock"]

# What need not succeed: a lock that the file system may lack, and what not everybody may give a file.
LENIENT = {"flock", "fchown", "listxattr", "getxattr", "setxattr", "removexattr"}


def replaced(target):
    with managed_file(target, "w", durable=True) as file:
        file.write("new")


def made(target):
    with managed_file(target.with_name("made"), "x", durable=True) as file:
        file.write("new")


def given_up(target):
    managed_file(target, "w").discard()


# What is asked on the way and may stay unanswered: whether /proc is there, and whether a new name is taken, which is found out in the end.
# And the temporary name of a file that has got its own: a sweep removes it.
SILENT = {("stat", replaced), ("stat", made), ("stat", given_up), ("lstat", made), ("unlink", made)}


@posix
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("operation", [replaced, made, given_up])
def test_one_call_fails(target, how, monkeypatch, operation, call):
    """The Nth call of one kind fails, for every N there is: its error comes out, the target is as it was, nothing is left, no descriptor is open."""
    module = fcntl if call == "flock" else os
    if not hasattr(module, call):
        pytest.skip("this system has no such call")
    real = getattr(module, call)
    if hasattr(os, "setxattr"):
        with suppress(OSError):
            os.setxattr(target, "user.note", b"mine")
    number = 0
    while True:
        number += 1
        failing = Failing(real, number)

        before = descriptors()
        monkeypatch.setattr(module, call, failing)
        supports = {failing if each is real else each for each in os.supports_follow_symlinks}
        monkeypatch.setattr(os, "supports_follow_symlinks", supports)
        monkeypatch.setattr(os, "supports_effective_ids", {failing if each is real else each for each in os.supports_effective_ids})
        try:
            operation(target)
        except OSError as error:
            failed = error.errno
        else:
            failed = None
        finally:
            monkeypatch.setattr(module, call, real)
        assert failed in {None, errno.EIO}
        assert descriptors() == before
        if call == "unlink":  # what could not be removed is for a sweep
            sweep_directory(target.parent)
        left = set(os.listdir(target.parent)) - {"target"}
        if failing.calls < number:  # there is no Nth call: all of them have failed once
            assert failed is None
            break
        published = call == "close" or (call == "fsync" and number == 2)  # the last step, when there is no way back
        if failed is not None:
            assert target.read_text() in ({"new", "old"} if published else {"old"})
            assert left <= ({"made"} if published else set())
        else:
            assert call in LENIENT or (call, operation) in SILENT, (call, number)
            assert left <= {"made"}
        target.write_text("old")
        for name in left:
            os.unlink(target.parent / name)


def limited(target, resource_limit: str, code: str) -> None:
    """Run code in a process with a limit; it must end as it should."""
    start = f"import os, resource, sys\nfrom safemem import managed_file\ntarget = {str(target)!r}\nresource.setrlimit({resource_limit})\n"
    assert_clean(run_code(start + code))
    assert target.read_text() == "old"
    assert alone(target)


FULL = """
before = sorted(os.listdir("/dev/fd"))
for durable in (False, True):
    for size in (1 << 16, 1 << 22):  # found out at the end, and by the write itself
        try:
            with managed_file(target, "w", durable=durable) as file:
                file.write("x" * size)
        except OSError as error:
            assert error.errno == errno.EFBIG, error
            assert not hasattr(error, "__notes__"), error.__notes__
        else:
            sys.exit("no error")
assert sorted(os.listdir("/dev/fd")) == before
"""


@posix
def test_no_room(target):
    """A write that finds no room is one error, in the block or at its end."""
    limited(target, "resource.RLIMIT_FSIZE, (10_000, 10_000)", "import errno\n" + FULL)


MANY = """
import errno
with managed_file(target, "w", durable=True) as first:  # what is needed late is imported
    first.discard()
held = []
try:
    while True:
        held.append(os.open("/dev/null", os.O_RDONLY))
except OSError:
    pass
for spare in range(5):
    for _ in range(spare):
        os.close(held.pop())
    try:
        with managed_file(target, "w", durable=True) as file:
            file.write("new")
    except OSError as error:
        assert error.errno == errno.EMFILE, error
        assert open(target).read() == "old" if spare else True
    else:
        assert spare
        break
    for _ in range(spare):
        held.append(os.open("/dev/null", os.O_RDONLY))
else:
    sys.exit("it never worked")
os.close(held.pop())
with open(target, "w") as file:
    file.write("old")
"""


@posix
def test_no_descriptor(target):
    """With none left it is an error when the file is opened; with too few for all that comes at the end, one there, before anything is replaced."""
    limited(target, "resource.RLIMIT_NOFILE, (64, 64)", MANY)


@pytest.fixture
def disk(tmp_path):
    """A file system of one megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    if not hasattr(os, "geteuid") or os.geteuid() or subprocess.run([*MOUNT, place], capture_output=True, check=False).returncode:
        pytest.skip("nothing may be mounted here")
    yield place
    subprocess.run(["umount", place], check=True)


MOUNT = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs"]


def test_full_disk(disk, how):
    """There is room for the old file or for the new one, not for both: the old one stays, and its room is all that is taken."""
    target = disk / "target"
    target.write_bytes(b"o" * 700_000)
    before = os.statvfs(disk).f_bfree
    for durable in (False, True):
        with pytest.raises(OSError, match="No space left") as seen, managed_file(target, "wb", durable=durable) as file:
            file.write(b"n" * 400_000)
        assert not hasattr(seen.value, "__notes__")
    assert target.read_bytes() == b"o" * 700_000
    assert alone(target)
    assert os.statvfs(disk).f_bfree == before
    with managed_file(target, "wb") as file:
        file.write(b"n" * 200_000)
    assert target.stat().st_size == 200_000


def test_readonly_disk(disk, how):
    """It is refused at once, and so is what was begun before the disk became so."""
    target = disk / "target"
    target.write_text("old")
    before = descriptors()
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    for mode in ("w", "x"):
        with pytest.raises(OSError, match="Read-only file system|exists"):
            managed_file(target, mode)
    with pytest.raises(OSError, match="Read-only file system"):
        managed_file(disk / "other", "x")
    assert descriptors() == before
    with managed_file(target) as file:
        assert file.read() == "old"


@pytest.mark.parametrize(("path", "error"), [("", FileNotFoundError), ("new/", IsADirectoryError), ("no/such/", IsADirectoryError)])
@pytest.mark.parametrize("mode", ["w", "x"])
def test_no_name(tmp_path, monkeypatch, path, error, mode):
    """A path without a last part is refused at once, as open() does; nothing is made of what comes before it."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error):
        managed_file(path, mode)
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no full device")
def test_error_while_closing_hides_nothing():
    """The exception on its way stays what it is, with a note about the other one."""
    with pytest.raises(KeyError) as seen, managed_file("/dev/full", "w") as file:
        file.write("x")
        raise KeyError("user's")
    assert seen.value.args == ("user's",)
    assert len(seen.value.__notes__) == 1
    assert "No space left" in seen.value.__notes__[0]
    with pytest.raises(OSError, match="No space left"), managed_file("/dev/full", "w") as file:
        file.write("x")


def test_vanished_directory(tmp_path, how):
    """If the directory is gone at the end, that is the error."""
    directory = tmp_path / "directory"
    directory.mkdir()
    with pytest.raises(FileNotFoundError), managed_file(directory / "target", "w"):
        for each in directory.iterdir():
            each.unlink()
        directory.rmdir()
    assert os.listdir(tmp_path) == []


def test_file_within_closed_on_its_own(target, how):
    """Who closes the layer below gets told that nothing was replaced."""
    with pytest.raises(ValueError, match="closed on its own"), managed_file(target, "w") as file:
        file.buffer.close()
    assert target.read_text() == "old"
    assert alone(target)
