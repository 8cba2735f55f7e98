"""Segments of shared memory as system calls see them: made, attached to, let go; the objects that users hold are in `shm`.

A segment is a file in memory. Its lease is held by the descriptor that it is mapped by, which costs half of what a second one would; that a view,
which keeps the mapping and with it the open file, does not keep the name as well is seen to at the end: the lock is given up by hand. That must not
be done to what a forked child shares, so before a fork each segment gets a second lease, by an open file that no mapping keeps.
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

from safemem.resources._system import fcntl, free_bytes, geteuid
from safemem.resources.lease import Made, hold, link, made_here, make_file, names_of, parse_name, reclaim, reclaim_own, undo
from safemem.resources.limits import room

if TYPE_CHECKING:
    from collections.abc import Callable
    from weakref import ref

__all__ = ["Segment", "abandon", "allocate", "attach", "create", "directory", "end", "live", "map_file", "prepare_fork", "remove"]

_CLOEXEC: Final = getattr(os, "O_CLOEXEC", 0)
_SAFE: Final = _CLOEXEC | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_UNSUPPORTED: Final = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ENODEV})
_MUCH: Final = 1 << 20  # bytes, from which on limits are looked at
_LINUX_LOCKS: Final = sys.platform == "linux"  # what `reclaim_own()` needs
_LINUX: Final = "/dev/shm"  # noqa: S108 - where shm_open() has its files, so that others find ours

_checked = ""

# What this process, or the one it was forked from, has open; read by what runs after a fork.
live: Final[dict[int, Segment]] = {}


class Segment(Made):
    """What there is to let go of; knows nothing of the mapping, which belongs to whoever has a view of it."""

    __slots__ = ("created", "forked", "identity", "name", "ours", "owner", "place", "process", "ref", "removed", "where")

    fd: int  # holds the lease, and a mapping may keep its open file
    leased: str  # the name of ours, which is `name` if the user chose none; none if it was attached to, or is kept

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where = where  # the directory
        self.name = ""
        self.forked: list[int] | None = None  # after a fork, with what holds the lease then, unless that could not be had
        self.identity: tuple[int, int] = (0, 0)
        self.process = os.getpid()  # that began to make it; a signal handler may fork in the middle, and the child goes on here
        self.owner = 0  # the process whose close() removes the names; 0 if there is none
        self.created = False  # by this object, not attached to
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

    place = os.path.join(tempfile.gettempdir(), f"safemem-{geteuid()}")
    try:
        os.mkdir(place, 0o700)
    except FileExistsError:
        found = os.lstat(place)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != geteuid():
            raise PermissionError(errno.EPERM, "not a directory of this user", place) from None
    return place


def create(
    segment: Segment,
    size: int,
    name: str | None,
    policy: str,
    init: Any,
    *,
    readonly: bool,
    mode: int,
    prealloc: bool,
) -> mmap.mmap:
    """Make a segment; nobody else can attach to it before it has its size and contents.

    Who calls this has it abandoned if there is an exception, from here or, as a signal may raise one at any time, after this.

    Raises:
        FileExistsError: the name is in use.
        OSError: no space (ENOSPC, EDQUOT), no memory, no descriptor, no permission.
    """
    segment.created = True
    segment.identity = _identity(make_file(segment, segment.where, mode))
    segment.name = segment.leased
    fd = segment.fd
    allocate(fd, size, segment.where, prealloc=prealloc)
    mapping = map_file(fd, size, readonly=False)
    if init is not None:
        _fill(mapping, init)
    if readonly:
        mapping = map_file(fd, size, readonly=True)
    _publish(segment, name, policy)
    _enlist(segment)
    return mapping


def _publish(segment: Segment, name: str | None, policy: str) -> None:
    leased = segment.leased
    if policy == "keep":
        name = name or f"kept_{os.urandom(8).hex()}"
    if name is not None:
        segment.name = name
        try:
            link(segment.where, leased, name)
        except FileExistsError:
            raise FileExistsError(errno.EEXIST, "the name is in use by a living process, kept, or another user's", name) from None
    if policy == "keep":
        os.unlink(f"{segment.where}/{leased}")  # from now on no sweep knows it
        segment.leased = ""
    else:
        segment.ours = True
        segment.owner = segment.process if policy == "owner" else 0


def allocate(fd: int, size: int, where: str, *, prealloc: bool) -> None:
    """Give a file its size; with `prealloc` also its memory, so that a full file system is an error here and not a SIGBUS later.

    Nor is a memory limit that certainly does not leave so much a SIGKILL later.
    """
    if prealloc and size >= _MUCH:
        left = room()
        if left is not None and size > left:
            raise OSError(errno.ENOMEM, f"{where}: need {size} bytes, the memory limit of the control group leaves {max(0, left)}")
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
        needed = f"{where}: need {size} bytes, {free_bytes(fd)} free"
        advice = " (docker: --shm-size; Kubernetes: an emptyDir with medium: Memory there)" if where == _LINUX else ""
        raise OSError(error.errno, needed + advice) from None


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


def attach(segment: Segment, name: str, *, readonly: bool, timeout: float = 1.0) -> mmap.mmap:
    """Attach to a segment, whoever made it; if there is an exception, who calls this has it abandoned.

    Raises:
        FileNotFoundError: there is none of that name.
        ValueError: it still has no size after `timeout` seconds: whoever made it is not done, or dead.
        OSError: no permission, no memory, no descriptor; the segment stays as it is.
    """
    try:
        segment.fd = fd = os.open(f"{segment.where}/{name}", (os.O_RDONLY if readonly else os.O_RDWR) | _SAFE)
        found = hold(fd)
        _check_kind(found)
        mapping = map_file(fd, found.st_size or _await_size(fd, name, timeout), readonly=readonly)
    except OSError as error:
        error.filename = name
        raise
    segment.name = name
    segment.identity = _identity(found)
    segment.ours = found.st_nlink > 1 or parse_name(name) is not None
    _enlist(segment)
    return mapping


def _enlist(segment: Segment) -> None:
    live[id(segment)] = segment
    if segment.process != os.getpid() and segment.forked is None:  # forked before that: the open file is the parent's, too
        segment.forked = []


def _check_kind(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "not shared memory")


def _await_size(fd: int, name: str, timeout: float) -> int:
    """Wait for a creator that is between its two steps, as that of the standard library can be; return the size."""
    deadline = time.monotonic() + timeout
    while not (size := os.fstat(fd).st_size):
        if time.monotonic() > deadline:
            msg = f"shared memory {name!r} has no size: whoever made it is not done yet, or died"
            raise ValueError(msg)
        time.sleep(0.001)
    return size


def end(segment: Segment) -> None:
    """Let go of a segment, from which its user has dropped the mapping: its owner removes the names; of the rest, who comes last."""
    live.pop(id(segment), None)
    fd, segment.fd = segment.fd, -1
    if fd < 0:
        return
    leave = segment.ours
    try:
        if segment.owner and segment.owner == os.getpid():
            segment.removed = _remove_own_names(segment, fd)
            leave = False
        elif leave and segment.forked is None and _LINUX_LOCKS:
            segment.removed = reclaim_own(fd, segment.where, segment.name)
            leave = False
    finally:
        if leave or segment.forked is not None:
            _close(fd, segment.forked, unlock=leave)
        else:
            os.close(fd)
    if leave and reclaim(segment.where, segment.name):
        segment.removed = True


def _close(fd: int, forked: list[int] | None, *, unlock: bool) -> None:
    """Close what is open of a segment; with `unlock`, give up a share that a view's mapping would keep, unless a forked child has it, too."""
    try:
        if unlock and forked != []:
            fcntl.flock(fd, fcntl.LOCK_UN)
    finally:
        try:
            os.close(fd)
        finally:
            if forked is not None:
                _close_second(forked)


def _close_second(forked: list[int]) -> None:
    try:
        os.close(forked.pop())
    except IndexError:  # there is none, or another thread, which is about to fork, closes it
        pass


def prepare_fork() -> None:
    """Take a second lease on all that is open, which the forked child will share; what is there is never taken out of use by that.

    It cannot be in the way of a thread that just ends a segment, nor wait for it: each looks whether the other one was there.
    """
    for segment in list(live.values()):
        fd = segment.fd
        if segment.forked is not None or fd < 0:
            continue
        forked: list[int] = []
        with suppress(OSError):  # no descriptor, and then the lease lasts as long as the mapping; or no name, and then it does not matter
            _share_again(segment, forked)
        segment.forked = forked
        if segment.fd < 0 and forked:
            _close_second(forked)
            if segment.ours:
                with suppress(OSError):
                    reclaim(segment.where, segment.name)


def _share_again(segment: Segment, shares: list[int]) -> None:
    """Open a segment's file once more, and take another share in its lease."""
    fd = os.open(f"{segment.where}/{segment.name}", os.O_RDONLY | _SAFE)
    try:
        if _identity(hold(fd, timeout=0)) == segment.identity:
            shares.append(fd)
    finally:
        if not shares:
            os.close(fd)


def remove(segment: Segment) -> None:
    """Remove the names now, whoever still uses it: those who do keep their mappings.

    Raises:
        FileNotFoundError: they are gone.
    """
    ended = segment.fd < 0 and segment.owner == os.getpid()  # then the names are gone, and the inode may be another file's by now
    names = [] if ended else [segment.name, segment.leased] if segment.leased else [segment.name]
    if not segment.leased and segment.ours:
        names = [*names, *names_of(segment.where, segment.identity[1])]
    if not _remove_names(segment, list(dict.fromkeys(names))):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), segment.name)


def _remove_own_names(segment: Segment, fd: int) -> bool:
    """Remove the names that a segment was given; return whether the one that users know was among them."""
    where, name, leased = segment.where, segment.name, segment.leased
    if name == leased:
        return _unlink(f"{where}/{name}")  # random: nobody else has a file of that name
    if os.fstat(fd).st_nlink != 2:  # else both are still there
        return _remove_names(segment, [name, leased])
    removed = _unlink(f"{where}/{name}")
    _unlink(f"{where}/{leased}")
    return removed


def _unlink(path: str) -> bool:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True


def _remove_names(segment: Segment, names: list[str]) -> bool:
    """Remove those names that are still the segment's; return whether the one that users know was among them."""
    removed = False
    for name in names:
        path = f"{segment.where}/{name}"
        with suppress(FileNotFoundError):
            if _identity(os.lstat(path)) == segment.identity and _unlink(path):
                removed = removed or name == segment.name
    return removed


def abandon(segment: Segment) -> None:
    """Undo what was done to make a segment, or to attach to one; the exception that led here is the one to report."""
    live.pop(id(segment), None)
    if segment.created and segment.name and segment.name != segment.leased and made_here(segment.leased):
        with suppress(OSError):
            _remove_names(segment, [segment.name])
    undo(segment, segment.where)
    if segment.forked:
        _close_second(segment.forked)


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino
