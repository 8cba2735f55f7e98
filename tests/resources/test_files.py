"""managed_file: replaced whole or not at all, in whatever way it ends."""

from __future__ import annotations

import asyncio
import errno
import gc
import io
import json
import os
import stat
import sys
import warnings
from pathlib import Path

import pytest
from helpers.collect import no_cyclic_garbage
from helpers.forks import forks, in_child
from helpers.isolate import assert_clean, run_code
from helpers.recorder import unraisable
from helpers.threads import run_threads

from safemem.resources.files import managed_file
from safemem.resources.replacing import reclaim, sweep_directory

posix = pytest.mark.skipif(os.name != "posix", reason="about what POSIX systems keep of a file")
xattrs = pytest.mark.skipif(not hasattr(os, "setxattr"), reason="this system has no extended attributes")


@pytest.fixture(params=["nameless", "named"])
def how(request, monkeypatch):
    """With files that have no name, and as on a system that knows no such thing."""
    if request.param == "named":
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    return request.param


@pytest.fixture
def target(tmp_path):
    """A file with an old content, alone in its directory."""
    path = tmp_path / "target"
    path.write_text("old")
    return path


def descriptors() -> int:
    """How many descriptors this process has."""
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


def alone(path: Path) -> bool:
    """Whether nothing else lies in the file's directory."""
    return os.listdir(path.parent) == [path.name]


def test_clean_end_replaces(target, how):
    """Others see the old content until the block ends, then the new one."""
    with managed_file(target, "w") as file:
        file.write("new")
        file.flush()
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert file.closed
    assert alone(target)


def test_close_replaces_and_may_be_called_again(target, how):
    """Without a block close() commits, once."""
    file = managed_file(target, "w")
    file.write("new")
    file.close()
    target.write_text("newer")
    file.close()
    assert target.read_text() == "newer"
    with pytest.raises(ValueError, match="closed file"):
        file.write("late")


@pytest.mark.parametrize("error", [KeyError("user's"), KeyboardInterrupt(), SystemExit(3), GeneratorExit()])
def test_exception_discards(target, how, error):
    """Whatever leaves the block, the target is as it was, and the exception is what the caller gets."""
    before = descriptors()
    with pytest.raises(type(error)) as seen, managed_file(target, "w") as file:
        file.write("half")
        raise error
    assert seen.value is error
    assert target.read_text() == "old"
    assert alone(target)
    assert descriptors() == before


def test_discard(target, how):
    """A file may be given up without an exception."""
    file = managed_file(target, "wb")
    file.write(b"half")
    file.discard()
    file.close()
    assert target.read_text() == "old"
    assert alone(target)


def test_dropped_is_discarded_with_a_warning(target, how):
    """Being collected is no clean end; the warning names the line that opened it, for filters too."""
    file = managed_file(target, "w")
    line = sys._getframe().f_lineno - 1
    file.write("half")
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        del file
        gc.collect()
    assert [each.category for each in seen] == [ResourceWarning]
    assert (seen[0].filename, seen[0].lineno) == (__file__, line)
    assert f"{__file__}:{line}" in str(seen[0].message)
    assert target.read_text() == "old"
    assert alone(target)


def test_warning_as_error_does_not_keep_it_open(target):
    """Where warnings are errors the file is discarded before it is told."""
    before = descriptors()
    with unraisable() as caught:
        managed_file(target, "w")
        gc.collect()
    assert [type(error) for error in caught] == [ResourceWarning]
    assert descriptors() == before


def test_methods_keep_the_file(target):
    """A bound method and an iterator are enough to hold it open."""
    with pytest.warns(ResourceWarning):
        assert managed_file(target).read() == "old"
        gc.collect()
    with pytest.warns(ResourceWarning):
        assert list(managed_file(target)) == ["old"]
        gc.collect()


@pytest.mark.parametrize("end", ["pass", "raise KeyError", "os._exit(0)", "os.kill(os.getpid(), 9)"])
@pytest.mark.parametrize("nameless", [True, False])
def test_exit_discards(target, end, nameless):
    """However the program ends with the file open, the target is as it was, and a sweep leaves nothing else."""
    run_code(
        f"import os, sys\nif not {nameless}: vars(os).pop('O_TMPFILE', None)\n"
        "from safemem.resources.files import managed_file\n"
        f"f = managed_file({str(target)!r}, 'w'); f.write('x' * 100_000)\n{end}"
    )
    assert target.read_text() == "old"
    assert alone(target) or not nameless or not hasattr(os, "O_TMPFILE")
    sweep_directory(target.parent)
    assert alone(target)


def test_exit_says_nothing(target):
    """An orderly program end with a file open is silent, like that of any file."""
    done = run_code(f"from safemem.resources.files import managed_file\nf = managed_file({str(target)!r}, 'w')", "-W", "error")
    assert_clean(done)


def test_plain_file_is_kept_at_exit(target):
    """What is appended and still open at exit is written."""
    assert_clean(run_code(f"from safemem.resources.files import managed_file\nf = managed_file({str(target)!r}, 'a')\nf.write('er')"))
    assert target.read_text() == "older"


KILLS = """
import os, random, signal, sys, time
if sys.argv[1] == "named": vars(os).pop("O_TMPFILE", None)
from safemem.resources.files import managed_file
target, size = sys.argv[2], 300_000
def write_for_ever():
    number = 0
    while True:
        number += 1
        with managed_file(target, "wb") as file:
            for _ in range(10):
                file.write(bytes([97 + number % 26]) * (size // 10))
left = []
for _ in range(60):
    child = os.fork()
    if child == 0:
        write_for_ever()
    time.sleep(random.uniform(0.002, 0.02))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    content = open(target, "rb").read()
    assert content == b"old" or (len(content) == size and content == content[:1] * size), (len(content), set(content))
    left.append(len(os.listdir(os.path.dirname(target))) - 1)
assert content != b"old"
assert max(left) <= 1, left  # each writer clears away what the one before left
"""


@forks
def test_random_kills(target, how, tmp_path):
    """However often the writer is killed the target is whole, and at most one left-over lies there, which a sweep removes."""
    script = tmp_path.parent / f"kills_{how}.py"
    script.write_text(KILLS)
    done = run_code(f"import sys; sys.argv = ['', {how!r}, {str(target)!r}]; exec(open({str(script)!r}).read())")
    script.unlink()
    assert_clean(done)
    sweep_directory(tmp_path)
    assert alone(target)


def test_sweep_leaves_what_is_in_use(target, monkeypatch):
    """A temporary that somebody writes is no left-over; one that nobody writes is."""
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    (target.parent / ".other.3.safemem~").write_text("left")
    (target.parent / ".notes.safemem~").write_text("somebody else's")
    with managed_file(target, "w") as file:
        file.write("new")
        assert sweep_directory(target.parent, dry_run=True) == [target.parent / ".other.3.safemem~"]
        assert sweep_directory(target.parent) == [target.parent / ".other.3.safemem~"]
        assert sweep_directory(target.parent) == []
    assert target.read_text() == "new"
    assert sorted(os.listdir(target.parent)) == [".notes.safemem~", "target"]


@posix
def test_sweep_follows_no_link(target):
    """What only looks like a left-over is not touched."""
    link, directory = target.parent / ".target.0.safemem~", target.parent / ".target.1.safemem~"
    link.symlink_to(target)
    directory.mkdir()
    assert sweep_directory(target.parent) == []
    assert link.is_symlink()
    assert directory.is_dir()
    with managed_file(target, "w") as file:
        file.write("new")
    assert target.read_text() == "new"


def test_next_writer_removes_what_a_killed_one_left(target, how):
    """No sweep is needed for a file that is written again."""
    left = target.parent / ".target.0.safemem~"
    left.write_text("left")
    with managed_file(target, "w") as file:
        file.write("new")
    assert alone(target)


