"""Open descriptors: files, sockets, pipes, selectors, and the Python object each belongs to; where none can be listed, the objects alone."""

from __future__ import annotations

import io
import os
import re
import socket as sockets
import stat
import sys
from typing import TYPE_CHECKING, Any, Final, cast

from safemem._graph import type_name
from safemem.leaks.probes.heap import loaded
from safemem.leaks.probes.item import Descriptor, Item, Room, attribute, derives
from safemem.leaks.probes.mappings import claim_hidden
from safemem.leaks.words import plain_name

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["descriptor_of", "descriptor_of_selector", "look", "open_descriptors", "survey"]

_FIX_OF_NUMBER: Final = "ResourceScope().callback(os.close, number), or an object that owns it: open(number, ...) in a with statement"

_DIRECTORY: Final = next((path for path in ("/proc/self/fd", "/dev/fd") if os.path.isdir(path)), None)

_FIXES: Final = {
    "file": "with managed_file(...) instead of open(...), or ResourceScope().adopt(file): it is closed in every way the block can end",
    "open end of a pipe": (
        "with managed(connection): it is closed in every way the block can end; a queue, pool or process that it belongs to has a close() of its own"
    ),
    "socket": "with managed(socket): it is closed in every way the block can end",
    "event_loop": "with managed(selector), or asyncio.run(): the selector is closed with the block",
    "shm": "with managed_shm(...): the segment is closed and its name is gone in every way the program can end",
}


def open_descriptors() -> list[Descriptor]:
    """Return what this process has open; [] where the system does not tell (Windows). 10 us, and 3 us for each."""
    if _DIRECTORY is None:
        return []
    found: list[Descriptor] = []
    for name in os.listdir(_DIRECTORY):
        number = int(name) if name.isdigit() else -1
        try:
            there = os.fstat(number)
        except OSError:  # that of the listing itself, or closed since
            continue
        found.append(_describe(number, there))
    return found


def _describe(number: int, there: os.stat_result) -> Descriptor:
    try:
        target = os.readlink(f"/proc/self/fd/{number}") if sys.platform == "linux" else ""
    except OSError:
        target = ""
    kind, noun = _sort(there.st_mode, target)
    return Descriptor(number, kind, noun, target, (there.st_dev, there.st_ino))


def _sort(mode: int, target: str) -> tuple[str, str]:
    if stat.S_ISSOCK(mode):
        return "socket", "open socket"
    if stat.S_ISFIFO(mode):
        return "file", "open end of a pipe"
    if target.startswith(("/dev/shm/", "/memfd:")):
        return "shm", "open shared memory"
    if "[eventpoll]" in target:
        return "event_loop", "open selector"
    if stat.S_ISDIR(mode):
        return "file", "open directory"
    return "file", "open file" if not target.startswith("anon_inode:") else "open descriptor"


def descriptor_of(obj: Any) -> int:
    """Return the descriptor of a file, socket or connection, -1 if it is closed; only code of the interpreter is run."""
    for name, kind in (("fileno", io.FileIO), ("fileno", sockets.socket.__mro__[1])):
        if derives(obj, kind):
            try:
                return int(getattr(kind, name)(obj))
            except (OSError, ValueError):
                return -1
    if _is_stream(obj):
        inner = _inner(obj)
        return -1 if inner is None else descriptor_of(inner)
    handle = attribute(obj, "_handle")
    return handle if type(handle) is int else -1


def survey(room: Room) -> None:
    """List what is open and whose it is, for all probes."""
    room.owners = _owners(room)
    room.open = open_descriptors() or [_unlisted(number, owner) for number, owner in room.owners.items()]


def look(room: Room) -> Iterator[Item]:
    """Find open descriptors that are not parts of something that was found before."""
    claim_hidden(room)
    for each in room.open:
        owner = room.owners.get(each.number)
        if each.number not in room.descriptors and not _is_of_the_interpreter(each, owner):
            yield _item(each, owner)


