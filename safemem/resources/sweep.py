"""Sweeping: what programs left that died too hard to clean up is found by its name, and is an orphan if nobody holds its lease."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from safemem.resources import replacing
from safemem.resources._system import space
from safemem.resources.lease import check_system, is_held, names_of, owned_names, reclaim
from safemem.resources.segment import directory

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Orphan", "Resource", "list_resources", "sweep", "sweep_once"]

_swept: Final[set[str]] = set()  # directories that this process, or the one it was forked from, has swept


class Orphan(NamedTuple):
    """Something that a program left behind and nobody uses.

    >>> Orphan("camera", "/dev/shm/camera", "shm", 4096).kind
    'shm'
    """

    name: str  # as users know it
    path: str
    kind: str  # "shm", "file" or "directory"
    size: int  # bytes that it takes; of a directory, without what is in it


class Resource(NamedTuple):
    """Something named that safemem made for a program of this user.

    >>> Resource("camera", "/dev/shm/camera", "shm", 4096, "alive", (4711,)).holders
    (4711,)
    """

    name: str  # as users know it
    path: str
    kind: str  # "shm", "file" or "directory"
    size: int  # bytes that it takes; of a directory, without what is in it
    state: str  # "alive", or "orphaned" if nobody uses it
    holders: tuple[
        int, ...
    ]  # processes that took a share in its lease, as far as the system tells; forked children of theirs may hold it, too


def sweep(*, dry_run: bool = False, directories: Iterable[str | os.PathLike[str]] = ()) -> list[Orphan]:
    """Remove what dead programs of this user left, and return it; what anybody still uses stays.

    Looks at shared memory and into the directory for temporary files; `directories` are looked into as well, not into those inside of them: name those
    where `managed_file()` replaces files, if programs are killed while they do. Anybody may call it at any time, any number of times at once: what is removed is decided by the kernel's locks, not by age or process numbers, so containers and hosts may share
    directories. Programs do this themselves when they first make something; call it where programs die and are not started again. With `dry_run`
    nothing is removed. About 20 ms for 1000 things in use.

    Raises:
        OSError: one of them could not be removed, or a directory not be read now; the others have been.
        NotImplementedError: the system has no `flock()` (Windows).

    >>> type(sweep(dry_run=True))
    <class 'list'>
    """
    check_system("sweep()")
    found: list[Orphan] = []
    errors: list[OSError] = []
    for where in _places(directories):
        names: list[str] = []
        try:
            names = [*owned_names(where), *_replacements(where)]
        except OSError as error:
            errors.append(error)
        for name in names:
            try:
                _sweep_one(where, name, found, dry_run=dry_run)
            except FileNotFoundError:  # somebody else was faster
                continue
            except OSError as error:
                errors.append(error)
    if errors:
        try:
            raise errors[0]
        finally:
            errors.clear()  # its traceback leads here
    return found


def _sweep_one(where: str, name: str, found: list[Orphan], *, dry_run: bool) -> None:
    if _is_held(where, name) is not False:
        return
    orphan = _describe(where, name)
    if dry_run or (replacing.reclaim(orphan.path) if replacing.is_temporary(name) else reclaim(where, name)):
        found.append(orphan)


def list_resources(*, directories: Iterable[str | os.PathLike[str]] = ()) -> list[Resource]:
    """Return everything of this user's that a `sweep()` would look at, with who holds it.

    What was made with policy "keep" is not among it: it belongs to nobody.

    Raises:
        NotImplementedError: the system has no `flock()` (Windows).

    >>> from safemem.resources.shm import managed_shm
    >>> with managed_shm(4096, name="listed") as shm:
    ...     [(each.kind, each.size, each.state) for each in list_resources() if each.name == "listed"]
    [('shm', 4096, 'alive')]
    """
    check_system("list_resources()")
    holders = _holders()
    found: list[Resource] = []
    for where in _places(directories):
        for name in [*owned_names(where), *_replacements(where)]:
            with suppress(FileNotFoundError):
                held = _is_held(where, name)
                if held is not None:
                    there = os.lstat(os.path.join(where, name))
                    who = holders.get((there.st_dev, there.st_ino), ())
                    found.append(Resource(*_describe(where, name), "alive" if held else "orphaned", tuple(who)))
    return found


def sweep_once(where: str) -> None:
    """Sweep one directory before something is made there for the first time in this process; what cannot be removed is left to others."""
    if where in _swept:
        return
    _swept.add(where)
    with suppress(OSError):
        for name in list(owned_names(where)):
            with suppress(OSError):
                reclaim(where, name)


def _places(more: Iterable[str | os.PathLike[str]]) -> Iterator[str]:
    import tempfile

    yield from dict.fromkeys(os.path.realpath(each) for each in (directory(), tempfile.gettempdir(), *more))


def _replacements(where: str) -> list[str]:
    """Return the names in a directory that new contents of files have until they take the old ones' places."""
    try:
        with os.scandir(where) as entries:
            return [entry.name for entry in entries if replacing.is_temporary(entry.name) and entry.is_file(follow_symlinks=False)]
    except OSError:
        return []


def _is_held(where: str, name: str) -> bool | None:
    try:
        return is_held(where, name)
    except OSError:
        if replacing.is_temporary(name):  # there are no locks in that file system, but files can be replaced: nobody can tell
            return None
        raise


def _describe(where: str, name: str) -> Orphan:
    there = os.lstat(os.path.join(where, name))
    shown = name
    if stat.S_ISREG(there.st_mode) and there.st_nlink > 1:
        shown = next(iter(names_of(where, there.st_ino)), name)
    kind = "directory" if stat.S_ISDIR(there.st_mode) else "shm" if where == os.path.realpath(directory()) else "file"
    return Orphan(shown, os.path.join(where, shown), kind, space(there))


def _holders() -> dict[tuple[int, int], list[int]]:
    """Return, for device and inode, the processes that have a lock; nothing where the system does not tell."""
    found: dict[tuple[int, int], list[int]] = {}
    if sys.platform == "linux":
        with suppress(OSError), open("/proc/locks", encoding="ascii", errors="replace") as table:
            for line in table:
                fields = line.split()
                # 1: FLOCK  ADVISORY  READ 4711 00:1a:12 0 EOF; who waits has an arrow
                if fields[1] == "FLOCK" and int(fields[4]) > 0:
                    major, minor, inode = fields[5].split(":")
                    holders = found.setdefault((os.makedev(int(major, 16), int(minor, 16)), int(inode)), [])
                    if int(fields[4]) not in holders:
                        holders.append(int(fields[4]))
    return found


sweep.__module__ = "safemem"
list_resources.__module__ = "safemem"
Orphan.__module__ = "safemem"
