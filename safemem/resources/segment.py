"""Segments of shared memory as system calls see them: made, attached to, let go; the objects that users hold are in `shm`.

A segment is a file in memory. Where the last user removes it, the descriptor that holds its lease and the mapping are opened separately: views
that outlive the block keep the mapping, but not the name.
"""

from __future__ import annotations

import errno
import mmap
import os
import stat
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from safemem.resources.lease import create_file, hold, link, names_of, parse_name, reclaim

if TYPE_CHECKING:
    from collections.abc import Callable
    from weakref import ref

__all__ = ["Segment", "allocate", "attach", "create", "directory", "end", "live", "map_file", "remove"]

_CLOEXEC: Final = getattr(os, "O_CLOEXEC", 0)
_SAFE: Final = _CLOEXEC | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_UNSUPPORTED: Final = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ENODEV})
_LINUX: Final = "/dev/shm"  # noqa: S108 - where shm_open() has its files, so that others find ours

_checked = ""

# What this process, or the one it was forked from, has open; read by what runs after a fork.
live: Final[dict[int, Segment]] = {}


class Segment:
    """What there is to let go of; knows nothing of the mapping, which belongs to whoever has a view of it."""

    __slots__ = ("fd", "identity", "leased", "name", "ours", "owner", "place", "ref", "removed", "where")

    def __init__(self, where: str, name: str, fd: int) -> None:
        self.where = where  # the directory
        self.name = name
        self.leased: str | None = None  # the name of ours, which is `name` if the user chose none
        self.fd = fd  # holds the lease
        self.identity: tuple[int, int] = (0, 0)  # device and inode
        self.owner = 0  # the process whose close() removes the names; 0 if there is none
        self.ours = False  # whether the last user removes it
        self.removed = False
        self.ref: ref[Any] | None = None  # to the block
        self.place: tuple[str, int] = ("", 0)  # file and line where it was made


def directory() -> str:
    """Return the directory of segments: that of `shm_open()` on Linux, elsewhere one of this user's for files that are mapped.

    Raises:
        PermissionError: what has that directory's name belongs to somebody else.
    """
    global _checked  # noqa: PLW0603 - the directory of shared memory does not come and go
    if _checked == _LINUX:
        return _LINUX
    if sys.platform == "linux" and os.path.isdir(_LINUX):
        _checked = _LINUX
        return _LINUX
    import tempfile

    place = os.path.join(tempfile.gettempdir(), f"safemem-{os.geteuid()}")
    try:
        os.mkdir(place, 0o700)
    except FileExistsError:
        found = os.lstat(place)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise PermissionError(errno.EPERM, "not a directory of this user", place) from None
    return place


def create(
    size: int,
    name: str | None,
    policy: str,
    init: Any,
    *,
    readonly: bool,
    mode: int,
    prealloc: bool,
) -> tuple[Segment, mmap.mmap]:
    """Make a segment; nobody else can attach to it before it has its size and contents.

    Raises:
        FileExistsError: the name is in use.
        OSError: no space (ENOSPC, EDQUOT), no memory, no descriptor, no permission; nothing is left then.
    """
    where = directory()
    fd, leased = create_file(where, mode)
    path = f"{where}/{leased}"
    segment = Segment(where, leased, fd)
    try:
        segment.identity = _identity(os.fstat(fd))
        allocate(fd, size, where, prealloc=prealloc)
        # A mapping of the very descriptor keeps its lease. That does not matter where views outlive a name that close() has removed.
        source = os.open(path, os.O_RDWR | _SAFE) if policy == "last" else fd
        try:
            mapping = _map_filled(source, size, init, readonly=readonly)
        finally:
            if source != fd:
                os.close(source)
        _publish(segment, leased, name, policy)
    except BaseException:
        _abandon(segment, leased)
        raise
    live[id(segment)] = segment
    return segment, mapping


def _publish(segment: Segment, leased: str, name: str | None, policy: str) -> None:
    if policy == "keep":
        name = name or f"kept_{os.urandom(8).hex()}"
    if name is not None:
        try:
            link(segment.where, leased, name)
        except FileExistsError:
            raise FileExistsError(errno.EEXIST, "the name is in use by a living process, or kept", name) from None
        segment.name = name
    if policy == "keep":
        os.unlink(os.path.join(segment.where, leased))  # from now on no sweep knows it
    else:
        segment.leased = leased
        segment.ours = True
        segment.owner = os.getpid() if policy == "owner" else 0


def allocate(fd: int, size: int, where: str, *, prealloc: bool) -> None:
    """Give a file its size; with `prealloc` also its memory, so that a full file system is an error here and not a SIGBUS later."""
    try:
        if prealloc and hasattr(os, "posix_fallocate"):
            try:
                os.posix_fallocate(fd, 0, size)
            except OSError as error:
                if error.errno not in _UNSUPPORTED:
                    raise
            else:
                return
        os.ftruncate(fd, size)
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise
        free = os.statvfs(fd)
        room = f"{where}: need {size} bytes, {free.f_bavail * free.f_frsize} free"
        advice = " (docker: --shm-size; Kubernetes: an emptyDir with medium: Memory there)" if where == _LINUX else ""
        raise OSError(error.errno, room + advice) from None


