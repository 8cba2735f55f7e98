"""Processes that make, attach, fork and are killed at random, with sweepers at work: `chaos.py SECONDS SEED`; prints what happened, as JSON.

A worker that holds something looks whether its name is still there, which it must be; a block of a policy "owner" whose owner says that it is about to
close is an exception. What the dead leave goes with their guardian, the next who wants the name, or a sweeper, whoever comes first.
"""

from __future__ import annotations

import json
import mmap
import os
import random
import signal
import sys
import tempfile
import time

from safemem.resources import guardian, sweep
from safemem.resources.lease import owned_names
from safemem.resources.shm import managed_shm
from safemem.resources.temp import managed_tempdir, managed_tempfile

PLACE = "/dev/shm"
WORKERS, SWEEPERS = 4, 2
COUNTS = ["made", "attached", "refused", "forked", "temporary", "swept"]
LONGEST = 60.0
NAMES = [f"safemem-chaos-{policy}-{os.getpid()}-{number}" for policy in ("owner", "last") for number in range(2)]
READY, CLOSING = 1, 2

# It is a family of its own, whatever guardian the tests have.
_parent = guardian._parent
guardian._parent = lambda pid: 0 if str(_parent(pid)) in os.environ.get("SAFEMEM_TEST_TOP", "").split() else _parent(pid)

counters = mmap.mmap(-1, 4096)  # shared with those who are forked


def count(slot: int, what: str) -> None:
    """Note that something was done; each process has numbers of its own, which need no lock."""
    at = 8 * (slot * len(COUNTS) + COUNTS.index(what))
    counters[at : at + 8] = (int.from_bytes(counters[at : at + 8], "little") + 1).to_bytes(8, "little")


def total(what: str) -> int:
    """Return how often something was done by all."""
    places = [8 * (slot * len(COUNTS) + COUNTS.index(what)) for slot in range(WORKERS + SWEEPERS)]
    return sum(int.from_bytes(counters[at : at + 8], "little") for at in places)


def complain(about: str) -> None:
    """Say that a promise was broken."""
    os.write(1, json.dumps(about).encode() + b"\n")


def check(block, policy: str, role: str) -> None:
    """See that the name of a block that this process holds is still its name."""
    identity = block._segment.identity
    try:
        there = os.stat(f"{PLACE}/{block.name}")
    except FileNotFoundError:
        there = None
    closing = policy == "owner" and role != "creator" and block.buf[0] == CLOSING
    if (there is None or (there.st_dev, there.st_ino) != identity) and not closing:
        complain(f"{block.name} was removed while its {role} held it")
    if block.buf[0] not in {READY, CLOSING}:
        complain(f"{block.name} was seen by its {role} before it was ready: {block.buf[0]}")


def fill(view: memoryview) -> None:
    """Take time to fill a block, which nobody can see before it is done."""
    time.sleep(0.0002)
    view[0] = READY


def use_shared(slot: int, chance: random.Random) -> None:
    """Make a block, or attach to one."""
    name = chance.choice(NAMES)
    policy = "owner" if "-owner-" in name else "last"
    try:
        block = managed_shm(4096, name=name, policy=policy, init=fill, guardian=chance.choice(["auto", "off"]))
        role = "creator"
    except FileExistsError:
        try:
            block = managed_shm(name=name, attach=True)
            role = "attacher"
        except FileNotFoundError:  # just gone
            count(slot, "refused")
            return
    count(slot, "made" if role == "creator" else "attached")
    if chance.random() < 0.1:
        fork(slot, block, policy, chance)
    for _ in range(3):
        check(block, policy, role)
        time.sleep(chance.random() * 0.001)
    if role == "creator":
        block.buf[0] = CLOSING if policy == "owner" else READY
    view = block.buf[:] if chance.random() < 0.3 else None
    block.close()
    del view


def fork(slot: int, block, policy: str, chance: random.Random) -> None:
    """Let a child use the block as well, longer or shorter than this process."""
    count(slot, "forked")
    wait, way = chance.random() * 0.004, chance.choice(["close", "exit", "kill"])
    if os.fork() == 0:
        try:
            until = time.monotonic() + wait
            while time.monotonic() < until:
                check(block, policy, "child")
            if way == "close":
                block.close()
            elif way == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(0)


def use_temporary(slot: int, chance: random.Random) -> None:
    """Make a temporary file or directory."""
    made = chance.choice([managed_tempfile, managed_tempdir])(
        prefix=chance.choice([None, "chosen-"]), guardian=chance.choice(["auto", "off"])
    )
    count(slot, "temporary")
    if isinstance(made.path, os.PathLike) and made.path.is_dir():
        (made.path / "file").write_text("x", encoding="utf-8")
    time.sleep(chance.random() * 0.001)
    if not made.path.exists():
        complain(f"{made.path} was removed while it was held")
    made.close()


def work(slot: int, seed: float) -> None:
    """Be a worker, until killed."""
    chance = random.Random(seed)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for grandchildren
    end = time.monotonic() + LONGEST
    while time.monotonic() < end:
        use_temporary(slot, chance) if chance.random() < 0.2 else use_shared(slot, chance)


def sweep_all(slot: int) -> None:
    """Be a sweeper, until killed."""
    while True:
        for each in sweep.sweep():
            count(slot, "swept")
            assert each.path
        sweep.list_resources()
        time.sleep(0.002)


def start(target, *arguments: object) -> int:
    """Fork a process that does that."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            target(*arguments)
            status = 0
        except BaseException as error:  # noqa: BLE001 - whatever it is, it should not be
            import traceback

            complain("".join(traceback.format_exception(error)))
        finally:
            os._exit(status)
    return pid


def run(seconds: float, chance: random.Random) -> int:
    """Start, kill and start again, for so long; return how many were killed."""
    killed = 0
    workers = {slot: start(work, slot, chance.random()) for slot in range(WORKERS)}
    sweepers = {WORKERS + slot: start(sweep_all, WORKERS + slot) for slot in range(SWEEPERS)}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(chance.random() * 0.06)
        everybody = {**workers, **sweepers} if chance.random() < 0.1 else workers
        slot = chance.choice(sorted(everybody))
        os.kill(everybody[slot], signal.SIGKILL)
        os.waitpid(everybody[slot], 0)
        killed += 1
        if slot in workers:
            workers[slot] = start(work, slot, chance.random())
        else:
            sweepers[slot] = start(sweep_all, slot)
    for pid in [*workers.values(), *sweepers.values()]:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return killed + len(workers)


def left() -> list[str]:
    """Return what is there of all this."""
    temporary = tempfile.gettempdir()
    return [name for name in os.listdir(PLACE) if name in NAMES] + [f"{temporary}/{name}" for name in owned_names(temporary)]


def main() -> None:
    """Do it, then see what is left after one sweep that nobody is in the way of."""
    killed = run(float(sys.argv[1]), random.Random(sys.argv[2]))
    limit = time.monotonic() + 10  # grandchildren may still live for a moment
    sweep.sweep()
    while left() and time.monotonic() < limit:
        time.sleep(0.05)
        sweep.sweep()
    print(json.dumps({"killed": killed, **{what: total(what) for what in COUNTS}, "left": left()}))


if __name__ == "__main__":
    main()
