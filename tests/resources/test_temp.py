"""managed_tempfile and managed_tempdir: gone however the program ends, and never while somebody uses them."""

from __future__ import annotations

import asyncio
import gc
import os
import stat
import sys
import tempfile
import warnings
from pathlib import Path

import pytest
from helpers.collect import no_cyclic_garbage
from helpers.forks import forks, in_child
from helpers.isolate import assert_clean, run_code
from helpers.threads import run_threads, until

from safemem.resources.lease import owned_names, reclaim
from safemem.resources.temp import managed_tempdir, managed_tempfile

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock()")

KINDS = {"file": managed_tempfile, "directory": managed_tempdir}


@pytest.fixture(autouse=True)
def place(nothing_of_other_tests, tmp_path, monkeypatch):
    """A directory for temporary things, in which no test may leave any; nor may it leave descriptors."""
    directory = tmp_path / "temporary"
    directory.mkdir()
    monkeypatch.setenv("TMPDIR", str(directory))
    monkeypatch.setenv("SAFEMEM_GUARDIAN", "off")
    before = descriptors()
    yield directory
    gc.collect()
    assert os.listdir(directory) == []
    assert descriptors() == before


@pytest.fixture(params=KINDS)
def kind(request):
    """Both kinds of temporary things."""
    return KINDS[request.param]


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


def sweep(directory) -> list[str]:
    """Do what safemem.sweep() does, in this directory alone: other programs' things are not this test's business."""
    return [name for name in list(owned_names(str(directory))) if reclaim(str(directory), name)]


def test_tempfile(place):
    """It is where TMPDIR says, private, can be used by its path, and is removed at the end."""
    with managed_tempfile() as file:
        assert file.path.parent == place
        assert os.fspath(file) == str(file.path) == file.name
        assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
        file.write(b"bytes")
        file.seek(0)
        assert file.read() == b"bytes"
        assert Path(file).read_bytes() == b"bytes"
    assert not file.path.exists()
    assert file.closed
    file.close()
    with managed_tempfile("w", encoding="utf-16-le", newline="\r\n") as file:
        file.write("ä\n")
        file.flush()
        assert file.path.read_bytes() == "ä\r\n".encode("utf-16-le")
        assert repr(file) == f"<managed_tempfile {str(file.path)!r} mode='w'>"


def test_tempdir(place):
    """It is removed with all that is in it, whatever its permissions."""
    with managed_tempdir() as directory:
        assert directory.path.parent == place
        assert os.fspath(directory) == directory.name == str(directory.path)
        assert stat.S_IMODE(directory.path.stat().st_mode) == 0o700
        locked = directory.path / "one" / "two"
        locked.mkdir(parents=True)
        (locked / "file").write_text("x")
        (directory.path / "link").symlink_to("/")
        locked.chmod(0)
        locked.parent.chmod(0o500)
    assert not directory.path.exists()
    assert repr(directory) == f"<managed_tempdir {str(directory.path)!r}>"


@pytest.mark.parametrize(("prefix", "suffix"), [(None, ".csv"), (None, "csv"), ("report", None), ("a-", "-z.txt"), ("", "")])
def test_names(kind, place, tmp_path, prefix, suffix):
    """Prefix and suffix are what they say, in any directory; a sweep leaves it alone, and nothing is left."""
    other = tmp_path / "other"
    other.mkdir()
    for where in (None, other, str(other), os.fsencode(other)):
        with kind(prefix=prefix, suffix=suffix, dir=where) as made:
            assert made.path.name.startswith(prefix or "")
            assert made.path.name.endswith(suffix or "")
            assert (place if where is None else other) in made.path.parents
            assert sweep(other) == sweep(place) == []
            assert made.path.exists()
    assert os.listdir(other) == []


def test_exception_removes(kind):
    """Whatever leaves the block, it is removed, and the exception stays."""
    with pytest.raises(KeyError, match="user's"), kind() as made:
        raise KeyError("user's")
    assert not made.path.exists()


def test_dropped(kind):
    """Being dropped open removes it, with a warning that names the place."""
    made = kind()
    line = sys._getframe().f_lineno - 1
    path = made.path
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        del made
        gc.collect()
    assert not path.exists()
    assert [(each.category, each.filename, each.lineno) for each in seen] == [(ResourceWarning, __file__, line)]


