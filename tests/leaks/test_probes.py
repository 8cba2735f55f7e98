"""Probes: what comes in between two looks is found, counted and named; what goes again is not."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import logging
import mmap
import multiprocessing
import os
import selectors
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import shared_memory

import pytest
from helpers.collect import no_cyclic_garbage
from helpers.isolate import assert_clean, run_code

from safemem.leaks.probes import compare, snapshot
from safemem.leaks.report import Edge, RetentionPath

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="descriptors are listed with what they lead to on Linux only")


def look():
    """A snapshot without weighing what only native memory needs."""
    return snapshot(explain=False)


def held(obj):
    """Stands for the walk: says what it was asked about."""
    return RetentionPath((Edge("module here", ".kept", type(obj).__name__),))


@pytest.fixture
def bin_of_things():
    """Whatever a test leaks is closed when it is over."""
    with contextlib.ExitStack() as stack:
        yield stack


def work(event):
    """What a thread does."""
    event.wait()


def leak_file(kept):
    file = open(__file__)
    kept.callback(file.close)


def leak_descriptor(kept):
    kept.callback(os.close, os.open(__file__, os.O_RDONLY))


def leak_pipe(kept):
    for end in os.pipe():
        kept.callback(os.close, end)


def leak_socket(kept):
    kept.callback(socket.socket().close)


def leak_selector(kept):
    kept.callback(selectors.DefaultSelector().close)


def leak_map(kept):
    kept.callback(mmap.mmap(-1, 8192).close)


def leak_map_of_file(kept):
    with open(__file__, "rb") as file:
        kept.callback(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ).close)


def leak_sqlite(kept):
    kept.callback(sqlite3.connect(":memory:").close)


def leak_child(kept):
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    kept.callback(child.communicate)


def leak_multiprocessing(kept):
    child = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(60,))
    child.start()
    kept.callback(child.join)
    kept.callback(child.kill)


def leak_thread(kept):
    event = threading.Event()
    thread = threading.Thread(target=work, args=(event,))
    thread.start()
    kept.callback(thread.join)
    kept.callback(event.set)


def leak_executor(kept):
    executor = ThreadPoolExecutor(2)
    executor.submit(int)
    kept.callback(executor.shutdown)


def leak_loop(kept):
    kept.callback(asyncio.new_event_loop().close)


def leak_temporary_file(kept):
    number, path = tempfile.mkstemp()
    os.close(number)
    kept.callback(os.remove, path)


def leak_temporary_directory(kept):
    kept.callback(os.rmdir, tempfile.mkdtemp())


def leak_named_temporary_file(kept):
    kept.callback(tempfile.NamedTemporaryFile().close)


def leak_segment(kept):
    memory = shared_memory.SharedMemory(create=True, size=4096)
    memory.close()
    kept.callback(memory.unlink)


def leak_open_segment(kept):
    memory = shared_memory.SharedMemory(create=True, size=4096)
    kept.callback(memory.unlink)
    kept.callback(memory.close)


def leak_handler(kept):
    handler = logging.NullHandler()
    logging.getLogger("probed").addHandler(handler)
    kept.callback(logging.getLogger("probed").removeHandler, handler)


HERE = "module here.kept"
NAMES = {
    leak_file: ("file", "2 open files", HERE),
    leak_descriptor: ("file", "2 open files", "no Python object owns"),
    leak_pipe: ("file", "4 open ends of a pipe", "no Python object owns"),
    leak_socket: ("socket", "2 open sockets", HERE),
    leak_selector: ("event_loop", "2 open selectors", HERE),
    leak_map: ("mmap", "2 open memory maps", HERE),
    leak_map_of_file: ("mmap", "2 open memory maps", HERE),
    leak_sqlite: ("file", "2 open SQLite connections", HERE),
    leak_child: ("process", "2 child processes", HERE),
    leak_multiprocessing: ("process", "2 child processes", HERE),
    leak_thread: ("thread", "2 live threads", "it runs"),
    leak_executor: ("thread", "2 open ThreadPoolExecutors", HERE),
    leak_loop: ("event_loop", "2 open event loops", HERE),
    leak_temporary_file: ("tempfile", "2 temporary files", "the directory"),
    leak_temporary_directory: ("tempfile", "2 temporary directories", "the directory"),
    leak_named_temporary_file: ("tempfile", "2 temporary files", HERE),
    leak_segment: ("shm", "2 shared memory segments", "nobody unlinked it"),
    leak_open_segment: ("shm", "2 shared memory segments", HERE),
    leak_handler: ("listener", "2 NullHandlers of logger 'probed'", "logging.getLogger('probed').handlers"),
}


@on_linux
@pytest.mark.parametrize("leak", NAMES, ids=lambda leak: leak.__name__)
def test_leak_is_found_once_and_named(leak, bin_of_things):
    """Each sort of resource is one leak of its kind, with how many and who holds them; and nothing when they are gone again."""
    leak(bin_of_things)  # what it imports or starts for itself is there before the first look
    before = look()
    with contextlib.ExitStack() as here:
        leak(here)
        leak(here)
        found = compare(before, look(), name_holder=held)
        kind, what, holder = NAMES[leak]
        assert [each.kind for each in found] == [kind], found
        assert found[0].what.startswith(what)
        assert holder in found[0].holder
        assert found[0].count == int(what.split()[0])
        assert found[0].fix
        again = compare(before, look(), name_holder=held)
        assert [each.signature for each in again] == [each.signature for each in found]
    assert compare(before, look(), name_holder=held) == []


@on_linux
def test_waiting_task_is_named_by_its_coroutine():
    """A task that is pending is found with the coroutine's name and line."""

    async def forever():
        await asyncio.Event().wait()

    with asyncio.Runner() as runner:
        runner.run(asyncio.sleep(0))
        before = look()
        kept = runner.get_loop().create_task(forever())
        runner.run(asyncio.sleep(0))
        (found,) = compare(before, look(), name_holder=held)
        assert not kept.done()
    assert found.kind == "event_loop"
    assert "forever" in found.what
    assert found.where == f"{__file__}:{forever.__code__.co_firstlineno}"


