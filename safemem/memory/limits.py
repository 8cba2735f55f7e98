"""What bounds the memory of this process, and how much of it is in use: control groups, the machine, resource limits."""

from __future__ import annotations

import importlib
import os
import posixpath
from functools import partial
from glob import escape, glob
from typing import TYPE_CHECKING, Any, Final

from safemem.memory.kernel import KernelFile, number_after, read_bytes, read_text
from safemem.memory.systems import machine_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["PAGE", "Limit", "find_limit", "find_limits", "groups"]

# The old interface says "no limit" with the largest multiple of the page size that it can hold.
_NO_LIMIT: Final = 1 << 60
_MACHINE: Final = "the memory of the machine"
PAGE: Final = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


class Limit:
    """One bound on the memory of this process.

    Attributes:
        bytes: the bound, as it was when it was found.
        source: in words, what sets it.
        kind: "cgroup", "machine" or "rlimit".
        path: the file of a control group that says so, else "".
    """

    __slots__ = ("_used", "bytes", "kind", "path", "source")

    def __init__(self, size: int, source: str, kind: str, used: Callable[[], int | None], path: str = "") -> None:
        self.bytes = size
        self.source = source
        self.kind = kind
        self.path = path
        self._used = used

    @property
    def used(self) -> int | None:
        """What counts against it now, in bytes; None if that cannot be found out. Read anew each time, from open descriptors, in some microseconds.

        For a control group: all that is charged to it, by whichever process, but what the kernel drops before it kills anybody: the page cache, mapped
        files, reclaimable slab, what is left of huge pages. Shared memory and tmpfs count, for without swap nothing can drop them. For the machine:
        all that is not available. For a resource limit: what the kernel compares with it, which is address space and not memory.
        """
        return self._used()

    @property
    def level(self) -> float | None:
        """How much of it is in use: 0 to 1, and beyond where the bound is soft; None if that cannot be found out."""
        used = self.used
        return None if used is None else used / max(self.bytes, 1)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.bytes}, {self.source!r})"


def find_limit(root: str = "/") -> Limit | None:
    """Return the lowest bound on the memory of this process, None if none can be found; takes about a millisecond.

    >>> limit = find_limit()
    >>> limit is None or limit.bytes > 1_000_000
    True
    """
    return min(find_limits(root), key=lambda limit: limit.bytes, default=None)


def find_limits(root: str = "/") -> list[Limit]:
    """Return every bound on the memory of this process: of its control groups up the tree, of the machine, and its resource limits."""
    return [*_of_groups(root), *_of_the_machine(root), *_of_the_process(root)]


# -- control groups ---------------------------------------------------------------------------------------------------------------------------


def _of_groups(root: str) -> Iterator[Limit]:
    old: list[tuple[str, str]] = []
    for version, folder, name in groups(root):
        yield from (_of_group_v2 if version == 2 else _of_group_v1)(folder, name)
        if version == 1:
            old.append((folder, name))
    if old:
        yield from _above_group_v1(*old[-1])


def groups(root: str = "/") -> Iterator[tuple[int, str, str]]:
    """Return the control groups that this process is in, each with the version of its interface, its directory and its name, the innermost first."""
    for line in read_text(_below(root, "/proc/self/cgroup")).splitlines():
        _, _, rest = line.partition(":")
        controllers, colon, path = rest.partition(":")
        if colon and not controllers:
            yield from ((2, *group) for group in _upwards(root, "cgroup2", path))
        elif "memory" in controllers.split(","):
            yield from ((1, *group) for group in _upwards(root, "cgroup", path))


def _upwards(root: str, kind: str, path: str) -> Iterator[tuple[str, str]]:
    """Go from a group up as far as can be seen; a container often sees only its own, as the topmost."""
    for top, mounted in _mounts(root, kind):
        inside: str = _inside(path, mounted) or _search(top, path, mounted) or "."
        while True:
            yield posixpath.normpath(posixpath.join(top, inside)), posixpath.normpath(posixpath.join(mounted, inside))
            if inside == ".":
                break
            inside = posixpath.dirname(inside) or "."


def _inside(path: str, mounted: str) -> str | None:
    """Return where a group lies below the topmost that is mounted, None if it does not; both paths begin at the root of the namespace."""
    start = mounted.rstrip("/") + "/"
    if not f"{path}/".startswith(start) or ".." in path[len(start) :].split("/"):
        return None
    return path[len(start) :] or "."


def _search(top: str, path: str, mounted: str) -> str | None:
    """Look for the group of this process where what is mounted begins above the root of the namespace: by names that it does not tell.

    So it is in a sandbox that has a namespace of its own but the mounts of the host: `/proc/self/cgroup` says `/`, the mount `/../..`.
    """
    above, steps = mounted.count("/.."), path.split("/")[1:]
    unknown = above - steps.count("..")
    if mounted != "/.." * above or unknown <= 0:
        return None
    own, names = str(os.getpid()), [escape(name) for name in steps if name not in {"", ".."}]
    for file in glob(posixpath.join(*"*" * unknown, *names, "cgroup.procs"), root_dir=top):
        if own in read_text(posixpath.join(top, file)).split():
            return posixpath.dirname(file)
    return None


