"""The container that is killed: a cache that fits until the application needs its part, against one that gives way."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import safemem
from safemem.demo.container import COUNT, LIMIT, REPORT, REQUESTS
from safemem.demo.measure import Counted
from safemem.demo.row import Answer, Job, Left, Row, Way, more_than

_FILES = 40

# Where control groups are found, which files they have for the limit, for swapping and for the processes in them.
_GROUPS = (
    (Path("/sys/fs/cgroup"), "memory.max", "memory.swap.max"),
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.swappiness"),
)

_ENTER = """
import os, runpy, sys
procs, space = sys.argv.pop(1), int(sys.argv.pop(1))
if procs:
    with open(procs, "w") as file:
        file.write("0")
elif space:
    import resource
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + space, resource.RLIM_INFINITY))
    os.environ["SAFEMEM_DEMO_RESERVE"] = str(now + 80 * (1 << 20))
runpy.run_module("safemem.demo.container", run_name="__main__")
"""


class Container(Counted):
    """One start of the service."""

    __slots__ = ()


@contextmanager
def control_group(nbytes: int = LIMIT) -> Generator[str]:
    """Make a control group that may use so many bytes; hand out the file that takes processes in, "" where none can be made."""
    folder = None
    for root, limit, swap in _GROUPS:
        if not (root / limit).exists() and not (root / "cgroup.controllers").exists():
            continue
        made = root / f"safemem-demo-{os.getpid()}-{time.monotonic_ns()}"
        try:
            made.mkdir()
            folder = made
            (made / limit).write_text(str(nbytes), encoding="ascii")
            if (made / swap).exists():
                (made / swap).write_text("0", encoding="ascii")
            break
        except OSError:  # not ours to make
            if folder is not None:
                folder.rmdir()
                folder = None
    try:
        yield "" if folder is None else str(folder / "cgroup.procs")
    finally:
        _remove(folder)


def _remove(folder: Path | None) -> None:
    for _ in range(100):
        try:
            if folder is not None:
                folder.rmdir()
        except OSError:  # the last process is on its way out
            time.sleep(0.02)
        else:
            return


def run_service(job: Job, kind: str) -> Answer:
    """Start the service in a container, and start it again when it was killed, until all is served."""
    done: list[str] = []
    paths = b"\0".join(os.fsencode(os.path.join(job.corpus.root, path)) for path in job.corpus.paths[:_FILES])  # whatever they are called
    environment = {**os.environ, "PYTHONPATH": str(Path(safemem.__file__).parent.parent)}
    chunks = min(4, max(2, len(job.corpus.paths) // 50))
    killed = 0
    with control_group() as procs:
        space = 0 if procs or sys.platform != "linux" else LIMIT
        for _ in job.each(range(2 * chunks)):
            Container()
            command = [sys.executable, "-c", _ENTER, procs, str(space), kind, str(len(done)), str(chunks)]
            ended = subprocess.run(  # noqa: S603 - our own module
                command, input=paths, capture_output=True, env=environment, timeout=120, check=False
            )
            done += ended.stdout.decode("ascii", "replace").split()
            if len(done) >= chunks:
                break
            killed += 1
    job.facts["killed"] = killed
    job.facts["limited"] = int(bool(procs or space))
    return {"requests served": REQUESTS * len(done), "digest": sha256("".join(done).encode()).hexdigest()}


def in_words(left: Left) -> str:
    """Say how often the container was killed."""
    if not left.facts.get("limited", True):
        return "no limit can be set here"
    return f"killed {left.facts.get('killed', 0)} of {left.built} times"


ROW = Row(
    name="short_of_memory",
    title="The container that is killed",
    counts=Container,
    unit="containers",
    usual=Way(f"@lru_cache(maxsize={COUNT})", lambda job: run_service(job, "usual")),
    safemem=Way("@cached(budget=...)", lambda job: run_service(job, "safemem")),
    promise=f"never killed, with a report of {REPORT} MB in a container of {LIMIT >> 20} MiB",
    trouble="nothing stays behind: the process that held too much is dead",
    excess=lambda left: more_than(0, left.facts.get("killed", 0), "times killed"),
    headline=in_words,
)