def test_replacing_is_no_growth():
    """A file that took the place of another of its sort is none more."""
    with contextlib.ExitStack() as first:
        leak_file(first)
        before = look()
        first.close()
        with contextlib.ExitStack() as second:
            leak_socket(second)  # takes the number
            leak_file(second)
            kinds = [each.kind for each in compare(before, look(), name_holder=held)]
    assert kinds == ["socket"]


@on_linux
def test_used_resources_are_no_leaks():
    """What is closed, joined and removed leaves nothing."""

    def use():
        with open(__file__) as file, tempfile.TemporaryDirectory(), tempfile.NamedTemporaryFile(), socket.socket():
            file.read()
        subprocess.run([sys.executable, "-c", ""], check=True)
        asyncio.run(asyncio.sleep(0))
        with ThreadPoolExecutor(2) as executor:
            list(executor.map(str, range(4)))
        memory = shared_memory.SharedMemory(create=True, size=4096)
        memory.close()
        memory.unlink()

    use()
    before = look()
    use()
    assert compare(before, look(), name_holder=held) == []


@on_linux
def test_place_of_a_temporary_file_is_where_the_program_made_it():
    """The line is the caller's, not one of tempfile's."""
    before = look()
    with contextlib.ExitStack() as here:
        leak_temporary_file(here)
        (found,) = compare(before, look(), name_holder=held)
    assert found.where == f"{__file__}:{leak_temporary_file.__code__.co_firstlineno + 1}"


def test_modules_are_as_before():
    """The stand-ins are gone with the last snapshot."""
    gc.collect()  # snapshots of other tests may be in frames that a task's cancellation left to the collector
    before, after = look(), look()
    assert tempfile._sys is not sys
    assert compare(before, after, name_holder=held) == []
    del before, after
    assert tempfile._sys is sys
    assert type(shared_memory._posixshmem) is type(sys)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="another C library than glibc does not say what is in use")
