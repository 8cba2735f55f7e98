"""What the standard library has for files, shared memory, and calls in another process, used as its documentation does."""

from __future__ import annotations

import mmap
import multiprocessing
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, closing
from multiprocessing.shared_memory import SharedMemory

from benchmarks.lent import CHOSEN, SIZE, Closable, Held, lent
from benchmarks.peers import Peer


def _create(size: int, _contents: bytes, name: str | None = None) -> None:
    shm = SharedMemory(name, create=True, size=size)
    shm.close()
    shm.unlink()


def _create_named(size: int, contents: bytes) -> None:
    _create(size, contents, CHOSEN)


def _fill(size: int, contents: bytes) -> None:
    shm = SharedMemory(create=True, size=size)
    shm.buf[:] = contents
    shm.close()
    shm.unlink()


def _attach(held: Held) -> None:
    SharedMemory(held.name).close()


def _end(held: Held) -> None:
    shm = SharedMemory(held.name)
    shm.close()
    shm.unlink()


def _make_segment() -> str:
    shm = SharedMemory(create=True, size=SIZE)
    shm.close()
    return shm.name


def _replace(held: Held) -> None:
    with tempfile.NamedTemporaryFile("w", dir=held.folder, delete=False) as file:
        file.write("value")
    os.replace(file.name, held.path)


def _temporary_file(held: Held) -> None:
    with tempfile.NamedTemporaryFile(dir=held.folder) as file:
        file.write(b"value")


def _temporary_directory(held: Held) -> None:
    with tempfile.TemporaryDirectory(dir=held.folder):
        pass


def _map(held: Held) -> None:
    with open(held.path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        mapped[0]


def _scope() -> None:
    with ExitStack() as stack:
        stack.callback(Closable().close)
        stack.callback(Closable().close)
        stack.callback(Closable().close)


def _one() -> None:
    with closing(Closable()):
        pass


def _isolated() -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(abs, -1).result() == 1


PEER = Peer(
    name="stdlib",
    distribution=None,
    offers=lent(
        create=_create,
        create_named=_create_named,
        allocate=_create,
        fill=_fill,
        segment=(_make_segment, _attach, _end),
        replace=_replace,
        temporary_file=_temporary_file,
        temporary_directory=_temporary_directory,
        map_file=_map,
        scope=_scope,
        one=_one,
        isolated=_isolated,
    ),
)
