"""Leases: whoever uses a named resource holds a shared `flock` on its inode, and only the holder of the exclusive one removes.

The kernel drops a lock when the last copy of the descriptor is gone, however a process ends; so a resource nobody has a lock on is an orphan, and
there is no pid, header or registry that could be wrong. Boost.Interprocess (`remove_if_can_lock_file`) and systemd-tmpfiles use the same rule.

A resource of ours has a name made by `new_name()`: `sm1_<uid>_<family>_<8 hex>`, then what the caller likes. One whose name the user chose has such
a name as well, a second hard link to the same inode, by which a sweep knows it for ours. The order of steps keeps that true at every moment: the
lease name is made first and removed last.

A lock belongs to the open file, which a forked child shares: who may share one never unlocks or upgrades it, but closes it and asks with a fresh
one, as `reclaim()` does; `reclaim_own()` is for those who surely do not. Nothing here imports the rest of the package: the guardian, a process of its own, runs this alone.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from safemem.resources._system import fcntl, geteuid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "LeaseName",
    "Made",
    "check_system",
    "create_directory",
    "create_file",
    "family",
    "hold",
    "is_held",
    "link",
    "made_here",
    "make_directory",
    "make_file",
    "names_of",
    "new_name",
    "owned_names",
    "parse_name",
    "reclaim",
    "reclaim_own",
    "undo",
]

TIMEOUT: Final = 5.0  # seconds; a sweeper holds an exclusive lock for microseconds, unless it was stopped just then

_NAME: Final = re.compile(r"sm1_(?P<uid>\d+)_(?P<family>[0-9a-f]{10})_[0-9a-f]{8}(?![0-9A-Za-z])")
_BUSY: Final = frozenset({errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES})
_NOT_OURS: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES, errno.EPERM, errno.ENXIO})  # gone, a link, another's
_OPEN: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_CREATE: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | _OPEN
_TRIES: Final = 100

_family = (0, "")  # the process, and the digits of its names
_prefix = (0, 0, "")  # the process, its user, and what its names begin with


class LeaseName(NamedTuple):
    """What a name of ours says."""

    uid: int
    family: str


def check_system(what: str) -> None:
    """Raise NotImplementedError where there is no `flock`: without it nobody can know whether a resource is still in use.

    >>> check_system("managed_shm()")
    """
    if sys.platform == "win32":
        msg = f"{what} needs flock(), which Windows does not have"
        raise NotImplementedError(msg)


def family() -> str:
    """Return the ten hexadecimal digits that all names made by this process have in common; a forked child has others.

    >>> len(family()), family() == family()
    (10, True)
    """
    global _family  # noqa: PLW0603 - made when first asked for: importing reads no random numbers
    process, digits = _family
    if process != os.getpid():
        process, digits = _family = os.getpid(), os.urandom(5).hex()
    return digits


def new_name(tail: str = "") -> str:
    """Return a new name; `tail`, if any, must not start with a letter or digit.

    >>> parse_name(new_name("-report.csv")) == LeaseName(os.geteuid(), family())
    True
    """
    global _prefix  # noqa: PLW0603 - as above
    process, uid, prefix = _prefix
    if process != os.getpid() or uid != geteuid():
        process, uid = os.getpid(), geteuid()
        prefix = f"sm1_{uid}_{family()}_"
        _prefix = process, uid, prefix
    return f"{prefix}{os.urandom(4).hex()}{tail}"


def made_here(name: str) -> bool:
    """Whether it was this very process that made a name, and not the one it was forked from.

    If a signal handler forks in the middle of something, the child comes back to the middle of it, and what was made there is the parent's.

    >>> made_here(new_name())
    True
    """
    process, digits = _family
    return process == os.getpid() and f"_{digits}_" in name


def parse_name(name: str) -> LeaseName | None:
    """Return what a name says, or None if it is not one of ours.

    >>> parse_name("sm1_1000_0123456789_89abcdef")
    LeaseName(uid=1000, family='0123456789')
    >>> parse_name("psm_0a1b2c3d") is None
    True
    """
    found = _NAME.match(name)
    return None if found is None else LeaseName(int(found["uid"]), found["family"])


def owned_names(directory: str) -> Iterator[str]:
    """Yield the names in a directory that are ours and this user's; one that is gone, or not to be read by this user, has none.

    Raises:
        OSError: it cannot be read now: no descriptor could be had, no memory.
    """
    uid = geteuid()
    try:
        names = os.listdir(directory)
    except OSError as error:
        if error.errno in _NOT_OURS:
            return
        raise
    for name in names:
        found = parse_name(name)
        if found is not None and found.uid == uid:
            yield name


def create_file(directory: str, mode: int = 0o600, tail: str = "") -> tuple[int, str]:
    """Make an empty file under a new name; return a descriptor, open for reading and writing, that holds its lease, and the name.

    Closing the descriptor, and all copies of it that forked children have, gives the lease up.

    Raises:
        OSError: as `os.open()`; nothing is left then.
    """
    made = Made()
    try:
        make_file(made, directory, mode, tail)
    except BaseException:
        undo(made, directory)
        raise
    return made.fd, made.leased


class Made:
    """What was made so far."""

    __slots__ = ("fd", "leased")

    def __init__(self) -> None:
        self.fd = -1
        self.leased = ""


def make_file(made: Made, directory: str, mode: int = 0o600, tail: str = "") -> os.stat_result:
    """Do what `create_file()` does; return what the file is.

    Each step is noted in `made` at once. Whoever calls this undoes what was made if an exception comes out, which a signal may raise at any time.
    """
    for _ in range(_TRIES):
        made.leased = new_name(tail)
        path = f"{directory}/{made.leased}"
        try:
            made.fd = os.open(path, _CREATE, mode)
        except FileExistsError:
            made.leased = ""
            continue
        try:
            return hold(made.fd)
        except FileNotFoundError:  # a sweeper was faster
            fd, made.fd = made.fd, -1
            os.close(fd)
        except OSError as error:
            error.filename = path  # of which file system it is that there are no locks
            raise
    raise FileExistsError(errno.EEXIST, "no free name found", directory)


def undo(made: Made, directory: str, remove: Callable[[str], None] = os.unlink) -> None:
    """Remove what was made, unless it is the parent's; the exception that led here is the one to report."""
    if made.leased and made_here(made.leased):
        with suppress(OSError):
            remove(f"{directory}/{made.leased}")
    fd, made.fd = made.fd, -1
    if fd >= 0:
        with suppress(OSError):
            os.close(fd)


def create_directory(directory: str, mode: int = 0o700, tail: str = "") -> tuple[int, str]:
    """Make an empty directory under a new name; return a descriptor that holds its lease, and the name.

    Raises:
        OSError: as `os.mkdir()`; nothing is left then.
    """
    made = Made()
    try:
        make_directory(made, directory, mode, tail)
    except BaseException:
        undo(made, directory, os.rmdir)
        raise
    return made.fd, made.leased


def make_directory(made: Made, directory: str, mode: int = 0o700, tail: str = "") -> None:
    """Do what `create_directory()` does, as `make_file()` does it for files."""
    for _ in range(_TRIES):
        made.leased = new_name(tail)
        path = f"{directory}/{made.leased}"
        try:
            os.mkdir(path, mode)
        except FileExistsError:
            made.leased = ""
            continue
        try:
            made.fd = os.open(path, os.O_RDONLY | _OPEN)
            if _same(hold(made.fd), path):  # some file systems count no links of directories
                return
        except FileNotFoundError:
            pass
        except OSError as error:
            error.filename = path  # of which file system it is that there are no locks
            raise
        fd, made.fd = made.fd, -1  # a sweeper was faster
        if fd >= 0:
            os.close(fd)
    raise FileExistsError(errno.EEXIST, "no free name found", directory)


def hold(fd: int, *, timeout: float = TIMEOUT) -> os.stat_result:
    """Take a share in the lease of an open file or directory; it lasts until all copies of the descriptor are closed. Return what it is.

    Raises:
        FileNotFoundError: it has no name any more.
        TimeoutError: somebody held it exclusively for `timeout` seconds.
        OSError: as `fcntl.flock()`.
    """
    if not _lock(fd, fcntl.LOCK_SH):
        deadline = time.monotonic() + timeout
        while not _lock(fd, fcntl.LOCK_SH):
            if time.monotonic() > deadline:
                raise TimeoutError(errno.ETIMEDOUT, f"held exclusively by another process for {timeout} s")
            time.sleep(0.001)
    found = os.fstat(fd)
    if found.st_nlink == 0:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    return found


def link(directory: str, name: str, chosen: str) -> None:
    """Give a leased file a second name, one that a user chose; an orphan that has it is removed first.

    Raises:
        FileExistsError: the name is in use.
        OSError: as `os.link()`.
    """
    source, target = f"{directory}/{name}", f"{directory}/{chosen}"
    try:
        os.link(source, target, follow_symlinks=False)
    except FileExistsError:
        if not reclaim(directory, chosen):
            raise
        os.link(source, target, follow_symlinks=False)


