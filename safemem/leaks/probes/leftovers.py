"""Temporary files and directories, and shared memory, that this program made and that are still there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from safemem.leaks.probes.item import Item, attribute
from safemem.leaks.probes.recording import made
from safemem.leaks.words import plain_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safemem.leaks.probes.item import Room

__all__ = ["item_of", "look"]

_FIXES: Final = {
    "tempfile": "with managed_tempfile() or managed_tempdir(): it is removed in every way the program can end",
    "shm": "with managed_shm(...): its name is gone in every way the program can end",
}
_HOLDERS: Final = {"tempfile": "the directory {}", "shm": "the system's shared memory, {}: nobody unlinked it"}


def look(room: Room) -> Iterator[Item]:
    """Find what was made since an audit began and is still there; of shared memory that was not closed either, this is one leak."""
    files = {each.target: each.number for each in room.open}
    left = {each.path: each for each in made() if os.path.lexists(each.path)}
    owners: dict[str, object] = {}
    for memory in room.heap.of("SharedMemory"):
        name = attribute(memory, "_name")
        if type(name) is str and f"/dev/shm{name}" in left:
            number = attribute(memory, "_fd")
            if type(number) is int and number >= 0:
                room.claim(number)
                owners[f"/dev/shm{name}"] = memory
    for path, each in left.items():
        if path in files:
            owners.setdefault(path, room.owners.get(files[path]))
            room.claim(files[path])
        yield item_of(path, each.kind, each.where, owners.get(path))


def item_of(path: str, kind: str, where: str | None = None, owner: object = None) -> Item:
    """Describe something that is still there, a "tempfile" or a "shm"."""
    directory, name = os.path.split(path)
    noun = "shared memory segment" if kind == "shm" else "temporary directory" if os.path.isdir(path) else "temporary file"
    holder = "" if owner is not None else _HOLDERS[kind].format(directory)
    address = 0 if owner is None else id(owner)
    return Item(path, kind, noun, path, _FIXES[kind], address, holder, where, _size(path), plain_name(name))


def _size(path: str) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0