def test_reclaim_of_nothing(tmp_path):
    """What is gone counts as removed."""
    assert reclaim(str(tmp_path / "gone"))


def test_long_names(tmp_path, how):
    """A name as long as a name may be can be replaced."""
    target = tmp_path / ("n" * 255)
    for content in ("one", "two"):
        with managed_file(target, "w") as file:
            file.write(content)
            assert how == "nameless" or [len(name) for name in os.listdir(tmp_path) if name != target.name] == [255]
    assert target.read_text() == "two"
    assert alone(target)


@posix
def test_permissions_are_kept(target, how):
    """The new file has the old one's mode; a new one has what the umask leaves."""
    target.chmod(0o640)
    with managed_file(target, "w"):
        pass
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    before = os.umask(0o027)
    try:
        with managed_file(target.parent / "fresh", "w"):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((target.parent / "fresh").stat().st_mode) == 0o640


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
def test_owner_is_kept(target, how):
    """The new file belongs to whom the old one belonged, set-user-id bit included."""
    os.chown(target, 12345, 23456)
    target.chmod(0o4755)
    with managed_file(target, "w"):
        pass
    found = target.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (12345, 23456, 0o4755)


@xattrs
def test_extended_attributes_are_kept(target, how):
    """What is noted about a file stays with its name."""
    try:
        os.setxattr(target, "user.note", b"mine")
    except OSError as error:
        pytest.skip(f"not on this file system: {error}")
    with managed_file(target, "w"):
        pass
    assert os.getxattr(target, "user.note") == b"mine"


@posix
def test_links_are_followed(target, how):
    """A symbolic link stays one, and what it leads to is replaced; one that leads nowhere gets its target."""
    (target.parent / "deep").mkdir()
    link, dangling = target.parent / "deep" / "link", target.parent / "dangling"
    link.symlink_to("../target")
    dangling.symlink_to("deep/new")
    for path, real in ((link, target), (dangling, target.parent / "deep" / "new")):
        with managed_file(path, "w") as file:
            file.write("new")
        assert path.is_symlink()
        assert real.read_text() == "new"
    dangling.unlink()
    dangling.symlink_to("dangling")
    with pytest.raises(OSError, match="symbolic links"):
        managed_file(dangling, "w")


def test_exclusive(tmp_path, how):
    """Mode "x" makes a new file whole, and never replaces one that is there, or came meanwhile."""
    target = tmp_path / "target"
    with managed_file(target, "x") as file:
        file.write("first")
        assert not target.exists()
    assert target.read_text() == "first"
    with pytest.raises(FileExistsError):
        managed_file(target, "x")
    target.unlink()
    with pytest.raises(FileExistsError), managed_file(target, "xb"):
        target.write_text("faster")
    assert target.read_text() == "faster"
    assert alone(target)


@posix
def test_exclusive_takes_a_link_for_a_file(tmp_path):
    """As with open(), a link that leads nowhere is something that exists."""
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(FileExistsError):
        managed_file(tmp_path / "link", "x")


def test_text_and_binary(target):
    """Encoding, newline and binary data are those of open()."""
    with managed_file(target, "w", encoding="utf-16-le", newline="\r\n") as file:
        file.write("ä\n")
    assert target.read_bytes() == "ä\r\n".encode("utf-16-le")
    with managed_file(target, "wb", buffering=0) as file:
        assert file.write(b"\x00\xff") == 2
    with managed_file(target, "rb") as file:
        assert file.read() == b"\x00\xff"