def names_of(directory: str, inode: int) -> list[str]:
    """Return all names that an inode has in a directory, those that users chose first: the order in which they are to be removed."""
    with os.scandir(directory) as entries:
        names = [entry.name for entry in entries if entry.inode() == inode]
    return sorted(names, key=lambda name: (parse_name(name) is not None, name))


def is_held(directory: str, name: str) -> bool | None:
    """Return whether anybody, this process included, uses a resource; None if it is gone or not this user's.

    Raises:
        OSError: no descriptor could be had, or there are no locks.
    """
    try:
        fd = _open_for_lock(os.path.join(directory, name))
    except OSError as error:
        if error.errno in _NOT_OURS:
            return None
        raise
    try:
        return None if os.fstat(fd).st_uid != geteuid() else not _lock(fd, fcntl.LOCK_EX)
    finally:
        os.close(fd)


def reclaim(directory: str, name: str) -> bool:
    """Remove a file, or a directory with all that is in it, under all its names, if it is ours and nobody uses it; return whether that was done.

    This is the only thing that removes. It takes the exclusive lock with a descriptor of its own, so that uses in this very process, and in
    forked children, count as well. Nothing is done to what belongs to other users, to what is not ours by name, to what is gone. Costs about 5 us
    where somebody still uses it.

    Raises:
        OSError: it is an orphan but could not be removed, or no descriptor could be had.
    """
    try:
        fd = _open_for_lock(f"{directory}/{name}")
    except OSError as error:
        if error.errno in _NOT_OURS:
            return False
        raise
    try:
        if not _lock(fd, fcntl.LOCK_EX):
            return False
        return _remove(fd, directory, name)
    finally:
        os.close(fd)


def reclaim_own(fd: int, directory: str, name: str) -> bool:
    """Remove a file as `reclaim()` does, asked by the descriptor that has been the caller's share in its lease, and gives that up in any case.

    For open files that no forked child has: with theirs their share would go, too. Cheaper than closing it and then asking, and it does not take
    a descriptor that a starting subprocess is about to close for a use. Linux only: where a lock that cannot be made exclusive is kept until
    the descriptor is closed, two who leave at once could both leave it to the other.
    """
    if not _lock(fd, fcntl.LOCK_EX):  # which has cost the shared one
        return False
    removed = False
    try:
        removed = _remove(fd, directory, name)
    finally:
        if not removed:  # a mapping may keep the open file
            fcntl.flock(fd, fcntl.LOCK_UN)
    return removed


def _remove(fd: int, directory: str, name: str) -> bool:
    """Remove what is exclusively locked, if that name still leads to it and it is ours."""
    found = os.fstat(fd)
    path = f"{directory}/{name}"
    if found.st_uid != geteuid() or not _same(found, path):
        return False
    if stat.S_ISDIR(found.st_mode):
        return _reclaim_directory(path, name)
    return stat.S_ISREG(found.st_mode) and _reclaim_file(directory, name, found)


def _reclaim_file(directory: str, name: str, found: os.stat_result) -> bool:
    names = [name] if found.st_nlink == 1 else names_of(directory, found.st_ino)
    if all(parse_name(each) is None for each in names):
        return False
    for each in names:
        try:
            os.unlink(f"{directory}/{each}")
        except FileNotFoundError:
            pass
    return True


def _reclaim_directory(path: str, name: str) -> bool:
    if parse_name(name) is None:
        return False
    import shutil

    try:
        shutil.rmtree(path)
    except PermissionError:
        for inside, _, _ in os.walk(path):  # each directory is opened for its parent's sake before it is walked
            os.chmod(inside, 0o700)
            for each in os.scandir(inside):
                if each.is_dir(follow_symlinks=False):
                    os.chmod(each.path, 0o700)
        shutil.rmtree(path)
    return True


def _open_for_lock(path: str) -> int:
    return os.open(path, os.O_RDONLY | _OPEN | getattr(os, "O_NOCTTY", 0))


def _lock(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _BUSY:
            return False
        raise
    return True


def _same(found: os.stat_result, path: str) -> bool:
    """Whether a path still leads to an open file."""
    try:
        there = os.lstat(path)
    except FileNotFoundError:
        return False
    return (found.st_ino, found.st_dev) == (there.st_ino, there.st_dev)