def test_native_memory_is_told_from_python_objects():
    """Memory of the C library that no object explains is native; a large bytearray is not."""
    library = ctypes.CDLL(None)
    library.malloc.restype = ctypes.c_void_p
    library.free.argtypes = [ctypes.c_void_p]
    before = snapshot()
    kept = [bytearray(3_000_000), "x" * 1_000_000]
    assert compare(before, snapshot(), name_holder=held, repeated=True) == []
    blocks = [library.malloc(1000) for _ in range(1000)]
    (found,) = compare(before, snapshot(), name_holder=held, repeated=True)
    assert compare(before, snapshot(), name_holder=held) == []
    for block in blocks:
        library.free(block)
    assert (found.kind, found.bytes > 900_000, len(kept)) == ("native", True, 2)


def test_snapshot_keeps_nothing_alive():
    """What a snapshot saw dies when the program lets go of it."""
    events = []

    class Noted(socket.socket):
        def __del__(self):
            events.append("gone")

    noted = Noted()
    before = look()
    noted.close()
    del noted
    gc.collect()
    assert events == ["gone"]
    assert compare(before, before, name_holder=held) == []


def test_looking_makes_no_cycles(bin_of_things):
    """Snapshots, comparisons and what they find are freed by the reference count alone."""
    with no_cyclic_garbage("looking and comparing"):
        before = snapshot()
        leak_map(bin_of_things)
        assert len(compare(before, snapshot(), name_holder=held, repeated=True)) == 1


def test_hostile_classes_are_not_asked():
    """Objects whose class lies, raises or counts questions are looked at without a question."""
    asked = []

    class Meta(type):
        def __eq__(cls, other):
            asked.append("eq")
            return True

        def __hash__(cls):
            asked.append("hash")
            return 1

        def __instancecheck__(cls, obj):
            asked.append("instance")
            return True

    class Proxy(metaclass=Meta):
        def __getattribute__(self, name):
            asked.append(name)
            raise RuntimeError(name)

    class Odd(socket.socket):
        def fileno(self):
            asked.append("fileno")
            return 1

    proxies = [Proxy() for _ in range(3)]
    odd = Odd()
    try:
        asked.clear()
        before = look()
        found = compare(before, look(), name_holder=held)
        assert (asked, found, len(proxies)) == ([], [], 3)
    finally:
        odd.detach()


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="another C library than glibc does not say what is free")
def test_free_memory_is_told_and_fails_nothing():
    """Memory that is free but lies below what is in use is retained: worth a word, no failure. In a process where nothing was free before."""
    code = """
import ctypes
from safemem.leaks.probes import compare, snapshot
library = ctypes.CDLL(None)
library.malloc.restype = ctypes.c_void_p
library.free.argtypes = [ctypes.c_void_p]
library.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
before = snapshot()
blocks = [library.malloc(100_000) for _ in range(400)]
for block in blocks:
    library.memset(block, 1, 100_000)
for block in blocks[:-1]:
    library.free(block)
print([(each.kind, each.is_failure, each.bytes > 16_000_000) for each in compare(before, snapshot(), name_holder=lambda obj: None)])
"""
    done = run_code(code)
    assert_clean(done)
    assert done.stdout == "[('retained', False, True)]\n"


def test_views_that_keep_much_more_than_they_show():
    """A small view of a large array that nobody else has is named with the array's size; a copy, or a view beside its array, is none."""
    numpy = pytest.importorskip("numpy", reason="NumPy is not installed")
    before = look()
    kept = [numpy.zeros((1000, 1000))[:2, :2] for _ in range(2)]
    (found,) = [each for each in compare(before, look(), name_holder=held) if each.is_failure]
    assert (found.kind, found.count, found.bytes, found.holder) == ("growth", 2, 16_000_000, HERE)
    assert "copy" in found.fix
    whole = numpy.zeros((1000, 1000))
    kept[:] = [whole[:2], numpy.zeros((1000, 1000))[:2, :2].copy()]
    assert [each for each in compare(before, look(), name_holder=held) if each.is_failure] == []
    assert whole.size == 1_000_000