def test_the_rest_of_a_file(target):
    """Everything that a file can do can be done."""
    with managed_file(target, "w") as file:
        file.writelines(["one\n", "two\n", "three"])
        assert (file.name, file.mode, file.encoding, file.closed) == (
            target if isinstance(target, str) else str(target),
            "w",
            file._file.encoding,
            False,
        )
        assert (file.readable(), file.writable(), file.seekable(), file.isatty()) == (False, True, True, False)
        assert os.fstat(file.fileno())
        file.truncate(8)
    with managed_file(target, "r") as file:
        assert (next(file), file.readline()) == ("one\n", "two\n")
        file.seek(0)
        assert file.readlines() == ["one\n", "two\n"]
    with managed_file(target, "rb") as file:
        room = bytearray(3)
        assert (file.readinto(room), bytes(room), file.tell()) == (3, b"one", 3)
        with pytest.raises(AttributeError, match="no_such"):
            file.no_such
    with managed_file(target, "w") as file:
        json.dump([1], file)
    assert target.read_text() == "[1]"
    assert not hasattr(file, "__nothing__")


def test_plain_modes_write_in_place(target):
    """Reading, appending and updating are what open() does, and so is writing that is not to be atomic."""
    inode = target.stat().st_ino
    with managed_file(target, "a", durable=True) as file:
        file.write("er")
    with managed_file(target, "r+") as file:
        file.write("col")
    with managed_file(target) as file:
        assert file.read() == "coler"
        assert not file.atomic
    with pytest.raises(KeyError), managed_file(target, "w", atomic=False) as file:
        file.write("kept")
        raise KeyError
    assert target.read_text() == "kept"
    with managed_file(target, "w+") as file:
        assert not file.atomic
    assert target.stat().st_ino == inode


def test_atomic_update_mode(target):
    """A mode with "+" is replaced whole if that is asked for."""
    with managed_file(target, "w+", atomic=True) as file:
        file.write("new")
        file.seek(0)
        assert file.read() == "new"
        assert target.read_text() == "old"
    assert target.read_text() == "new"


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


@posix
def test_what_is_no_regular_file(tmp_path):
    """A device or a pipe is opened plainly; asked to replace it, or a directory, there is an error."""
    with managed_file("/dev/null", "w") as file:
        file.write("gone")
        assert not file.atomic
    with pytest.raises(OSError, match="no regular file"):
        managed_file("/dev/null", "w", atomic=True)
    with pytest.raises(IsADirectoryError):
        managed_file(tmp_path, "w")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((3, "w"), {}, TypeError, "path must be str, bytes or os.PathLike, got 3"),
        ((None,), {}, TypeError, "path must be"),
        (("t", 3), {}, TypeError, "mode must be a str, got 3"),
        (("t", "q"), {}, ValueError, "mode must be one of"),
        (("t", "rw"), {}, ValueError, "mode must be one of"),
        (("t", "wbt"), {}, ValueError, "mode must be one of"),
        (("t", ""), {}, ValueError, "mode must be one of"),
        (("t", "a"), {"atomic": True}, ValueError, "atomic must not be true with mode 'a'"),
        (("t", "r"), {"atomic": True}, ValueError, "atomic must not be true"),
        (("t", "wb"), {"encoding": "utf-8"}, ValueError, "encoding must be None with the binary mode 'wb', got 'utf-8'"),
        (("t", "w"), {"buffering": 0}, ValueError, "buffering must not be 0"),
        (("t", "w"), {"encoding": "no-such"}, LookupError, "no-such"),
        (("t", "w"), {"newline": "x"}, ValueError, "newline"),
        (("t\0", "w"), {}, ValueError, "null"),
        (("no/such/t", "w"), {}, FileNotFoundError, "no/such"),
        (("no/such/t", "x"), {}, FileNotFoundError, "no/such"),
    ],
)
def test_bad_input(tmp_path, monkeypatch, how, arguments, options, error, message):
    """It is refused at once, and leaves neither file nor descriptor."""
    monkeypatch.chdir(tmp_path)
    before = descriptors()
    with pytest.raises(error, match=message):
        managed_file(*arguments, **options)
    assert os.listdir(tmp_path) == []
    assert descriptors() == before


def test_bytes_and_relative_paths(target, monkeypatch):
    """A path is what os.fspath() takes; going to another directory meanwhile does not matter."""
    monkeypatch.chdir(target.parent)
    with managed_file(b"target", "w") as file:
        monkeypatch.chdir("/")
        file.write("new")
    assert target.read_text() == "new"


