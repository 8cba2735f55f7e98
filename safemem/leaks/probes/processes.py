"""Child processes: nobody waited for them, or they still run; of subprocess, of multiprocessing, and those that only the system knows."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from safemem._graph import type_name
from safemem.leaks.places import place_of_function
from safemem.leaks.probes.descriptors import descriptor_of
from safemem.leaks.probes.heap import loaded
from safemem.leaks.probes.item import Item, Room, attribute, members, text

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["look"]

_FIX_OF_CHILD: Final = "with managed(process, close=...) or run_isolated(func): the child is waited for in every way the block can end"
_FIX_OF_POOL: Final = "with managed(pool, close='terminate'): its processes end with the block"


def look(room: Room) -> Iterator[Item]:
    """Find children and pools, and claim the descriptors and threads that are parts of them."""
    known = _of_helpers(room)
    _claim_closed_queues(room)
    for process in room.heap.of("BaseProcess"):
        _pid_of(process, room)  # joined or not, what leads to it is a part of it
    for pool in room.heap.of("Pool"):
        item = _pool(pool, known, room)
        if item is not None:
            yield item
    yield from _of_subprocess(room, known)
    yield from _of_multiprocessing(room, known)
    for pid in _children():
        if pid not in known:
            yield Item(
                pid, "process", "child process", f"pid {pid}", _FIX_OF_CHILD, holder=f"child process {pid}, which nobody has waited for"
            )


def _of_helpers(room: Room) -> set[int]:
    """Return the processes that Python and this package keep for themselves, and claim what leads to them."""
    found: set[int] = set()
    tracker = loaded("multiprocessing.resource_tracker", "_resource_tracker")
    server = loaded("multiprocessing.forkserver", "_forkserver")
    guardian = loaded("safemem.resources.guardian", "_state")
    for helper, pid, descriptors in (
        (tracker, "_pid", ("_fd",)),
        (server, "_forkserver_pid", ("_forkserver_alive_fd",)),
        (guardian, "", ("connection",)),
    ):
        if helper is not None:
            room.claim(*(attribute(helper, name) for name in descriptors))
            found.add(attribute(helper, pid) or 0)
    return found


def _claim_closed_queues(room: Room) -> None:
    """Claim the pipes of queues that were closed: where nothing was put into one, `close()` leaves them open."""
    for queue in room.heap.of("Queue"):
        if attribute(queue, "_closed") is True:
            room.claim(*(descriptor_of(attribute(queue, end)) for end in ("_reader", "_writer")))


def _pool(pool: Any, known: set[int], room: Room) -> Item | None:
    """Describe a pool of processes, or of threads, that was not closed."""
    workers = members(attribute(pool, "_pool"))
    for member in workers:
        known.add(_pid_of(member, room))
        room.threads.add(id(member))
    for name in ("_worker_handler", "_task_handler", "_result_handler"):
        room.threads.add(id(attribute(pool, name)))
    for name in ("_inqueue", "_outqueue", "_change_notifier"):
        queue = attribute(pool, name)
        for end in ("_reader", "_writer"):
            room.claim(descriptor_of(attribute(queue, end)))
    if not workers or text(attribute(pool, "_state")) != "RUN":
        return None
    kind = "thread" if type_name(pool) == "ThreadPool" else "process"
    return Item(id(pool), kind, f"open {type_name(pool)}", f"{len(workers)} workers", _FIX_OF_POOL, id(pool))


def _pid_of(process: Any, room: Room) -> int:
    popen = attribute(process, "_popen")
    room.claim(attribute(popen, "sentinel"), *_closed_by(attribute(popen, "finalizer")))
    pid = attribute(popen, "pid")
    return pid if type(pid) is int else 0


def _closed_by(finalizer: Any) -> list[Any]:
    """Return the descriptors that a child's finaliser will close; the last of them is known nowhere else."""
    arguments: Any = attribute(finalizer, "_args")
    return [*arguments] if type(arguments) is tuple else members(arguments)


def _of_subprocess(room: Room, known: set[int]) -> Iterator[Item]:
    for child in room.heap.of("Popen"):
        pid = attribute(child, "pid")
        if attribute(child, "returncode") is not None or type(pid) is not int or not attribute(child, "_child_created"):
            continue
        known.add(pid)
        for name in ("stdin", "stdout", "stderr"):
            pipe = attribute(child, name)
            if pipe is not None:
                room.claim(descriptor_of(pipe))
        yield Item(id(child), "process", "child process", f"pid {pid}", _FIX_OF_CHILD, id(child))


def _of_multiprocessing(room: Room, known: set[int]) -> Iterator[Item]:
    children: Any = loaded("multiprocessing.process", "_children")
    for child in members(children):
        pid = _pid_of(child, room)
        if pid in known or attribute(child, "_closed"):
            continue
        known.add(pid)
        where = place_of_function(attribute(child, "_target"))
        yield Item(id(child), "process", "child process", f"pid {pid}", _FIX_OF_CHILD, id(child), where=where)


def _children() -> list[int]:
    """Return the children of this process that the system knows; [] where it does not tell."""
    found: list[int] = []
    if sys.platform == "linux":
        try:
            for task in os.listdir("/proc/self/task"):
                found += map(int, Path(f"/proc/self/task/{task}/children").read_bytes().split())
        except OSError:  # a thread has ended since, or the kernel was built without
            pass
    return found
