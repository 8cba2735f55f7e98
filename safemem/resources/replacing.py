"""The new content of one file, until it takes the old one's place: nameless where the system can do that, else under a name a sweep knows.

Whoever writes holds a shared `flock` on the new file's inode. One that can be locked exclusively has nobody who writes it: it was left by a
program that was killed, and whoever holds that lock may remove it. No pids, no ages, no list of what was made.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import zlib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from safemem.resources._system import O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, fcntl, geteuid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Replacement", "is_temporary", "reclaim", "sweep_directory"]

# What a killed program may leave next to the file it was about to replace: ".<name>.<number>.safemem~".
SUFFIX: Final = ".safemem~"
LONGEST: Final = 255  # bytes that a name may have almost everywhere
# What a file system that knows no nameless files answers; anything else is an error of the caller's.
UNKNOWN: Final = {errno.EISDIR, errno.EINVAL, errno.ENOENT, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EPERM}
CLOEXEC: Final = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOINHERIT", 0)


class Replacement:
    """A new file in the directory of `target`, open for reading and writing as `fd`, whose owner closes that descriptor.

    `target` is an absolute path whose last part is no symbolic link. With `exclusive` it must not exist, now and when it is published.
    """

    __slots__ = ("close", "exclusive", "fd", "target", "temporary")

    def __init__(self, target: str, *, exclusive: bool) -> None:
        self.target = target
        self.exclusive = exclusive
        self.temporary: str | None = None
        self.close: Callable[[], object] | None = None  # how the owner closes `fd`
        fd = self._open_nameless()
        self.fd = self._open_named() if fd is None else fd

    def _open_nameless(self) -> int | None:
        """Return the descriptor of a file without a name, or None where there is no such thing."""
        if not hasattr(os, "O_TMPFILE"):
            return None
        try:
            # The system applies the umask, or the directory's default ACL, as it does for any new file.
            fd = os.open(os.path.dirname(self.target), os.O_TMPFILE | os.O_RDWR | CLOEXEC, 0o666)
        except OSError as error:
            if error.errno in UNKNOWN:
                return None
            raise
        if not os.path.exists(_by_descriptor(fd)):
            os.close(fd)
            return None
        _share(fd)
        return fd

    def _open_named(self) -> int:
        for name in _names(self.target):
            fd = _create(name)
            if fd is None and reclaim(name):
                fd = _create(name)
            if fd is None:
                continue
            try:
                _share(fd)
                if os.fstat(fd).st_nlink:
                    self.temporary = name
                    return fd
            except BaseException:
                with suppress(OSError):
                    os.unlink(name)
                os.close(fd)
                raise
            os.close(fd)  # a sweep came between the two steps
        raise AssertionError("unreachable")  # pragma: no cover - the names do not end

    def publish(self, *, durable: bool) -> None:
        """Put the new file in the target's place, in one step for all who look; what was written must have left the buffers."""
        if not self.exclusive:
            _copy_metadata(self.target, self.fd)
        if not durable:
            self._publish()
            return
        _sync(self.fd)
        directory = _open_directory(os.path.dirname(self.target))  # before the point of no return
        try:
            self._publish()
            if directory is not None:
                os.fsync(directory)
        finally:
            if directory is not None:
                os.close(directory)

    def _publish(self) -> None:
        if self.temporary is not None:
            self._publish_named(self.temporary)
        elif not self._link(self.target):
            if self.exclusive:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), self.target)
            self._replace_by_nameless()

    def _publish_named(self, temporary: str) -> None:
        if sys.platform == "win32" and self.close is not None:  # where nothing that is open can be renamed
            self.close()
        if self.exclusive:
            if os.link in os.supports_follow_symlinks:
                os.link(temporary, self.target, follow_symlinks=False)
            else:
                os.link(temporary, self.target)
            return  # the other name is removed at the end, as it would be without this one
        os.replace(temporary, self.target)
        self.temporary = None

    def _replace_by_nameless(self) -> None:
        """Only a name can take another's place: for a moment there is one."""
        for name in _names(self.target):
            if self._link(name) or (reclaim(name) and self._link(name)):
                self.temporary = name
                self._publish_named(name)
                return

    def _link(self, name: str) -> bool:
        """Give the nameless file a name; return False if it is taken."""
        try:
            # `src_dir_fd` makes os.link() use linkat() with AT_SYMLINK_FOLLOW: the link in /proc is followed, not linked.
            os.link(_by_descriptor(self.fd), name, src_dir_fd=0, follow_symlinks=True)
        except FileExistsError:
            return False
        return True

    def remove(self) -> None:
        """Remove the name it has beside the target's, if any; before the descriptor is closed, as its lock says whose that name is."""
        temporary, self.temporary = self.temporary, None
        if temporary is not None:
            if sys.platform == "win32" and self.close is not None:  # where nothing that is open can be removed
                self.close()
            with suppress(FileNotFoundError):  # with its directory
                os.unlink(temporary)


def _create(name: str) -> int | None:
    """Make a file and return its descriptor; None if the name is taken, as it may be again at once."""
    try:
        return os.open(name, os.O_CREAT | os.O_EXCL | os.O_RDWR | CLOEXEC, 0o666)
    except FileExistsError:
        return None