STEPS = ["flush", "fstat", "fchmod", "fsync", "link", "replace"]


@posix
@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_fails(target, how, monkeypatch, step):
    """Whichever step of the end fails, its error is reported, the target is as it was, and nothing is left."""
    before = descriptors()
    target.chmod(0o600)
    file = managed_file(target, "wb", durable=True)
    file.write(b"new")

    def fail(*_args, **_options):
        raise OSError(errno.ENOSPC, "full", "made to fail")

    if step == "flush":
        monkeypatch.setattr(type(file), "flush", fail)
        file._finalizer.peek()[2][2].__self__.file = type("Full", (), {"closed": False, "flush": fail})()
    else:
        monkeypatch.setattr(os, step, fail)
    if step == "link" and how == "named":
        file.discard()
    else:
        with pytest.raises(OSError, match="made to fail"):
            file.close()
    monkeypatch.undo()
    assert target.read_text() == "old"
    assert alone(target)
    assert descriptors() == before


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


@forks
def test_forked_child_writes_nothing(target, how):
    """A child that ends in an orderly way leaves the parent's buffers and target alone; it finds the file closed."""
    with managed_file(target, "w") as file:
        file.write("new")

        def child():
            assert file.closed
            file.close()
            with pytest.raises(ValueError, match="closed file"):
                file.write("twice")
            with managed_file(target.parent / "child's", "w") as own:
                own.write("own")

        assert in_child(child) == 0
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert (target.parent / "child's").read_text() == "own"


@forks
def test_forked_child_that_exits(target):
    """The end of a forked child's interpreter flushes nothing that is the parent's."""
    code = (
        "import os, sys\nfrom safemem.resources.files import managed_file\n"
        f"with managed_file({str(target)!r}, 'w') as f:\n f.write('new')\n pid = os.fork()\n if not pid: sys.exit()\n os.waitpid(pid, 0)"
    )
    assert_clean(run_code(code))
    assert target.read_text() == "new"


def test_async_block(target):
    """It is an async context manager too, and a cancellation discards."""

    async def main():
        async with managed_file(target, "w") as file:
            file.write("new")

        async def cancelled():
            async with managed_file(target, "w") as file:
                file.write("half")
                await asyncio.sleep(60)

        task = asyncio.create_task(cancelled())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert target.read_text() == "new"
    assert alone(target)


def test_threads_that_close_the_same_file(target, how):
    """One of them commits, and no one gets an error."""
    for _ in range(20):
        file = managed_file(target, "w")
        file.write("new")
        run_threads(4, lambda _number, file=file: file.close())
        assert target.read_text() == "new"
        target.write_text("old")
    assert alone(target)


def test_many_writers(target, how):
    """Each replaces the file whole; the last one wins; nothing is left."""

    def work(number):
        for _ in range(15):
            with managed_file(target, "w") as file:
                file.write(str(number) * 1000)

    run_threads(6, work)
    content = target.read_text()
    assert content == content[0] * 1000
    assert alone(target)


def test_no_cyclic_garbage(target, how):
    """Success, errors and being dropped leave nothing to the collector."""
    with no_cyclic_garbage("managed_file"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with managed_file(target, "w") as file:
            file.write("x")
        try:
            with managed_file(target, "w"):
                raise KeyError
        except KeyError:
            pass
        try:
            managed_file(target, "x")
        except FileExistsError:
            pass
        managed_file(target, "r")
        file = None


def test_wrapped_by_another_file(target):
    """It can be wrapped as files can, and cannot be pickled."""
    with managed_file(target, "wb") as file:
        text = io.TextIOWrapper(file, "utf-8")
        text.write("new")
        text.detach()
        with pytest.raises(TypeError, match="cannot be copied or pickled"):
            file.__reduce__()
    assert target.read_text() == "new"
    assert repr(file) == f"<managed_file {str(target)!r} mode='wb'>"
