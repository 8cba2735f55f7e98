"""Programs that make things, or use them, and die in the way they are told: `mortal.py FILE NUMBER`, a JSON list of them, each a tree of its own.

They are forked from this process, which has imported all there is and made nothing. What a program made, lost or found left goes, a line of JSON
each, into its log. This process prints a line for each program when all processes of its tree have ended.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

from safemem.resources import guardian, lease, sweep
from safemem.resources.shm import managed_shm
from safemem.resources.temp import managed_tempdir, managed_tempfile

PLACE = "/dev/shm"
LIMIT = 60.0
SOFT = ("normal", "exception", "sys.exit", "SIGINT")
held = []

# Each tree is a family of its own, whatever guardian the tests have; it is what is above this process that is not asked.
_parent = guardian._parent
guardian._parent = lambda pid: 0 if str(_parent(pid)) in os.environ["SAFEMEM_TEST_TOP"].split() else _parent(pid)

# A program that starts sweeps; here this would hide from the test that others failed to clean up.
for directory in (PLACE, os.path.realpath(os.environ.get("TMPDIR", "/tmp"))):
    sweep._swept.add(directory)


class Program:
    """A process: the structure it is in, how it is to die, and what of safemem is switched off in it."""

    def __init__(self, spec: dict[str, object], end: tuple[str, str]) -> None:
        self.spec = spec
        self.role, self.method, self.started, self.log = spec["role"], spec["method"], spec["started"], spec["log"]
        self.end = end
        self.way, self.off = end
        if self.off == "exit and guardian":
            os.environ["SAFEMEM_GUARDIAN"] = "off"

    def say(self, **content: object) -> None:
        """Write one line at once, whatever comes next."""
        fd = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC)
        os.write(fd, json.dumps(content).encode() + b"\n")
        os.close(fd)

    def said(self, **wanted: object) -> list[dict[str, object]]:
        """Return the lines with that content."""
        with open(self.log, encoding="utf-8") as file:
            lines = [json.loads(line) for line in file if line.endswith("\n")]
        return [line for line in lines if all(line.get(key) == value for key, value in wanted.items())]

    def wait(self, **wanted: object) -> dict[str, object]:
        """Wait for a line with that content."""
        wait_until(lambda: os.path.exists(self.log) and self.said(**wanted))
        return self.said(**wanted)[0]

    def make(self, who: str) -> None:
        """Make one thing of each kind that is to be gone."""
        by_argument = "off" if self.off == "guardian" else "auto"
        number = os.urandom(8).hex()  # nobody else's: all containers have a process 1
        shm = [
            managed_shm(4096, guardian=by_argument),
            managed_shm(4096, name=f"safemem-test-{number}", guardian=by_argument),
            managed_shm(4096, name=f"safemem-test-last-{number}", policy="last", guardian=by_argument),
        ]
        temp = [
            managed_tempfile(guardian=by_argument),
            managed_tempfile("w", prefix="chosen-", suffix=".txt", encoding="utf-8", guardian=by_argument),
            managed_tempdir(guardian=by_argument),
            managed_tempdir(prefix="chosen-", guardian=by_argument),
        ]
        held.extend([*shm, *temp])
        for directory in temp[2:]:
            (directory.path / "deep").mkdir()
            (directory.path / "deep" / "file").write_text("x", encoding="utf-8")
        paths = [f"{PLACE}/{name}" for block in shm for name in {block.name, block._segment.leased}]
        paths += [str(each.path) for each in temp] + [str(temp[1].path.parent), str(temp[3].path.parent)]
        self.switch_off_exit()
        self.say(who=who, end=self.end, pid=os.getpid(), made=paths, names=[block.name for block in shm])

    def switch_off_exit(self) -> None:
        """Take away what is to run at exit."""
        if self.off in {"exit", "exit and guardian"}:
            for each in held:
                each._finalizer.detach()

    def attach(self) -> None:
        """Use what the parent made."""
        names = self.wait(who="parent")["names"]
        held.extend(managed_shm(name=name, attach=True) for name in names)
        for block in held:
            block.buf[0] = 1
        self.switch_off_exit()
        self.say(who="child", end=self.end, attached=names)

    def use_inherited(self) -> None:
        """Use what the parent had when it forked."""
        for block in held[:3]:
            block.buf[0] = 1
        self.say(who="child", end=self.end, attached=[block.name for block in held[:3]])

    def die(self) -> None:
        """End as told; returning is the normal end."""
        way = self.way
        if self.off == "guardian killed":
            for pid in self.guardians():
                os.kill(pid, signal.SIGKILL)
        if way == "exception":
            raise RuntimeError("as told")
        if way == "sys.exit":
            sys.exit(1)
        if way == "os._exit":
            os._exit(0)
        if way == "execv":
            os.execv("/bin/true", ["true"])
        if way == "abort":
            os.abort()
        if way == "fault":
            import ctypes

            ctypes.string_at(0)
        if way.startswith("SIG"):
            os.kill(os.getpid(), getattr(signal, way))
            time.sleep(LIMIT)
        if way.startswith("group-SIG"):
            if self.role != "alone":  # who starts a process of multiprocessing should not be interrupted in the middle of that
                self.wait(turn=list(self.end))
            os.killpg(0, getattr(signal, way.removeprefix("group-")))
            time.sleep(LIMIT)

    def guardians(self) -> list[int]:
        """Return the guardians that processes of this tree started."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if b"safemem-guardian" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                    if f"SAFEMEM_TEST_TREE={self.log}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                        found.append(int(pid))
            except OSError:
                continue
        return found

    # -- the structures

    def run(self) -> None:
        """Do what the role says."""
        ends = [tuple(end) for end in self.spec["ends"]]
        if self.role == "alone":
            self.make("parent")
            self.die()
        elif self.role == "parent dies":
            self.make("parent")
            self.start(live_on, self.end)
            self.wait(who="child", ready=True)
            self.die()
        elif self.role == "child attaches" and self.started == "before":
            children = [(end, self.start(wait_and_attach, end)) for end in ends]
            self.make("parent")
            for end, join in children:
                self.say(turn=end)
                self.end_and_check(join, *end)
        else:
            if self.started == "after":
                self.make("parent")
            target = {"child creates": create_and_die, "child inherits": inherit_and_die}.get(self.role, attach_and_die)
            for end in ends:
                join = self.start(target, end)
                self.say(turn=end)
                self.end_and_check(join, *end)
            if self.started == "before":
                self.make("parent")

    def start(self, target, end: tuple[str, str]):
        """Start a child, as the method says; return what waits for it."""
        if self.method == "os.fork":
            pid = os.fork()
            if pid == 0:
                target(self.spec, end)
                sys.exit(0)
            return lambda: os.waitpid(pid, 0)
        if self.method == "stranger":
            return subprocess.Popen([sys.executable, __file__, "stranger", json.dumps([self.spec, end])], start_new_session=True).wait
        process = multiprocessing.get_context(self.method).Process(target=target, args=(self.spec, end))
        process.start()
        return process.join

    def end_and_check(self, join, way: str, off: str) -> None:
        """Let a child end; then say whether this process lost anything by that, and what is left of what the child made."""
        join()
        theirs = [path for line in self.said(who="child", end=[way, off]) for path in line.get("made", ())]
        if off in {"", "exit"}:
            wait_until(lambda: not present(theirs))
        elif way not in SOFT or off == "exit and guardian":
            reclaim(theirs)
        mine = [path for line in self.said(who="parent") for path in line["made"]]
        reclaim(mine)
        for block in held[:3]:
            block.buf[1] = 1
        self.say(who="parent", checked=(way, off), made=[], lost=sorted(set(mine) - set(present(mine))), left=present(theirs))