def test_removed_or_replaced_by_the_user(kind):
    """What is gone already is no error; what took its place is not touched."""
    with kind() as made:
        (made.path.rmdir if made.path.is_dir() else made.path.unlink)()
    with kind() as made:
        (made.path.rmdir if made.path.is_dir() else made.path.unlink)()
        made.path.write_text("another's")
    assert made.path.read_text() == "another's"
    made.path.unlink()


ENDS = {
    "normal": "",
    "exception": "raise KeyError",
    "os._exit": "os._exit(0)",
    "SIGKILL": "os.kill(os.getpid(), 9)",
    "execv": "os.execv(sys.executable, [sys.executable, '-c', ''])",
}
SOFT = {"normal", "exception"}


@pytest.mark.parametrize("end", ENDS)
def test_every_end(place, end):
    """A soft end leaves nothing; what a hard one leaves a sweep removes, as does the next program that makes something there."""
    code = (
        "import os, sys\nfrom safemem.resources.temp import managed_tempfile, managed_tempdir\n"
        "made = [managed_tempfile(), managed_tempfile(prefix='p'), managed_tempdir(), managed_tempdir(prefix='p')]\n"
        f"open(os.path.join(made[2], 'file'), 'w').close()\nprint(len(os.listdir({str(place)!r})), flush=True)\n{end and ENDS[end]}"
    )
    done = run_code(code)
    assert done.stdout == "4\n"
    if end in SOFT:
        assert os.listdir(place) == []
        return
    if end in {"os._exit", "SIGKILL"}:
        assert len(sweep(place)) == 4
    else:
        assert run_code(code.removesuffix(ENDS[end])).stdout == "4\n"
    assert os.listdir(place) == []


@pytest.mark.skipif(sys.platform != "linux", reason="the guardian is for Linux")
def test_guardian(place, monkeypatch):
    """With its guardian, what a killed program leaves is gone without anybody's doing."""
    monkeypatch.delenv("SAFEMEM_GUARDIAN")
    code = (
        "import os, sys\nfrom safemem.resources.temp import managed_tempfile, managed_tempdir\n"
        f"made = [managed_tempfile(), managed_tempdir(prefix='p')]\nprint(len(os.listdir({str(place)!r})), flush=True)\nos.kill(os.getpid(), 9)"
    )
    assert run_code(code).stdout == "2\n"
    until(lambda: os.listdir(place) == [])


@forks
def test_forked_child_removes_nothing(kind, place):
    """A child that closes, or ends in any way, leaves it to the parent."""
    made = kind()

    def child():
        made.close()
        assert made.path.exists()

    assert in_child(child) == 0
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)
    assert made.path.exists()
    made.close()
    assert not made.path.exists()
    code = (
        "import os, sys\nfrom safemem.resources.temp import managed_tempdir\nmade = managed_tempdir()\n"
        "pid = os.fork()\nif not pid: sys.exit()\nos.waitpid(pid, 0)\nassert made.path.exists()"
    )
    done = run_code(code)
    assert (done.returncode, done.stderr) == (0, "")


@forks
def test_closed_while_a_child_lives(kind):
    """The owner's close removes it, although a forked child has its lease as well."""
    made = kind()
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(write)
        os.read(read, 1)
        os._exit(0)
    made.close()
    assert not made.path.exists()
    os.close(write)
    os.close(read)
    os.waitpid(pid, 0)