def _mounts(root: str, kind: str) -> Iterator[tuple[str, str]]:
    """Where control groups are mounted, and which group is the topmost there."""
    found = False
    for line in read_text(_below(root, "/proc/self/mountinfo")).splitlines():
        before, dash, after = line.partition(" - ")
        fields, kinds = before.split(" "), after.split(" ")
        if dash and kinds[0] == kind and len(fields) > 5 and (kind == "cgroup2" or "memory" in kinds[-1].split(",")):
            found = True
            yield _below(root, _plain(fields[4])), _plain(fields[3])
    if not found:
        yield _below(root, "/sys/fs/cgroup" if kind == "cgroup2" else "/sys/fs/cgroup/memory"), "/"


def _plain(field: str) -> str:
    """Return a path as it is: the kernel writes blanks as octal numbers."""
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(code, character)
    return field


def _of_group_v2(folder: str, name: str) -> Iterator[Limit]:
    current, stat = KernelFile(f"{folder}/memory.current"), KernelFile(f"{folder}/memory.stat")

    def used() -> int | None:
        total = current.number()
        if total is None:
            return None
        return max(total - _droppable(stat.read(), b"", b"anon "), 0)

    for file in ("memory.max", "memory.high"):  # beyond memory.high a process is slowed down until it all but stands still
        path = f"{folder}/{file}"
        size = KernelFile(path).number()
        if size is not None and size < _NO_LIMIT:
            yield Limit(size, f"{file} of control group {name} (cgroup v2)", "cgroup", used, path)


def _of_group_v1(folder: str, name: str) -> Iterator[Limit]:
    path = f"{folder}/memory.limit_in_bytes"
    size = KernelFile(path).number()
    if size is not None and size < _NO_LIMIT:
        yield Limit(size, f"memory.limit_in_bytes of control group {name} (cgroup v1)", "cgroup", _usage_v1(folder), path)


def _above_group_v1(folder: str, name: str) -> Iterator[Limit]:
    """Look for what a group sets that is out of sight above the topmost one: that tells of it, but not of its usage."""
    path = f"{folder}/memory.stat"
    size = number_after(b"hierarchical_memory_limit ", read_bytes(path))
    own = KernelFile(f"{folder}/memory.limit_in_bytes").number()
    if size is not None and size < min(own or _NO_LIMIT, _NO_LIMIT):
        yield Limit(size, f"a group above control group {name} (cgroup v1)", "cgroup", _usage_v1(folder), path)


def _usage_v1(folder: str) -> Callable[[], int | None]:
    usage, stat = KernelFile(f"{folder}/memory.usage_in_bytes"), KernelFile(f"{folder}/memory.stat")

    def used() -> int | None:
        total = usage.number()
        if total is None:
            return None
        text = stat.read()
        prefix = b"total_" if b"\ntotal_cache " in text else b""  # with the groups below
        return max(total - _droppable(text, prefix, b"rss "), 0)

    return used


def _droppable(text: bytes, prefix: bytes, mapped: bytes) -> int:
    """Return what the kernel drops before it kills anybody, in bytes, by what memory.stat of a group says.

    That is also what is left of huge pages of which a process has given back a part, as `malloc_trim` does: they are charged in full until
    they are split, which the kernel does when memory is short. Until then they are on the lists of pages without a file, but not mapped.
    """
    files = sum(number_after(prefix + name, text) or 0 for name in (b"inactive_file ", b"active_file ", b"slab_reclaimable "))
    listed = [number_after(prefix + name, text) for name in (b"inactive_anon ", b"active_anon ")]
    held = [number_after(prefix + name, text) for name in (mapped, b"shmem ")]
    if None in listed or None in held:
        return files
    return files + max(sum(number or 0 for number in listed) - sum(number or 0 for number in held), 0)


# -- the machine and the process --------------------------------------------------------------------------------------------------------------


def _of_the_machine(root: str) -> Iterator[Limit]:
    meminfo = KernelFile(_below(root, "/proc/meminfo"))
    total = number_after(b"MemTotal:", meminfo.read())

    def used() -> int | None:
        text = meminfo.read()
        available = number_after(b"MemAvailable:", text)
        return None if available is None or total is None else max(total - available, 0) << 10

    if total is not None:
        yield Limit(total << 10, _MACHINE, "machine", used)
    elif root == "/" and (machine := machine_memory()) is not None:
        yield Limit(machine[0], _MACHINE, "machine", _used_elsewhere)


def _used_elsewhere() -> int | None:
    machine = machine_memory()
    return None if machine is None or machine[1] is None else machine[0] - machine[1]


def _of_the_process(root: str) -> Iterator[Limit]:
    try:
        resource: Any = importlib.import_module("resource")
    except ImportError:  # Windows has none
        return
    statm = KernelFile(_below(root, "/proc/self/statm"))
    for name, field, words in (("RLIMIT_AS", 0, "address space"), ("RLIMIT_DATA", 5, "data")):
        soft = resource.getrlimit(getattr(resource, name))[0] if hasattr(resource, name) else resource.RLIM_INFINITY
        if soft != resource.RLIM_INFINITY:
            yield Limit(soft, f"the limit of this process on its {words} ({name})", "rlimit", partial(_pages, statm, field))


def _pages(statm: KernelFile, field: int) -> int | None:
    fields = statm.read().split()
    return int(fields[field]) * PAGE if len(fields) > field else None


def _below(root: str, path: str) -> str:
    return path if root == "/" else root.rstrip("/") + path
