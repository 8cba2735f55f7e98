"""What a type checker sees of the resources. Checked by mypy and pyright, not executed."""

from __future__ import annotations

import asyncio
import mmap
import socket
from pathlib import Path
from typing import IO, Any, BinaryIO, assert_type

from safemem import (
    AsyncResourceScope,
    IsolationError,
    Orphan,
    ResourceScope,
    arun_isolated,
    list_resources,
    managed,
    managed_file,
    managed_memfd,
    managed_mmap,
    managed_shm,
    managed_tempdir,
    managed_tempfile,
    on_signals,
    run_isolated,
    sweep,
)
from safemem.resources.files import ManagedFile
from safemem.resources.memfd import ManagedMemfd
from safemem.resources.mmaps import ManagedMmap
from safemem.resources.shm import ManagedSharedMemory
from safemem.resources.sweep import Resource
from safemem.resources.temp import ManagedTempDir, ManagedTempFile

# Files know whether they are text or binary by their mode.

with managed_file("path") as text:
    assert_type(text, ManagedFile[str])
    assert_type(text.read(), str)
    assert_type(list(text), list[str])
with managed_file(Path("path"), "wb", durable=True) as binary:
    assert_type(binary, ManagedFile[bytes])
    assert_type(binary.write(b"x"), int)
    assert_type(binary.discard(), None)


def any_mode(mode: str) -> None:
    assert_type(managed_file(b"path", mode), ManagedFile[Any])


managed_file("path", "w", encoding="utf-8", newline="", atomic=None)
managed_file(3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
as_file: IO[str] = text
as_binary: IO[bytes] = binary


def takes_binary(file: BinaryIO | IO[bytes]) -> None: ...


takes_binary(binary)

# Mappings have the items of bytes.

with managed_mmap("path", access=mmap.ACCESS_READ) as mapped:
    assert_type(mapped, ManagedMmap)
    assert_type(mapped[0], int)
    assert_type(mapped[0:3], bytes)
    assert_type(mapped.buf, memoryview)
managed_mmap(3, size=10, offset=0, flush=True, on_views="raise").close()

# Temporary things are paths.

with managed_tempfile() as temporary:
    assert_type(temporary, ManagedTempFile[bytes])
    assert_type(temporary.path, Path)
with managed_tempfile("w", suffix=".txt", encoding="utf-8") as words:
    assert_type(words, ManagedTempFile[str])
    Path(words).unlink()
with managed_tempdir(prefix="x", dir=Path("place"), guardian="off") as folder:
    assert_type(folder, ManagedTempDir)
    assert_type(folder.path / "file", Path)
managed_tempdir(guardian="on")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

# Shared memory.

with managed_shm(100, name="x", policy="last", init=b"x", on_views="defer") as shm:
    assert_type(shm, ManagedSharedMemory)
    assert_type(shm.buf, memoryview)
    assert_type(shm.name, str)
    assert_type(shm.size, int)
managed_shm(100, policy="mine")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
with managed_memfd(100, sealed=False) as memory:
    assert_type(memory, ManagedMemfd)
    assert_type(memory.fileno(), int)
assert_type(sweep(dry_run=True), list[Orphan])
assert_type(list_resources(), list[Resource])

# What is managed, or adopted, keeps its type.


def shut(connection: socket.socket) -> None: ...


def use(connection: socket.socket) -> None:
    with managed(connection) as same:
        assert_type(same, socket.socket)
    handle = managed(connection, close=shut)
    assert_type(handle.obj, socket.socket)
    managed(3, close=shut)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with ResourceScope() as scope:
        assert_type(scope, ResourceScope)
        assert_type(scope.adopt(connection), socket.socket)
        assert_type(scope.adopt(connection, close="shutdown"), socket.socket)
        assert_type(scope.detach(connection), socket.socket)
        assert_type(scope.enter_context(managed_tempdir()), ManagedTempDir)
        assert_type(scope.live(), list[Any])


async def use_async(connection: socket.socket) -> None:
    async with AsyncResourceScope() as scope:
        assert_type(scope, AsyncResourceScope)
        assert_type(scope.adopt(connection), socket.socket)
    async with managed_file("path") as file:
        assert_type(file, ManagedFile[str])
    async with managed(connection) as same:
        assert_type(same, socket.socket)


# Signals.

with on_signals("SIGTERM", 1) as handlers:
    assert_type(handlers, on_signals)
on_signals(3.0)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

# A call in another process has the type of the function's result.


def double(number: int, *, times: int = 1) -> list[int]:
    return [number * 2] * times


assert_type(run_isolated(double, 3, times=2), list[int])
assert_type(run_isolated(len, "x", memory_limit=1 << 30, timeout=1.5), int)
run_isolated(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def isolated() -> None:
    assert_type(await arun_isolated(double, 3, timeout=1), list[int])
    assert_type(await asyncio.gather(arun_isolated(double, 1)), tuple[list[int]])


try:
    run_isolated(double, 1)
except IsolationError as error:
    assert_type(error.exitcode, int | None)