def _by_descriptor(fd: int) -> str:
    return f"/proc/self/fd/{fd}"


def _names(target: str) -> Iterator[str]:
    """Yield the names for temporaries of a target: few are ever in use, so each writer clears away what it meets."""
    directory, name = os.path.split(target)
    number = 0
    while True:
        ending = f".{number}{SUFFIX}"
        encoded = os.fsencode(name)
        if 1 + len(encoded) + len(ending) > LONGEST:
            digest = f"{zlib.crc32(encoded):08x}"  # two names that share it take different numbers
            kept = os.fsdecode(encoded[: LONGEST - 2 - len(digest) - len(ending)])
            yield os.path.join(directory, f".{kept}.{digest}{ending}")
        else:
            yield os.path.join(directory, f".{name}{ending}")
        number += 1


def _share(fd: int) -> None:
    """Hold the lock that says it is in use; a file system without locks keeps its left-overs, as nobody can tell there."""
    if sys.platform != "win32":
        with suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_SH)


def reclaim(path: str, *, dry_run: bool = False) -> bool:
    """Remove a temporary if nobody writes it any more; return whether it was (or would be) removed, or is gone."""
    if sys.platform == "win32":  # what is open cannot be removed there
        return _unlink_closed(path, dry_run=dry_run)
    else:  # noqa: RET505 - for type checkers, which look at one of the two
        return _reclaim_locked(path, dry_run=dry_run)


def _reclaim_locked(path: str, *, dry_run: bool) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY | O_NOFOLLOW | O_NONBLOCK | CLOEXEC)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != geteuid():
            return False
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # With the lock held nobody else removes that name, if it still is this file's.
        if not os.path.samestat(found, os.stat(path, follow_symlinks=False)):
            return False
        if not dry_run:
            os.unlink(path)
    except OSError:  # locked by one who writes, taken away by another sweep, or no locks here
        return False
    finally:
        os.close(fd)
    return True


def _unlink_closed(path: str, *, dry_run: bool) -> bool:  # pragma: no cover - Windows
    try:
        if not dry_run:
            os.unlink(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def sweep_directory(directory: str | os.PathLike[str], *, dry_run: bool = False) -> list[Path]:
    """Remove what killed programs left of files that they were replacing in a directory; return the paths.

    What somebody is still writing, what belongs to another user, and what only looks alike is left alone. With `dry_run` nothing is removed.
    """
    path = Path(directory)
    left = [each for each in path.iterdir() if is_temporary(each.name)]
    return [each for each in sorted(left) if os.path.lexists(each) and reclaim(os.fspath(each), dry_run=dry_run)]


def is_temporary(name: str) -> bool:
    """Whether a name is one that only this module gives."""
    parts = name.removesuffix(SUFFIX).rsplit(".", 1)
    return name.startswith(".") and name.endswith(SUFFIX) and len(parts) == 2 and parts[1].isdecimal() and len(parts[0]) > 1


def _copy_metadata(target: str, fd: int) -> None:
    """Give the new file what a careful editor keeps: owner, permissions, extended attributes (access control lists are among them)."""
    try:
        old = os.stat(target)
    except FileNotFoundError:
        return
    if sys.platform != "win32":
        _copy_owner(old, fd)
    if sys.platform == "linux":
        _copy_attributes(target, fd)


def _copy_owner(old: os.stat_result, fd: int) -> None:
    """Give the new file owner and permissions of the old one."""
    mode = stat.S_IMODE(old.st_mode)
    new = os.fstat(fd)
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        _give(fd, old.st_uid, old.st_gid)
        new = os.fstat(fd)
        if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
            mode &= ~(stat.S_ISUID | stat.S_ISGID)  # these speak of an owner that it does not have
        if new.st_gid != old.st_gid:  # what the old group may, this one need not: to it, it is one of the others
            mode = mode & ~stat.S_IRWXG | (mode & stat.S_IRWXO) << 3
    if sys.platform != "win32":
        os.fchmod(fd, mode)


def _give(fd: int, uid: int, gid: int) -> None:
    """Make a file belong to somebody, as far as that is allowed."""
    if sys.platform != "win32":
        try:
            os.fchown(fd, uid, gid)
        except OSError:
            with suppress(OSError):
                os.fchown(fd, -1, gid)


def _copy_attributes(target: str, fd: int) -> None:
    """Copy what may be copied, and take away what the target has not: an access control list that its directory gives to all new files."""
    if sys.platform == "linux":
        kept = _attributes(target)
        for name in _attributes(fd):
            if name not in kept:
                with suppress(OSError):
                    os.removexattr(fd, name)
        for name in kept:
            with suppress(OSError):  # not every one may be set by everybody
                os.setxattr(fd, name, os.getxattr(target, name))


def _attributes(file: str | int) -> list[str]:
    if sys.platform == "linux":
        with suppress(OSError):
            return os.listxattr(file)
    return []


def _sync(fd: int) -> None:
    """Wait until the disk has it; on macOS fsync() alone waits for less."""
    if sys.platform == "darwin":
        with suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
            return
    os.fsync(fd)


def _open_directory(path: str) -> int | None:
    """Open a directory to be synced; Windows has no such thing."""
    return None if sys.platform == "win32" else os.open(path, os.O_RDONLY | O_DIRECTORY | CLOEXEC)
