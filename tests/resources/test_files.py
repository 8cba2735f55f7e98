"""managed_file: replaced whole or not at all."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import os
import sys
import warnings

import pytest
from helpers.collect import no_cyclic_garbage
from helpers.files import alone, descriptors
from helpers.recorder import unraisable
from helpers.threads import run_threads

from safemem.resources.files import managed_file


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


def test_long_names(tmp_path, how):
    """A name as long as a name may be can be replaced."""
    target = tmp_path / ("n" * 255)
    for content in ("one", "two"):
        with managed_file(target, "w") as file:
            file.write(content)
            assert how == "nameless" or [len(name) for name in os.listdir(tmp_path) if name != target.name] == [255]
    assert target.read_text() == "two"
    assert alone(target)


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
