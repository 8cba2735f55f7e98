"""Memory maps and SQLite connections: they hide their descriptors, and some have none."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Final

from safemem.leaks.probes.heap import loaded
from safemem.leaks.probes.item import Item, Room, attribute

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["claim_hidden", "look"]

_FIX_OF_MMAP: Final = "with managed_mmap(path): the map is closed in every way the block can end, and stays valid under its views"
_FIX_OF_SQLITE: Final = "with managed(connection): leaving `with connection` only commits, it does not close"


def look(room: Room) -> Iterator[Item]:
    """Find maps and connections that are open, and claim the descriptors that can only be theirs."""
    found = [*_maps(room), *_connections(room)]
    yield from found


def _maps(room: Room) -> Iterator[Item]:
    kind: Any = loaded("mmap", "mmap")
    owned = _in_shared_memory(room) | _of_values(room)
    for obj in room.heap.of("mmap"):
        try:
            size = kind.__len__(obj)
        except ValueError:  # closed
            continue
        if id(obj) not in owned:
            yield Item(id(obj), "mmap", "open memory map", "", _FIX_OF_MMAP, id(obj), bytes=size)


def _in_shared_memory(room: Room) -> set[int]:
    return {id(attribute(obj, "_mmap")) for obj in room.heap.of("SharedMemory")}


def _of_values(room: Room) -> set[int]:
    """Return the maps in which multiprocessing has its values and arrays: there is no way to close them."""
    arenas = room.heap.of("Arena")
    room.claim(*(attribute(arena, "fd") for arena in arenas))
    return {id(attribute(arena, "buffer")) for arena in arenas}


def _connections(room: Room) -> Iterator[Item]:
    kind: Any = loaded("sqlite3", "Connection")
    closed: Any = loaded("sqlite3", "ProgrammingError")
    for obj in room.heap.of("Connection"):
        try:
            kind.total_changes.__get__(obj)
        except closed:
            continue
        yield Item(id(obj), "file", "open SQLite connection", "", _FIX_OF_SQLITE, id(obj))


def claim_hidden(room: Room) -> None:
    """Claim the descriptors of files that no Python object owns and that a map or a connection holds."""
    mapped: set[str] = _mapped_files() if room.heap.of("mmap") else set()
    sqlite = bool(room.heap.of("Connection"))
    for each in room.open:
        unowned = each.number not in room.owners and each.noun in {"open file", "open shared memory"}
        if unowned and (each.target in mapped or (sqlite and _opened_without_following(each.number))):
            room.claim(each.number)


def _mapped_files() -> set[str]:
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as file:
            return {line.split(None, 5)[5].rstrip("\n") for line in file if line.count("/")}
    except (OSError, IndexError):
        return set()


def _opened_without_following(number: int) -> bool:
    """Whether a file was opened as SQLite does it and Python does not: with O_NOFOLLOW."""
    if sys.platform == "linux":
        try:
            with open(f"/proc/self/fdinfo/{number}", encoding="ascii") as file:
                flags = next((int(line.split()[1], 8) for line in file if line.startswith("flags:")), 0)
        except (OSError, ValueError):
            return False
        return bool(flags & os.O_NOFOLLOW)
    else:  # noqa: RET505 - for type checkers, which look at one of the two
        return True
