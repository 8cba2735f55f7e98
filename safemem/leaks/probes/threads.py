"""Threads that are alive, and executors that were not shut down."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from safemem._graph import type_name
from safemem.leaks.places import is_own_code, place_of_function
from safemem.leaks.probes.heap import loaded
from safemem.leaks.probes.item import Item, Room, attribute, members, pairs, text
from safemem.leaks.words import plain_name

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["by_address", "look"]

_FIX_OF_THREAD: Final = "let it end when its owner does: stop and join it (a Timer: cancel it) in close() of a Disposable, or give it to a ResourceScope with managed(...)"
_FIX_OF_EXECUTOR: Final = "with the executor as a context manager, or managed(executor, close='shutdown'): its workers end with the block"


def look(room: Room) -> Iterator[Item]:
    """Find live threads and open executors; an executor's threads and processes are parts of it."""
    for executor in room.heap.of("Executor"):
        item = _executor(executor, room)
        if item is not None:
            yield item
    active: Any = loaded("threading", "_active")
    for ident, thread in pairs(active):
        if id(thread) not in room.threads and type_name(thread) not in _NOBODYS and not _is_ours(thread):
            yield _thread(ident, thread)


# The main thread, and those that Python only learnt of.
_NOBODYS: Final = frozenset({"_MainThread", "_DummyThread"})


def _is_ours(thread: Any) -> bool:
    """Whether the audit itself, or its test runner, runs the thread."""
    return text(attribute(thread, "_name")).startswith(("safemem-monitor", "pytest"))


def _thread(ident: int, thread: Any) -> Item:
    target = attribute(thread, "_target")
    if target is None:
        run = type.__dict__["__dict__"].__get__(type(thread)).get("run")
        target = run
    where = _own(place_of_function(target)) or _runs_at(ident)
    daemon = " daemon" if attribute(thread, "_daemonic") else ""
    name = text(attribute(thread, "_name"))
    return Item(
        (id(thread), ident),
        "thread",
        f"live{daemon} thread",
        name,
        _FIX_OF_THREAD,
        id(thread),
        f"it runs: thread {plain_name(name)}",
        where,
    )


def _own(place: str | None) -> str | None:
    return place if place is not None and is_own_code(place.rpartition(":")[0]) else None


def _runs_at(ident: int) -> str | None:
    """Return the outermost line of their own code that a thread is in."""
    frame = sys._current_frames().get(ident)
    place = None
    while frame is not None:
        if is_own_code(frame.f_code.co_filename):
            place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back
    return place


def _executor(executor: Any, room: Room) -> Item | None:
    threads = members(attribute(executor, "_threads"))
    processes = pairs(attribute(executor, "_processes"))
    manager = attribute(executor, "_executor_manager_thread")
    if manager is not None:
        room.threads.add(id(manager))
    if threads and not attribute(executor, "_shutdown"):
        room.threads.update(map(id, threads))
        return Item(id(executor), "thread", f"open {type_name(executor)}", f"{len(threads)} threads", _FIX_OF_EXECUTOR, id(executor))
    if processes and not attribute(executor, "_shutdown_thread"):
        return Item(id(executor), "process", f"open {type_name(executor)}", f"{len(processes)} processes", _FIX_OF_EXECUTOR, id(executor))
    return None


def by_address() -> dict[int, Any]:
    """Return all live threads by address."""
    active: Any = loaded("threading", "_active")
    return {id(thread): thread for _, thread in pairs(active)}
