"""Memory without a name: passed on by its descriptor, never left behind."""

from __future__ import annotations

import multiprocessing
import os
import socket
import sys
import weakref

import pytest
from helpers.children import write_into
from helpers.collect import no_cyclic_garbage
from helpers.forks import in_child
from helpers.threads import run_threads

from safemem.resources.memfd import managed_memfd

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs memfd_create()")


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_passes_it_on(method):
    """A child writes into the very memory, whichever way it was started."""
    context = multiprocessing.get_context(method)
    with managed_memfd(10) as memory:
        process = context.Process(target=write_into, args=(memory,))
        process.start()
        process.join()
        assert process.exitcode == 0
        assert bytes(memory.buf[:5]) == b"child"


def test_a_socket_passes_it_on():
    """Its descriptor is all that another process needs."""
    ours, its = socket.socketpair()
    with ours, its, managed_memfd(3) as memory:
        memory.buf[:] = b"abc"
        socket.send_fds(ours, [b"x"], [memory.fileno()])
        _, (fd,), _, _ = socket.recv_fds(its, 1, 1)
        with managed_memfd(fd=fd) as same:
            assert (same.size, bytes(same.buf)) == (3, b"abc")
            same.buf[0] = 0
            assert memory.buf[0] == 0


def test_a_forked_child_closes_its_own():
    """The parent's stays open."""
    with managed_memfd(3) as memory:

        def work() -> None:
            memory.buf[0] = 9
            memory.close()
            assert memory.closed

        assert in_child(work) == 0
        assert memory.buf[0] == 9


def test_sealed():
    """Nobody can shorten what others read, unless it was made so."""
    with managed_memfd(4096) as memory, managed_memfd(4096, sealed=False) as open_memory:
        for size in (1, 8192):
            with pytest.raises(PermissionError):
                os.ftruncate(memory.fileno(), size)
        os.ftruncate(open_memory.fileno(), 8192)


def test_views_outlive_it():
    """The memory stays until the last view is gone; `on_views="raise"` says so."""
    memory = managed_memfd(4)
    view, mapping = memory.buf[1:3], weakref.ref(memory._mapping)
    memory.close()
    memory.close()
    assert bytes(view) == b"\0\0"
    del view
    assert mapping() is None
    memory = managed_memfd(4, on_views="raise")
    view = memory.buf[:]
    with pytest.raises(BufferError, match="views of ManagedMemfd"):
        memory.close()
    assert memory.closed
    assert bytes(view) == bytes(4)


def test_dropped_open():
    """It is closed, and warned about."""
    before = len(os.listdir("/dev/fd"))
    with pytest.warns(ResourceWarning, match=r"memory of descriptor \d+ was dropped open"):
        managed_memfd(1)
    assert len(os.listdir("/dev/fd")) == before


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, TypeError, "size must be given"),
        ({"size": 0}, ValueError, "size must be > 0, got 0"),
        ({"size": "x"}, TypeError, "size must be an int, got 'x'"),
        ({"size": 1, "fd": 0}, TypeError, "size must not be given with fd, got 1"),
        ({"size": 1, "on_views": "x"}, ValueError, "on_views must be 'defer' or 'raise', got 'x'"),
        ({"fd": 10_000}, OSError, "Bad file descriptor"),
    ],
)
def test_refusals(arguments, error, message):
    """The message names the argument, the rule and the offender; no descriptor is left open."""
    before = len(os.listdir("/dev/fd"))
    with pytest.raises(error, match=message):
        managed_memfd(**arguments)
    assert len(os.listdir("/dev/fd")) == before


def test_a_closed_one_says_so():
    """Neither its memory nor its descriptor can be had."""
    memory = managed_memfd(1)
    memory.close()
    assert repr(memory) == "ManagedMemfd(size=1, closed)"
    with pytest.raises(ValueError, match="is closed"):
        memory.fileno()
    with pytest.raises(ValueError, match="is closed"):
        memory.buf


def test_threads_that_close_the_same_one():
    """It is closed once, and nobody's descriptor is closed in its place."""
    before = len(os.listdir("/dev/fd"))
    for _ in range(20):
        memory = managed_memfd(1)
        run_threads(4, lambda _, memory=memory: memory.close())
        assert memory.closed
    assert len(os.listdir("/dev/fd")) == before


def test_no_cyclic_garbage():
    """Nothing is left to the collector."""
    with no_cyclic_garbage():
        with managed_memfd(1) as memory:
            repr(memory)
        try:
            managed_memfd(0)
        except ValueError:
            pass