def _map_filled(fd: int, size: int, init: Any, *, readonly: bool) -> mmap.mmap:
    mapping = map_file(fd, size, readonly=False)
    if init is not None:
        _fill(mapping, init)
    return map_file(fd, size, readonly=True) if readonly else mapping


def map_file(fd: int, size: int, *, readonly: bool) -> mmap.mmap:
    """Map the beginning of a file; where Python allows that, the mapping has no descriptor of its own."""
    access = mmap.ACCESS_READ if readonly else mmap.ACCESS_WRITE
    try:
        if sys.version_info >= (3, 13):
            return mmap.mmap(fd, size, access=access, trackfd=False)
        return mmap.mmap(fd, size, access=access)
    except OSError as error:
        raise OSError(error.errno, f"cannot map {size} bytes: {error.strerror}") from None


def _fill(mapping: mmap.mmap, init: Callable[[memoryview], object] | Any) -> None:
    if callable(init):
        init(memoryview(mapping))
    else:
        with memoryview(init) as given, given.cast("B") as contents:
            mapping[: contents.nbytes] = contents


def attach(name: str, *, readonly: bool, timeout: float = 1.0) -> tuple[Segment, mmap.mmap]:
    """Attach to a segment, whoever made it.

    Raises:
        FileNotFoundError: there is none of that name.
        ValueError: it still has no size after `timeout` seconds: whoever made it is not done, or dead.
        OSError: no permission, no memory, no descriptor; the segment stays as it is.
    """
    where = directory()
    path = f"{where}/{name}"
    flags = (os.O_RDONLY if readonly else os.O_RDWR) | _SAFE
    segment = mapping = None
    while segment is None or mapping is None:  # again if it was removed and made anew between the two times it is opened
        fd = _open(path, name, flags)
        try:
            segment = _hold_segment(where, name, fd, timeout)
            mapping = _map_same(path, name, flags, segment)
        except BaseException:
            with suppress(OSError):
                os.close(fd)
            raise
        if mapping is None:
            os.close(fd)
    live[id(segment)] = segment
    return segment, mapping


def _hold_segment(where: str, name: str, fd: int, timeout: float) -> Segment:
    try:
        found = hold(fd)
    except OSError as error:
        error.filename = name
        raise
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "not shared memory", name)
    if not found.st_size:
        _await_size(fd, name, timeout)
    segment = Segment(where, name, fd)
    segment.identity = _identity(found)
    segment.ours = found.st_nlink > 1 or parse_name(name) is not None
    return segment


def _map_same(path: str, name: str, flags: int, segment: Segment) -> mmap.mmap | None:
    fd = _open(path, name, flags)
    try:
        found = os.fstat(fd)
        same = _identity(found) == segment.identity
        return map_file(fd, found.st_size, readonly=not flags & os.O_RDWR) if same else None
    finally:
        os.close(fd)


def _open(path: str, name: str, flags: int) -> int:
    try:
        return os.open(path, flags)
    except OSError as error:
        error.filename = name
        raise


def _await_size(fd: int, name: str, timeout: float) -> None:
    """Wait for a creator that is between its two steps, as that of the standard library can be."""
    deadline = time.monotonic() + timeout
    while not os.fstat(fd).st_size:
        if time.monotonic() > deadline:
            msg = f"shared memory {name!r} has no size: whoever made it is not done yet, or died"
            raise ValueError(msg)
        time.sleep(0.001)


def end(segment: Segment) -> None:
    """Let go of a segment: its owner removes the names; of the rest, who comes last."""
    live.pop(id(segment), None)
    try:
        if segment.owner and segment.owner == os.getpid():
            segment.removed = _remove_names(segment, [segment.name, segment.leased or segment.name])
            segment.ours = False
    finally:
        fd, segment.fd = segment.fd, -1
        if fd >= 0:
            os.close(fd)
    if segment.ours and reclaim(segment.where, segment.name):
        segment.removed = True


def remove(segment: Segment) -> None:
    """Remove the names now, whoever still uses it: those who do keep their mappings.

    Raises:
        FileNotFoundError: they are gone.
    """
    ended = segment.fd < 0 and segment.owner == os.getpid()  # then the names are gone, and the inode may be another file's by now
    names = [] if ended else [segment.name] if segment.leased is None else [segment.name, segment.leased]
    if segment.leased is None and segment.ours:
        names = [*names, *names_of(segment.where, segment.identity[1])]
    if not _remove_names(segment, names):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), segment.name)


def _remove_names(segment: Segment, names: list[str]) -> bool:
    """Remove those names that are still the segment's; return whether the one that users know was among them."""
    removed = False
    for name in dict.fromkeys(names):
        path = f"{segment.where}/{name}"
        try:
            if _identity(os.lstat(path)) == segment.identity:
                os.unlink(path)
                removed = removed or name == segment.name
        except FileNotFoundError:
            pass
    return removed


def _abandon(segment: Segment, leased: str) -> None:
    """Undo what was done to make a segment; the error that led here is the one to report."""
    for name in dict.fromkeys([segment.name, leased]):
        with suppress(OSError):
            os.unlink(os.path.join(segment.where, name))
    with suppress(OSError):
        os.close(segment.fd)


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino
