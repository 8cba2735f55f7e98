"""managed_mmap: a mapped file that stays readable under every view, and is unmapped with the last of them."""

from __future__ import annotations

import asyncio
import gc
import mmap
import os
import sys
import warnings

import pytest
from helpers.collect import no_cyclic_garbage
from helpers.forks import forks, in_child
from helpers.isolate import run_code
from helpers.threads import run_threads

from safemem.resources.mmaps import managed_mmap

CONTENT = bytes(range(256)) * 64
maps = pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="this system does not tell what is mapped")


@pytest.fixture
def target(nothing_of_other_tests, tmp_path):
    """A file to map; no test leaves it open."""
    path = tmp_path / "target"
    path.write_bytes(CONTENT)
    gc.collect()  # what other tests left open must not be closed in the middle of one
    before = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0
    yield path
    assert not os.path.exists("/proc/self/fd") or len(os.listdir("/proc/self/fd")) == before


def mapped(path) -> int:
    """How often a file is mapped into this process."""
    with open("/proc/self/maps") as file:
        return sum(line.rstrip().endswith(str(path)) for line in file)


def test_reading(target):
    """It has the items and methods of mmap, and views without a copy."""
    with managed_mmap(target) as memory:
        assert (len(memory), memory.size, memory.closed) == (len(CONTENT), len(CONTENT), False)
        assert memory[:] == CONTENT
        assert (memory[3], memory[-1], memory[2:4]) == (3, 255, b"\x02\x03")
        assert (memory.find(b"\x05\x06"), memory.read(2), memory.tell()) == (5, b"\x00\x01", 2)
        assert memory.buf == CONTENT
        assert memory.buf.readonly
        assert bytes(memory) == CONTENT
        assert 200 in memory
        assert b"\x05\x06" in memory
        assert b"\x06\x05" not in memory
        with pytest.raises(TypeError):
            memory[0] = 1


def test_writing(target):
    """What is written with access="write" is the file's, at once; with "copy" it is nobody else's."""
    with managed_mmap(str(target), access="write") as memory:
        memory[:3] = b"abc"
        memory.buf[3] = ord("d")
        memory.flush()
        assert target.read_bytes()[:5] == b"abcd\x04"
    with managed_mmap(os.fsencode(target), access="copy") as memory:
        memory[:3] = b"xyz"
        assert memory[:4] == b"xyzd"
    assert target.read_bytes()[:5] == b"abcd\x04"


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), 9)", "os._exit(1)", "sys.exit()"])
def test_written_bytes_outlive_the_program(target, end):
    """However the program ends, the file has what was written."""
    run_code(
        f"import os, sys\nfrom safemem.resources.mmaps import managed_mmap\nm = managed_mmap({str(target)!r}, access='write')\nm[:3] = b'abc'\n{end}"
    )
    assert target.read_bytes()[:4] == b"abc\x03"


def test_parts(target):
    """A part may be mapped, from descriptors and files too, which stay the caller's."""
    page = mmap.ALLOCATIONGRANULARITY
    with open(target, "rb") as file:
        for given in (file, file.fileno()):
            with managed_mmap(given, size=10, offset=page, access=mmap.ACCESS_READ) as memory:
                assert memory[:] == CONTENT[page : page + 10]
        assert not file.closed
    with managed_mmap(target, offset=page) as memory:
        assert memory.size == len(CONTENT) - page


@maps
def test_unmapped_at_the_end(target):
    """When nobody looks at it, closing unmaps."""
    with managed_mmap(target) as memory:
        memory.buf[0]
        assert mapped(target) == 1
    assert mapped(target) == 0
    memory.close()
    assert memory.closed
    for use in (
        lambda: memory[0],
        lambda: len(memory),
        lambda: memory.buf,
        lambda: memory.find(b"x"),
        memory.flush,
        lambda: next(iter(memory)),
    ):
        with pytest.raises(ValueError, match="the mapping is closed"):
            use()


@maps
@pytest.mark.parametrize("close", ["close", "drop"])
def test_views_outlive_it(target, close):
    """The whole buffer, a slice, a cast, and one who holds the mapping without an export: all stay readable, the last one unmaps."""
    memory = managed_mmap(target)
    views = [memory.buf, memory.buf[5:8], memory.buf.cast("I"), memoryview(memory.buf)]
    view = memory.buf
    without_export = view.obj  # as numpy.ndarray(buffer=view) has it
    view.release()
    if close == "close":
        memory.close()
    else:
        with pytest.warns(ResourceWarning):
            del memory
            gc.collect()
    assert bytes(views[0]) == CONTENT
    assert bytes(views[1]) == CONTENT[5:8]
    del view, views[1:]
    assert views[0][7] == 7
    del views
    assert mapped(target) == 1
    assert without_export[9] == 9
    del without_export
    assert mapped(target) == 0


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="only a count of references tells at once who holds views")
def test_on_views_raise(target):
    """Asked to, closing tells that there are views, after it has closed; it never hides another exception."""
    with managed_mmap(target, on_views="raise") as memory:
        bytes(memory.buf[3:5])
    with pytest.raises(BufferError, match="somebody still holds views"), managed_mmap(target, on_views="raise") as memory:
        view = memory.buf[3:5]
    assert memory.closed
    assert bytes(view) == b"\x03\x04"
    with pytest.raises(KeyError), managed_mmap(target, on_views="raise") as memory:
        view = memory.buf
        raise KeyError
    assert memory.closed
    assert view[4] == 4


def test_flush_at_the_end(target, monkeypatch):
    """With flush=True closing waits for the disk, also after an exception; an error there hides nothing."""

    class Broken(mmap.mmap):
        def flush(self, *_):
            raise OSError("disk is gone")

    monkeypatch.setattr(mmap, "mmap", Broken)
    with pytest.raises(OSError, match="disk is gone"), managed_mmap(target, access="write", flush=True) as memory:
        memory[:1] = b"x"
    assert memory.closed
    with pytest.raises(KeyError) as seen, managed_mmap(target, access="write", flush=True):
        raise KeyError
    assert "disk is gone" in seen.value.__notes__[0]
    with managed_mmap(target, flush=True), managed_mmap(target, access="write"):
        pass  # nothing to wait for, or not asked to
    assert target.read_bytes()[:1] == b"x"


def test_dropped(target):
    """Being dropped open is warned about, with the place."""
    memory = managed_mmap(target)
    line = sys._getframe().f_lineno - 1
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        del memory
        gc.collect()
    assert [(each.category, each.filename, each.lineno) for each in seen] == [(ResourceWarning, __file__, line)]


def test_exit_is_silent(target):
    """A mapping that is open at exit, with views, ends with the program."""
    code = f"from safemem.resources.mmaps import managed_mmap\nm = managed_mmap({str(target)!r})\nv = m.buf[1:3]"
    done = run_code(code, "-W", "error")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"access": "append"}, ValueError, 'access must be "read", "write", "copy" or one of mmap.ACCESS_.*, got \'append\''),
        ({"access": 77}, ValueError, "access must be"),
        ({"access": None}, ValueError, "access must be"),
        ({"size": 0}, ValueError, "size must be >= 1, got 0"),
        ({"size": "3"}, TypeError, "size must be an int, got '3'"),
        ({"size": len(CONTENT) + 1}, ValueError, f"size must be at most what the file has from offset on, which is {len(CONTENT)} bytes"),
        ({"offset": -1}, ValueError, "offset must be >= 0, got -1"),
        ({"offset": 5}, ValueError, "offset must be a multiple of"),
        ({"offset": 1 << 30}, ValueError, "offset must be smaller than the file's size"),
        ({"on_views": "copy"}, ValueError, 'on_views must be "defer" or "raise", got \'copy\''),
        ({"path_or_fd": None}, TypeError, "path_or_fd must be a path, a descriptor or a file, got None"),
        ({"path_or_fd": True}, TypeError, "path_or_fd must be a path"),
        ({"path_or_fd": -1}, ValueError, "path_or_fd must be an open descriptor, got -1"),
        ({"path_or_fd": "/no/such/file"}, FileNotFoundError, "/no/such/file"),
        ({"path_or_fd": os.devnull}, ValueError, "offset must be smaller than the file's size, which is 0"),
    ],
)
def test_bad_input(target, options, error, message):
    """It is refused at once, and no descriptor stays open."""
    with pytest.raises(error, match=message):
        managed_mmap(**{"path_or_fd": target, **options})


def test_what_it_has_not(target):
    """Resizing is refused, other names are unknown, copies are not made."""
    with managed_mmap(target) as memory:
        with pytest.raises(TypeError, match="cannot be resized"):
            memory.resize(3)
        with pytest.raises(AttributeError, match="no_such"):
            memory.no_such
        with pytest.raises(TypeError, match="cannot be copied or pickled"):
            memory.__reduce__()
        assert repr(memory) == f"<managed_mmap {target!r} access='read'>"
    assert repr(memory).endswith(" closed>")


@forks
def test_forked_child(target):
    """A child reads, writes and closes its own; the parent's stays."""
    with managed_mmap(target, access="write") as memory:

        def child():
            memory[:1] = b"c"
            memory.close()
            assert memory.closed

        assert in_child(child) == 0
        assert memory[:2] == b"c\x01"


def test_async(target):
    """It is an async context manager too."""

    async def main():
        async with managed_mmap(target) as memory:
            return memory[:2]

    assert asyncio.run(main()) == b"\x00\x01"


def test_threads(target):
    """Many close it while others read: each read is right or told that it is closed."""
    for _ in range(30):
        memory = managed_mmap(target)
        told = set()

        def work(number, memory=memory, told=told):
            if number < 2:
                memory.close()
                return
            try:
                for _ in range(20):
                    assert memory.buf[:3] == CONTENT[:3]
                    assert memory[3:5] == CONTENT[3:5]
            except ValueError as error:
                told.add(str(error))

        run_threads(4, work)
        assert memory.closed
        assert told <= {"the mapping is closed"}


def test_no_cyclic_garbage(target):
    """Success, errors and being dropped leave nothing to the collector."""
    with no_cyclic_garbage("managed_mmap"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with managed_mmap(target) as memory:
            view = memory.buf[1:2]
        del view
        for options in ({"size": 0}, {"offset": 1 << 30}):
            try:
                managed_mmap(target, **options)
            except ValueError:
                pass
        try:
            memory[0]
        except ValueError:
            pass
        managed_mmap(target)