def reclaim(paths: list[str]) -> None:
    """Do what a sweep does, but only with these, which no other test could miss."""
    for path in paths:
        lease.reclaim(*os.path.split(path))


def present(paths: list[str]) -> list[str]:
    """Return those that are still there."""
    return [path for path in paths if os.path.lexists(path)]


def wait_until(condition) -> None:
    """Wait for what another process is to do; for ever, if it does not, is too long."""
    limit, delay = time.monotonic() + LIMIT / 3, 0.002
    while not condition() and time.monotonic() < limit:
        time.sleep(delay)
        delay = min(2 * delay, 0.1)


def create_and_die(spec, end) -> None:
    """What a child does that makes something."""
    held.clear()
    program = Program(spec, end)
    program.make("child")
    program.die()


def attach_and_die(spec, end) -> None:
    """What a child does that uses what its parent made."""
    held.clear()
    program = Program(spec, end)
    program.attach()
    program.die()


def wait_and_attach(spec, end) -> None:
    """The same, in a child that was there before."""
    Program(spec, end).wait(turn=list(end))
    attach_and_die(spec, end)


def inherit_and_die(spec, end) -> None:
    """What a child does that was forked with all that its parent has."""
    program = Program(spec, end)
    program.use_inherited()
    program.die()


def live_on(spec, end) -> None:
    """What a child does that outlives its parent: see that nothing is taken from it, and end."""
    program = Program(spec, end)
    forked = program.method in {"os.fork", "fork"}
    parent = os.getppid() if program.method == "os.fork" else multiprocessing.parent_process().pid
    program.use_inherited() if forked else program.attach()
    program.say(who="child", ready=True)

    def is_dead() -> bool:
        try:
            return Path(f"/proc/{parent}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] in "ZX"
        except OSError:
            return True

    wait_until(is_dead)
    time.sleep(0.1)  # for who would take something
    (line,) = program.said(who="parent")
    mine = line["made"] if forked else [path for path in line["made"] if path.startswith(PLACE)]
    if program.way in SOFT and program.off not in {"exit", "exit and guardian"}:  # the owner has removed what is its own
        mine = [path for path in mine if "-last-" in path]
    for block in held[:3]:
        block.buf[1] = 1
    program.say(who="child", checked=end, lost=sorted(set(mine) - set(present(mine))), left=[])


def start_tree(spec: dict[str, object], streams: tuple[int, int]) -> None:
    """In a forked child: become a program of its own."""
    os.setsid()
    for number, fd in enumerate(streams, 1):
        os.dup2(fd, number)
        os.close(fd)
    os.environ["SAFEMEM_TEST_TREE"] = spec["log"]
    guardian.FIRST_PROCESS = os.getpid()


def run_all(specs: list[dict[str, object]], at_once: int) -> dict[str, object] | None:
    """Run each as a tree of its own, so many at a time; return what one of them, this process now, is to be."""
    running: dict[int, tuple[int, dict[str, object]]] = {}
    poll = select.poll()
    while specs or running:
        if specs and len(running) < at_once:
            spec = specs.pop()
            read, write = os.pipe()  # who has it as its output is alive
            errors = os.open(f"{spec['log']}.errors", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC)
            pid = os.fork()
            if pid == 0:
                for fd in (read, *running):
                    os.close(fd)
                start_tree(spec, (write, errors))
                return spec
            os.close(write)
            os.close(errors)
            running[read] = (pid, spec)
            poll.register(read, select.POLLIN)
            continue
        for fd, _ in poll.poll():
            if not os.read(fd, 1000):
                poll.unregister(fd)
                os.close(fd)
                pid, spec = running.pop(fd)
                status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                print(json.dumps({"log": spec["log"], "status": status}), flush=True)
    return None


if __name__ == "__main__":
    if sys.argv[1] == "stranger":
        attach_and_die(*json.loads(sys.argv[2]))
    elif sys.argv[1] == "alone":
        program = Program(*json.loads(sys.argv[2]))
        program.make("parent")
        program.die()
    else:
        spec = run_all(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), int(sys.argv[2]))
        if spec is not None:
            Program(spec, spec["end"]).run()
