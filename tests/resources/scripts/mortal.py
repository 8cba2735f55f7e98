"""A program that makes shared memory, or attaches to it, and dies in the way it is told: `mortal.py STRUCTURE WAY GUARDIAN`.

It prints a line of JSON for each process that made something, and at last one that says whether something was taken from anybody.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import sys
import time

from safemem.resources import guardian, sweep
from safemem.resources.shm import managed_shm

STRUCTURE, WAY, GUARDIAN = sys.argv[1:4]
PLACE = "/dev/shm"
held = []

# It is a family of its own, whatever guardian the tests have.
_parent = guardian._parent
guardian._parent = lambda pid: 0 if str(_parent(pid)) == os.environ["SAFEMEM_TEST_TOP"] else _parent(pid)

# A program that starts sweeps; here this would hide from the test that others failed to clean up.
sweep._swept.add(PLACE)


def say(**content: object) -> None:
    """Write one line at once, whatever comes next."""
    os.write(1, json.dumps(content).encode() + b"\n")


def make() -> list[str]:
    """Make one segment of each kind that is to be gone; return their names."""
    chosen = f"safemem-test-{os.getpid()}"
    mine = [
        managed_shm(4096, guardian=GUARDIAN),
        managed_shm(4096, name=chosen, guardian=GUARDIAN),
        managed_shm(4096, policy="last", guardian=GUARDIAN),
    ]
    held.extend(mine)
    names = [block.name for block in mine]
    say(made=[*names, mine[1]._segment.leased], pid=os.getpid())
    return names


def attach(names: list[str]) -> None:
    """Use what somebody else made."""
    held.extend(managed_shm(name=name, attach=True) for name in names)
    held[-1].buf[0] = 1


def die() -> None:
    """End as told; returning is the normal end."""
    if WAY == "exception":
        raise RuntimeError("as told")
    if WAY == "sys.exit":
        sys.exit(1)
    if WAY == "os._exit":
        os._exit(0)
    if WAY == "execv":
        os.execv("/bin/true", ["true"])
    if WAY == "abort":
        os.abort()
    if WAY.startswith("SIG"):
        os.kill(os.getpid(), getattr(signal, WAY))
        time.sleep(30)
    if WAY.startswith("group-SIG"):
        os.killpg(0, getattr(signal, WAY.removeprefix("group-")))
        time.sleep(30)


def create_and_die() -> None:
    """What a child does that makes something."""
    make()
    die()


def attach_and_die(names: list[str]) -> None:
    """What a child does that uses what its parent made."""
    attach(names)
    die()


def run_child(method: str, target, *args: object) -> None:
    """Run a child to its end, started by `os.fork()` or in a way of multiprocessing."""
    if method == "os.fork":
        pid = os.fork()
        if pid == 0:
            held.clear() if WAY == "drop" else None
            target(*args)
            sys.exit(0)
        os.waitpid(pid, 0)
    else:
        import multiprocessing

        process = multiprocessing.get_context(method).Process(target=target, args=args)
        process.start()
        process.join()


def guardians() -> list[int]:
    """Return the guardian that this process started."""
    from safemem.resources.lease import family

    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                line = file.read().split(b"\0")
        except OSError:
            continue
        if b"safemem-guardian" in line and family().encode() in line:
            found.append(int(pid))
    return found


def main() -> None:
    """Do what the structure says."""
    kind, _, method = STRUCTURE.partition(":")
    names = []
    if kind == "alone":
        make()
        die()
    elif kind == "no exit handler":
        make()
        from safemem import _finalize

        atexit.unregister(_finalize._run_at_exit)
        for block in held:  # nor do they when modules are torn down
            block._finalizer.detach()
        die()
    elif kind == "guardian killed":
        make()
        (pid,) = guardians()
        os.kill(pid, signal.SIGKILL)
        die()
    elif kind == "child creates":  # before its parent has made anything
        run_child(method, create_and_die)
    elif kind == "both create":
        names = make()
        run_child(method, create_and_die)
    elif kind == "child attaches":
        names = make()
        run_child(method, attach_and_die, names)
    else:
        raise ValueError(STRUCTURE)
    say(lost=[name for name in names if not os.path.exists(f"{PLACE}/{name}")])


if __name__ == "__main__":
    main()