@forks
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_made_in_a_worker(place, tmp_path, method):
    """What a child of multiprocessing makes is gone with its soft end."""
    script = tmp_path / "worker.py"
    script.write_text(
        "import multiprocessing, sys, warnings\nfrom safemem.resources.temp import managed_tempfile, managed_tempdir\n"
        "made = []\n"
        "def work():\n    made.extend([managed_tempfile(), managed_tempdir()])\n    assert all(each.path.exists() for each in made)\n"
        "if __name__ == '__main__':\n    warnings.simplefilter('ignore')\n"
        f"    worker = multiprocessing.get_context({method!r}).Process(target=work)\n    worker.start()\n    worker.join()\n    sys.exit(worker.exitcode)\n"
    )
    done = run_code(f"import runpy, sys; sys.argv = [{str(script)!r}]; runpy.run_path({str(script)!r}, run_name='__main__')")
    assert (done.returncode, done.stderr) == (0, "")
    assert os.listdir(place) == []


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"guardian": "on"}, ValueError, "guardian must be 'auto' or 'off', got 'on'"),
        ({"prefix": 3}, TypeError, "prefix must be a str or None, got 3"),
        ({"suffix": "a/b"}, ValueError, "suffix must not contain a directory separator or NUL, got 'a/b'"),
        ({"prefix": "a\0"}, ValueError, "prefix must not contain"),
        ({"dir": 3}, TypeError, "dir must be a path or None, got 3"),
        ({"dir": "/no/such"}, FileNotFoundError, "/no/such"),
        ({"suffix": "x" * 300}, OSError, "too long"),
        ({"prefix": "x" * 300}, OSError, "too long"),
    ],
)
def test_bad_input(kind, options, error, message):
    """It is refused at once, and nothing is made."""
    with pytest.raises(error, match=message):
        kind(**options)


@pytest.mark.parametrize(
    ("mode", "options", "error", "message"),
    [
        ("r", {}, ValueError, 'mode must be "w" or "x" with what goes with it, got \'r\''),
        ("ab", {}, ValueError, "got 'ab'"),
        ("q", {}, ValueError, "mode must be one of"),
        ("w", {"encoding": "no-such"}, LookupError, "no-such"),
        ("wb", {"encoding": "utf-8"}, ValueError, "encoding must be None"),
    ],
)
def test_bad_mode(mode, options, error, message):
    """It is refused at once, and nothing is made."""
    with pytest.raises(error, match=message):
        managed_tempfile(mode, **options)


def test_tmpdir_that_is_none(kind, tmp_path, monkeypatch):
    """If TMPDIR names no directory, what tempfile finds is taken."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for wrong in ("", str(tmp_path / "missing")):
        monkeypatch.setenv("TMPDIR", wrong)
        with kind() as made:
            assert made.path.parent == tmp_path


def test_error_while_closing(place, monkeypatch):
    """If something cannot be removed it is told, and hides nothing; no descriptor stays."""

    def fail(*_args, **_options):
        raise OSError("read-only now")

    for error in (None, KeyError("user's")):
        file = managed_tempfile()
        with monkeypatch.context() as patched, pytest.raises(OSError if error is None else KeyError) as seen, file:
            patched.setattr(os, "unlink", fail)
            if error:
                raise error
        assert "read-only now" in (str(seen.value) if error is None else seen.value.__notes__[0])
        assert sweep(place) == [file.path.name]


def test_async_and_threads(kind):
    """It is an async context manager too; of many threads that close it one does."""

    async def main():
        async with kind() as made:
            assert made.path.exists()
        return made

    assert not asyncio.run(main()).path.exists()
    made = kind()
    run_threads(4, lambda _number: made.close())
    assert not made.path.exists()

    def work(_number):
        for _ in range(10):
            with kind(suffix=".x") as made:
                assert made.path.exists()

    run_threads(4, work)


def test_not_copied(kind):
    """It cannot be pickled: it belongs to the process that made it."""
    with kind() as made, pytest.raises(TypeError, match="cannot be copied or pickled"):
        made.__reduce__()


def test_no_cyclic_garbage(kind):
    """Success, errors and being dropped leave nothing to the collector."""
    with kind():
        pass
    with no_cyclic_garbage(kind.__name__), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with kind(prefix="p"):
            pass
        for options in ({"prefix": 3}, {"dir": "/no/such"}):
            try:
                kind(**options)
            except (TypeError, OSError):
                pass
        try:
            with kind():
                raise KeyError
        except KeyError:
            pass
        kind()


def test_what_removes_it_is_there_before(place):
    """A directory may be let go by the collector while somebody imports shutil, half of which would not do: it is imported when one is made."""
    code = f"""
import sys
from safemem import managed_tempdir, managed_tempfile
sys.modules.pop("shutil", None)
said = ["shutil" in sys.modules]
managed_tempfile(dir={str(place)!r}).close()
said.append("shutil" in sys.modules)
made = managed_tempdir(dir={str(place)!r})
print(*said, "shutil" in sys.modules)
"""
    done = run_code(code)
    assert_clean(done)
    assert done.stdout.split() == ["False", "False", "True"]
