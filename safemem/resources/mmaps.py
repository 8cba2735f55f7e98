"""managed_mmap: a file mapped into memory, which stays readable for as long as anybody looks at it."""

from __future__ import annotations

import mmap
import os
import sys
import weakref
from typing import TYPE_CHECKING, Any, Final, overload

from safemem._compat import override
from safemem.resources.base import Ending, Resource

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ManagedMmap", "managed_mmap"]

ACCESS: Final = {"read": mmap.ACCESS_READ, "write": mmap.ACCESS_WRITE, "copy": mmap.ACCESS_COPY}
BINARY: Final = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
COUNTS: Final = sys.implementation.name == "cpython"  # whether an object dies with the last reference to it


class ManagedMmap(Resource):
    """A mapping; what managed_mmap() returns.

    It has the items and methods of `mmap.mmap`, `buf`, a memoryview of all of it, and `size`. Once it is closed all of that is a ValueError, but views
    that were taken before stay readable, and the memory goes with the last of them.
    """

    __slots__ = ("_held", "_repr")

    def __init__(self, mapping: mmap.mmap, described: str, flush: bool, on_views: str) -> None:
        self._held = _Mapped(mapping, flush, on_views)
        self._repr = described
        super().__init__(described, self._held.release)

    @property
    @override
    def closed(self) -> bool:
        """Whether it is closed."""
        return self._held.mapping is None

    @override
    def close(self) -> None:
        """Let go of the mapping; a forked child lets go of its own copy. Closing it again does nothing.

        Raises:
            OSError: With `flush=True`, what was written could not be written to the file.
            BufferError: With `on_views="raise"`, somebody still looks at it; it is closed all the same.

        """
        if self._finalizer.alive:
            super().close()
        else:  # closed already, or a forked child, where only the parent's finaliser would be dead
            self._held.release(Ending.EXIT)

    @property
    def buf(self) -> memoryview:
        """All of it, without a copy: a new memoryview each time, which nobody but its holder releases."""
        return memoryview(self._held.get())

    @property
    def size(self) -> int:
        """How many bytes are mapped."""
        return len(self)

    def flush(self) -> None:
        """Wait until the file has what was written; other processes see it without."""
        self._held.get().flush()

    def resize(self, newsize: int) -> None:  # noqa: ARG002 - as mmap's
        """Refuse: views would be cut off under those who look at them."""
        msg = "a managed mapping cannot be resized: make another one"
        raise TypeError(msg)

    def __len__(self) -> int:
        return len(self._held.get())

    @overload
    def __getitem__(self, key: int) -> int: ...
    @overload
    def __getitem__(self, key: slice) -> bytes: ...
    def __getitem__(self, key: int | slice) -> int | bytes:
        return self._held.get()[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self._held.get()[key] = value

    def __iter__(self) -> Iterator[int]:
        for index in range(len(self)):
            yield self[index]

    def __contains__(self, item: object) -> bool:
        return item in self.buf if isinstance(item, int) else self._held.get().find(item) >= 0  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    def __buffer__(self, flags: int, /) -> memoryview:
        """Give the buffer to those who ask for one, from Python 3.12 on."""
        return self.buf

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or not hasattr(mmap.mmap, name):
            msg = f"{type(self).__name__!r} object has no attribute {name!r}"
            raise AttributeError(msg)
        return getattr(self._held.get(), name)

    def __repr__(self) -> str:
        return f"<{self._repr}{' closed' if self.closed else ''}>"


class _Mapped:
    """The mapping, and how to let go of it."""

    __slots__ = ("flush", "mapping", "on_views")

    def __init__(self, mapping: mmap.mmap, flush: bool, on_views: str) -> None:
        self.mapping: mmap.mmap | None = mapping
        self.flush = flush
        self.on_views = on_views

    def get(self) -> mmap.mmap:
        mapping = self.mapping
        if mapping is None:
            msg = "the mapping is closed"
            raise ValueError(msg)
        return mapping

    def release(self, ending: Ending) -> None:
        """Let go of the mapping: whoever is the last to do that unmaps it.

        mmap.close() is never called: an array that was made of a view may refer to the mapping without an export, which close() does not notice,
        and would then read memory that is gone.
        """
        mapping, self.mapping = self.mapping, None
        if mapping is None:
            return
        try:
            if self.flush and ending is not Ending.EXIT:
                mapping.flush()
        finally:
            watch = weakref.ref(mapping)
            del mapping
        if self.on_views == "raise" and ending is Ending.CLOSED and COUNTS and watch() is not None:
            msg = "the mapping is closed, but somebody still holds views of it; its memory goes with the last of them"
            raise BufferError(msg)


def managed_mmap(
    path_or_fd: str | bytes | os.PathLike[str] | os.PathLike[bytes] | int | Any,
    *,
    size: int | None = None,
    access: str | int = "read",
    offset: int = 0,
    flush: bool = False,
    on_views: str = "defer",
) -> ManagedMmap:
    """Map a file into memory, until the end of the block, `close()`, being dropped open (a `ResourceWarning`) or exit.

    >>> import os, tempfile
    >>> descriptor, path = tempfile.mkstemp()
    >>> os.write(descriptor, b"a file of 21 bytes...")
    21
    >>> with managed_mmap(descriptor, access="write") as mapped:
    ...     mapped[2:6] = b"FILE"
    ...     view = mapped.buf[10:12]
    >>> view.tobytes()  # still readable
    b'21'
    >>> os.pread(descriptor, 6, 0)
    b'a FILE'
    >>> os.close(descriptor)
    >>> os.remove(path)

    * Memoryviews, slices and NumPy arrays over it, made in any way, stay valid after the end; the memory is unmapped with the last of them.
    * What is written with `access="write"` is the file's at once, for other processes too, and in whatever way this one ends;
      `flush=True` waits for the disk at the end, which matters if the system crashes.
    * The descriptor is not kept, and a path's file is closed at once. A file that is cut short by somebody meanwhile gives SIGBUS at access.
    * A forked child has the mapping too; it closes its own copy.

    Args:
        path_or_fd: A path, a descriptor, or a file with a `fileno()`.
        size: How many bytes; None for all from `offset` on.
        access: "read", "write" (to the file), "copy" (to private memory), or one of `mmap.ACCESS_READ`, `ACCESS_WRITE`, `ACCESS_COPY`.
        offset: Where it begins; a multiple of `mmap.ALLOCATIONGRANULARITY`.
        flush: Whether closing waits until the disk has what was written.
        on_views: What closing does if there are views: "defer" (nothing), or "raise" a BufferError after closing, which at the end of a block
            never takes the place of another exception.

    Raises:
        OSError: As `open()` and `mmap.mmap()`.
        ValueError: An option out of range, an empty file, more bytes than the file has.

    """
    mode = _check(size, access, offset, on_views)
    if isinstance(path_or_fd, (str, bytes, os.PathLike)):
        path: Any = path_or_fd  # pyright: ignore[reportUnknownVariableType]
        fd = os.open(path, (os.O_RDWR if mode == mmap.ACCESS_WRITE else os.O_RDONLY) | BINARY)
        try:
            mapping = _map(fd, size, mode, offset)
        finally:
            os.close(fd)
    else:
        mapping = _map(_descriptor(path_or_fd), size, mode, offset)
    return ManagedMmap(mapping, f"managed_mmap {path_or_fd!r} access={access!r}", flush and mode == mmap.ACCESS_WRITE, on_views)


managed_mmap.__module__ = "safemem"


def _check(size: Any, access: Any, offset: Any, on_views: Any) -> int:
    """Refuse what is wrong; return the access as a number."""
    for name, value, least in (("size", size, 1), ("offset", offset, 0)):
        if value is None and name == "size":
            continue
        if isinstance(value, bool) or not isinstance(value, int):
            msg = f"{name} must be an int, got {value!r}"
            raise TypeError(msg)
        if value < least:
            msg = f"{name} must be >= {least}, got {value!r}"
            raise ValueError(msg)
    if offset % mmap.ALLOCATIONGRANULARITY:
        msg = f"offset must be a multiple of {mmap.ALLOCATIONGRANULARITY}, got {offset!r}"
        raise ValueError(msg)
    if on_views not in {"defer", "raise"}:
        msg = f'on_views must be "defer" or "raise", got {on_views!r}'
        raise ValueError(msg)
    mode = ACCESS.get(access, access) if isinstance(access, str) else access
    if isinstance(mode, bool) or mode not in ACCESS.values():
        msg = f'access must be "read", "write", "copy" or one of mmap.ACCESS_*, got {access!r}'
        raise ValueError(msg)
    return int(mode)


def _descriptor(given: Any) -> int:
    fileno = getattr(given, "fileno", None)
    fd = fileno() if callable(fileno) else given
    if isinstance(fd, bool) or not isinstance(fd, int):
        msg = f"path_or_fd must be a path, a descriptor or a file, got {given!r}"
        raise TypeError(msg)
    if fd < 0:
        msg = f"path_or_fd must be an open descriptor, got {given!r}"  # -1 would be anonymous memory
        raise ValueError(msg)
    return fd


def _map(fd: int, size: int | None, mode: int, offset: int) -> mmap.mmap:
    there = os.fstat(fd).st_size - offset
    if there <= 0:
        msg = f"offset must be smaller than the file's size, which is {there + offset}, got {offset!r}"
        raise ValueError(msg)
    if size is not None and size > there:
        msg = f"size must be at most what the file has from offset on, which is {there} bytes, got {size!r}"
        raise ValueError(msg)
    return mmap.mmap(fd, there if size is None else size, access=mode, offset=offset)
