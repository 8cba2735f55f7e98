"""The killed workers: a buffer that processes share, whose program is killed with all of them, as SharedMemory and as managed_shm."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from multiprocessing.shared_memory import SharedMemory
from typing import Any

from safemem import managed_shm
from safemem.demo.measure import Counted
from safemem.demo.mortal import kill_when_told, tell
from safemem.demo.row import Answer, Job, Row, Way, more_than
from safemem.resources._system import space

__all__ = ["ROW"]

WORKERS = 3
PATIENCE = 30.0
DIRECTORY = "/dev/shm"  # noqa: S108 - where the system keeps shared memory

_LEFT = "segments left"
_BYTES = "bytes outside"

made: list[str] = []


class Segment(Counted):
    """One segment that the program made, as far as this process knows."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


def create_usual(size: int) -> Any:
    """Make shared memory as one does."""
    return SharedMemory(create=True, size=size)


def create_safemem(size: int) -> Any:
    """Make shared memory that goes in every end."""
    return managed_shm(size)


def program(create: Callable[[int], Any]) -> None:
    """Put the text where all can see it, let each worker count the lines of its part, and tell the sum."""
    text = sys.stdin.buffer.read()
    shared = create(len(text) + 1)
    shared.buf[: len(text)] = text
    part = -(-len(text) // WORKERS)
    counted = [create(8) for _ in range(WORKERS)]
    ready, done = os.pipe()
    for number in range(WORKERS):
        if sys.platform != "win32" and os.fork() == 0:
            lines = bytes(shared.buf[number * part : min((number + 1) * part, len(text))]).count(b"\n")
            counted[number].buf[:8] = lines.to_bytes(8, "little")
            os.write(done, b".")
            tell_nothing()
    for _ in range(WORKERS):
        os.read(ready, 1)
    lines = sum(int.from_bytes(each.buf[:8], "little") for each in counted)
    tell({"names": [each.name for each in (shared, *counted)], "lines": lines})


def tell_nothing() -> None:
    """Wait for the end."""
    while True:
        time.sleep(60)


def count_lines(job: Job, way: str) -> Answer:
    """Count the lines of the files in a program of several processes, all of which are killed when they have done it."""
    corpus = job.corpus
    text = b"".join(corpus.read(path) for path in job.each(corpus.sample(4_000_000)))
    said = kill_when_told("safemem.demo.killed_workers", way, given=text)
    made.extend(Segment(name).name for name in said["names"])
    return {"lines": said["lines"], "bytes": len(text)}


def look() -> Mapping[str, int]:
    """Find what is left in the system, once the guardian has had time; what nobody removes stays for longer than that."""
    limit = time.monotonic() + PATIENCE
    while (left := [name for name in made if os.path.exists(f"{DIRECTORY}/{name}")]) and _ours(left) and time.monotonic() < limit:
        time.sleep(0.01)
    return {_LEFT: len(left), _BYTES: sum(space(os.stat(f"{DIRECTORY}/{name}")) for name in left)}


def _paths() -> list[str]:
    return [f"{DIRECTORY}/{name}" for name in made]


def _ours(names: list[str]) -> bool:
    return any(name.startswith("sm1_") for name in names)


def forget() -> None:
    """Remove what the usual way left."""
    for path in _paths():
        if os.path.exists(path):
            os.unlink(path)
    made.clear()


ROW = Row(
    name="killed_workers",
    title="The workers that share a buffer, and are killed",
    counts=Segment,
    unit="segments",
    usual=Way("SharedMemory(create=True)", lambda job: count_lines(job, "usual"), forget),
    safemem=Way("managed_shm(size)", lambda job: count_lines(job, "safemem"), forget),
    promise="no segment after its program was killed",
    kind="shm",
    outside=lambda: [path for path in _paths() if os.path.exists(path)],
    excess=lambda left: more_than(0, left.facts.get(_LEFT, 0), _LEFT),
    headline=lambda left: f"{left.facts.get(_LEFT, 0):,} of {left.built:,} segments",
    look=look,
)

if __name__ == "__main__":
    program(create_usual if sys.argv[1] == "usual" else create_safemem)