def _item(each: Descriptor, owner: Any) -> Item:
    holder = "" if owner is not None else f"descriptor {each.number}, which no Python object owns"
    name = each.target if each.target.startswith(("/", "anon_inode")) else _peer(owner)
    key = (each.number, each.kind, each.file)
    group = plain_name(os.path.basename(each.target)) if each.kind == "file" and each.noun == "open file" else each.noun
    fix = _FIXES.get(each.noun, _FIXES[each.kind]) if owner is not None or each.kind != "file" else _FIX_OF_NUMBER
    return Item(key, each.kind, each.noun, name, fix, id(owner) if owner is not None else 0, holder, None, 0, group)


def _unlisted(number: int, owner: Any) -> Descriptor:
    kind = "file" if _is_stream(owner) or type_name(owner) == "FileIO" else "socket"
    return Descriptor(number, kind, f"open {kind}", "", (0, id(owner)))


def _peer(owner: Any) -> str:
    """Say who is at the other end of a socket; asking the kernel runs no code of the object."""
    kind: Any = sockets.socket.__mro__[1]
    if owner is None or not derives(owner, kind):
        return ""
    for ask, words in ((kind.getpeername, "to"), (kind.getsockname, "at")):
        try:
            address: Any = ask(owner)
        except OSError:
            continue
        if address and type(address) is str:
            return f"{words} {address}"
        if type(address) is tuple:
            return f"{words} {':'.join(map(str, cast('tuple[object, ...]', address)[:2]))}"
    return ""


_INTERPRETER: Final = re.compile(r"^/dev/(u?random|tty.*|pts/\d+)$")


def _is_of_the_interpreter(each: Descriptor, owner: object) -> bool:
    """Whether a file is one that Python or a library keeps open for itself."""
    return owner is None and (each.number <= 2 or _INTERPRETER.match(each.target) is not None)


# -- whose descriptors they are ---------------------------------------------------------------------------------------------------------------


def _owners(room: Room) -> dict[int, Any]:
    """Return the outermost object that each descriptor belongs to: of a text file the file, not the buffer in it."""
    outer = {
        id(inner): obj
        for name in ("BufferedReader", "BufferedWriter", "BufferedRandom", "TextIOWrapper")
        for obj in room.heap.of(name)
        if (inner := _inner(obj)) is not None
    }
    found: dict[int, Any] = {}
    for name in ("FileIO", "socket", "_ConnectionBase"):
        for obj in room.heap.of(name):
            number = descriptor_of(obj)
            if number >= 0 and not (name == "FileIO" and _is_borrowed(obj)):
                found[number] = _outermost(obj, outer)
    for selector in room.heap.of("BaseSelector"):
        number = descriptor_of_selector(selector)
        if number >= 0:
            found[number] = selector
    return found


def _is_borrowed(obj: Any) -> bool:
    """Whether a file leaves its descriptor open when it is closed, as those of the standard streams do."""
    return not cast("Any", io.FileIO).closefd.__get__(obj)


def _outermost(obj: Any, outer: dict[int, Any]) -> Any:
    for _ in range(4):
        around = outer.get(id(obj))
        if around is None:
            break
        obj = around
    return obj


def _is_stream(obj: Any) -> bool:
    return any(derives(obj, kind) for kind in _STREAMS)


_STREAMS: Final = (io.TextIOWrapper, io.BufferedReader, io.BufferedWriter, io.BufferedRandom)


def _inner(obj: Any) -> Any:
    """Return what a file object wraps; None if it was detached or never made whole."""
    kind = next(kind for kind in _STREAMS if derives(obj, kind))
    member: Any = vars(kind)["buffer" if kind is io.TextIOWrapper else "raw"]
    try:
        return member.__get__(obj)
    except (AttributeError, ValueError):
        return None


def descriptor_of_selector(selector: Any) -> int:
    """Return the descriptor of a selector of the standard library, -1 if it is closed or has none."""
    inner = attribute(selector, "_selector")
    for name in ("epoll", "kqueue", "devpoll"):
        kind = loaded("select", name)
        if kind is not None and type(inner) is kind:
            try:
                return int(kind.fileno(inner))
            except ValueError:
                return -1
    return -1
