"""Memory without a name: it is passed by its descriptor, and gone with the last one in every way of dying."""

from __future__ import annotations

import os
import sys
import warnings
import weakref
from typing import TYPE_CHECKING, Any

from safemem._finalize import finalize, is_dropped
from safemem.resources._checks import check_choice, check_size
from safemem.resources._place import place_of_caller
from safemem.resources.segment import allocate, map_file
from safemem.resources.views import Mapped

if TYPE_CHECKING:
    from mmap import mmap

    from safemem.resources.shm import OnViews

if sys.platform == "linux":
    import fcntl

__all__ = ["ManagedMemfd", "managed_memfd"]


class _Descriptor:
    """What there is to let go of."""

    __slots__ = ("fd", "place", "process", "ref")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.process = os.getpid()
        self.place = place_of_caller(globals())
        self.ref: weakref.ref[Any] | None = None


class ManagedMemfd(Mapped):
    """Memory without a name, as `managed_memfd()` makes it."""

    __module__ = "safemem.resources.memfd"
    __slots__ = ("_descriptor", "_finalizer", "_on_views")

    def __init__(self, fd: int, mapping: mmap, size: int, on_views: str) -> None:
        self._on_views = on_views
        self._descriptor = _Descriptor(fd)
        self._hold_mapping(mapping, size)
        self._descriptor.ref = weakref.ref(self)
        self._finalizer: finalize[Any] = finalize(self, _let_go, self._descriptor)

    def fileno(self) -> int:
        """Return the descriptor, which stays this object's.

        Raises:
            ValueError: it is closed.
        """
        if self._mapping is None:
            msg = f"{self!r} is closed"
            raise ValueError(msg)
        return self._descriptor.fd

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._mapping is None

    def close(self) -> None:
        """Let go of the memory and the descriptor; any number of times. Views that are alive stay valid.

        Raises:
            BufferError: with `on_views="raise"`, that views are alive; everything is cleaned up nevertheless.
        """
        if self._finalizer.detach() is None and self._descriptor.process == os.getpid():
            return
        viewed = self._drop_mapping(self._on_views)
        _close(self._descriptor)
        if viewed:
            msg = f"views of {self!r} are alive: its memory stays until they are gone"
            raise BufferError(msg)

    def __reduce__(self) -> Any:
        # Works while multiprocessing passes an object on, which then passes the descriptor, and nowhere else.
        return _received, (_to_pass(self.fileno()), self._on_views)

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"fd={self._descriptor.fd}"
        return f"{type(self).__name__}(size={self.size}, {state})"


def managed_memfd(
    size: int | None = None, *, sealed: bool = True, fd: int | None = None, prealloc: bool = True, on_views: OnViews = "defer"
) -> ManagedMemfd:
    """Make memory that has no name, or map what another process passed on; Linux only.

    There is nothing that could be left behind: the kernel frees the memory with the last descriptor and mapping. Pass it by `fork`, as an argument
    of a `multiprocessing.Process`, over a pipe or queue of multiprocessing (the receiver gets an object of its own), by `pass_fds` of subprocess,
    or over a Unix socket by `socket.send_fds(sock, [b"x"], [memory.fileno()])`.

    Args:
        size: in bytes; not with `fd`.
        sealed: nobody can change the size any more, who it is passed to neither: else a shorter one would mean a SIGBUS for who reads it.
        fd: the descriptor of memory that another process made; it becomes this object's, unless there is an error.
        prealloc: reserve the memory now, so that there is an OSError here and not a signal at the first write.
        on_views: as for `managed_shm()`.

    Raises:
        OSError: no memory, no descriptor.
        NotImplementedError: the system is not Linux.

    >>> with managed_memfd(8) as memory:
    ...     memory.buf[:3] = b"abc"
    ...     with managed_memfd(fd=os.dup(memory.fileno())) as same:
    ...         bytes(same.buf[:3]), same.size
    (b'abc', 8)
    """
    _check_system()
    check_choice("on_views", on_views, ("defer", "raise"))
    if fd is not None:
        if size is not None:
            msg = f"size must not be given with fd, got {size!r}"
            raise TypeError(msg)
        length = os.fstat(fd).st_size
        return ManagedMemfd(fd, map_file(fd, check_size(length), readonly=False), length, on_views)
    if size is None:
        msg = "size must be given to make memory"
        raise TypeError(msg)
    return _make(check_size(size), sealed=sealed, prealloc=prealloc, on_views=on_views)


def _make(size: int, *, sealed: bool, prealloc: bool, on_views: str) -> ManagedMemfd:
    fd = _new_descriptor()
    try:
        allocate(fd, size, "memfd", prealloc=prealloc)
        if sealed:
            _seal(fd)
        return ManagedMemfd(fd, map_file(fd, size, readonly=False), size, on_views)
    except BaseException:
        os.close(fd)
        raise


if sys.platform == "linux":

    def _check_system() -> None:
        """It is there."""

    def _new_descriptor() -> int:
        return os.memfd_create("safemem", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)

    def _seal(fd: int) -> None:
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)

    def _to_pass(fd: int) -> Any:
        from multiprocessing.reduction import DupFd

        return DupFd(fd)

else:

    def _refuse(*_: object) -> Any:
        msg = f"managed_memfd() needs memfd_create(), which {sys.platform} does not have"
        raise NotImplementedError(msg)

    _check_system = _new_descriptor = _seal = _to_pass = _refuse


def _received(passed: Any, on_views: OnViews) -> ManagedMemfd:
    """Map what multiprocessing has passed on."""
    fd: int = passed.detach()
    try:
        return managed_memfd(fd=fd, on_views=on_views)
    except BaseException:
        os.close(fd)
        raise


def _close(descriptor: _Descriptor) -> None:
    fd, descriptor.fd = descriptor.fd, -1
    if fd >= 0:
        os.close(fd)


def _let_go(descriptor: _Descriptor) -> None:
    """Clean up after an object that died open, or at exit."""
    dropped = descriptor.ref is not None and is_dropped(descriptor.ref)
    fd = descriptor.fd
    _close(descriptor)
    if dropped:
        file, line = descriptor.place
        message = f"memory of descriptor {fd} was dropped open: close it, or use it in a with statement"
        warnings.warn_explicit(message, ResourceWarning, file, line)


managed_memfd.__module__ = "safemem"
