"""Starting the guardian, and what could end it early: it counts only when it has said that it is there, and then nothing but SIGKILL ends it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import safemem

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the programs look into /proc and /dev/shm")

TREE = str(Path(safemem.__file__).parent.parent)

TOOLS = """
import errno, json, os, resource, signal, socket, subprocess, sys, threading, time
from safemem.resources import guardian, lease, sweep
from safemem.resources.shm import managed_shm

sweep._swept.add("/dev/shm")
guardian._addresses = lambda: iter(())  # whatever guardian the tests have, this is a family of its own

def children():
    text = open(f"/proc/self/task/{os.getpid()}/children").read()
    return text.split()

def wait_until(condition):
    limit = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < limit, "it never happened"
        time.sleep(0.005)

def there(name):
    return os.path.exists(f"/dev/shm/{name}")

def guardian_of_this():
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline") as file:
                if lease.family() in file.read():
                    return int(pid)
        except OSError:
            pass

def say(*what):
    print(json.dumps(what), flush=True)
"""


def run(code: str) -> list[object]:
    """Run a program; return what it said."""
    done = subprocess.run(
        [sys.executable, "-c", TOOLS + code],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        env={**os.environ, "PYTHONPATH": TREE, "SAFEMEM_GUARDIAN": ""},
    )
    assert done.stderr == ""
    return [json.loads(line) for line in done.stdout.splitlines()]


def wait_for_the_end_of(*names: str) -> None:
    """Wait until the guardian has removed what a killed program left."""
    limit = time.monotonic() + 30
    while any(os.path.exists(f"/dev/shm/{name}") for name in names):
        assert time.monotonic() < limit, "it was left"
        time.sleep(0.005)


@pytest.mark.parametrize("program", ["/bin/false", "/bin/true", "/nowhere/python"])
def test_that_cannot_be_started(program):
    """The segment is made nevertheless, no child is left to be waited for, no descriptor open; another attempt waits a while."""
    if not os.path.exists(program) and program.startswith("/bin"):
        pytest.skip("there is no such program")
    code = f"""
sys.executable = {program!r}
started = []
real = os.posix_spawn
os.posix_spawn = lambda *given, **more: (started.append(1), real(*given, **more))[1]
before = len(os.listdir("/proc/self/fd"))
for _ in range(100):
    managed_shm(1).close()
say(guardian._state.connection, children(), len(os.listdir("/proc/self/fd")) - before, len(started) < 10)
"""
    assert run(code) == [[-1, [], 0, True]]


def test_that_hangs():
    """A program that is not Python and never answers is ended, and waited for."""
    code = """
import tempfile
with tempfile.TemporaryDirectory() as place:
    sys.executable = os.path.join(place, "program")
    with open(sys.executable, "w") as file:
        file.write("#!/bin/sh\\nexec sleep 1000\\n")
    os.chmod(sys.executable, 0o700)
    guardian._STARTED_IN = 0.2
    managed_shm(1).close()
    say(guardian._state.connection, children())
"""
    assert run(code) == [[-1, []]]


def test_is_there_before_anything_is_made():
    """When the first segment has a name, whoever kills the program finds the guardian at work: it has answered."""
    code = """
real = guardian._await
def kill_before(connection, pid):
    real(connection, pid)
    say("answered", children())
guardian._await = kill_before
shm = managed_shm(1)
say(shm.name)
os.kill(os.getpid(), signal.SIGKILL)
"""
    answered, (name,) = run(code)
    assert answered == ["answered", []]
    wait_for_the_end_of(name)


def test_no_signal_ends_it():
    """Every signal that can be kept out is, those that users send each other and timers, too."""
    code = """
shm = managed_shm(1)
pid = guardian_of_this()
blocked = int(next(line for line in open(f"/proc/{pid}/status") if line.startswith("SigBlk")).split()[1], 16)
missing = [number for number in signal.valid_signals() if number not in (signal.SIGKILL, signal.SIGSTOP) and not blocked >> (number - 1) & 1]
for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT}:
    os.kill(pid, number)
say(missing, guardian._alive(guardian._state.connection))
"""
    assert run(code) == [[[], True]]


def test_is_not_ended_by_what_it_is_told():
    """Lines that nothing of ours wrote, half lines, names that are no directories: what it is to clean up it cleans up."""
    code = """
shm = managed_shm(1)
other = socket.socket(fileno=os.dup(guardian._state.connection))
for line in (b"\\n", b"D\\n", b"Dxyz\\n", b"L\\xff\\n", b"\\xff\\xfe\\n", b"D" + b"/nowhere".hex().encode() + b"\\n", b"D" + b"/etc/passwd".hex().encode() + b"\\n", b"Dff00\\n", b"half"):
    other.sendall(line)
say(shm.name)
os.kill(os.getpid(), signal.SIGKILL)
"""
    ((name,),) = run(code)
    wait_for_the_end_of(name)


def test_its_command_line_is_of_no_directory():
    """Who kills all that has the directory of a program in its command line does not find it, unless Python itself is there."""
    code = """
shm = managed_shm(1)
with open(f"/proc/{guardian_of_this()}/cmdline") as file:
    first, *rest = file.read().split("\\0")
say(first == sys.executable, os.path.dirname(os.path.dirname(guardian.__file__)) in " ".join(rest), "safemem-guardian" in rest)
"""
    assert run(code) == [[True, False, True]]


def test_limits_of_the_family_are_not_its_own():
    """A program with few descriptors and little time left is cleaned up after like any other."""
    code = """
resource.setrlimit(resource.RLIMIT_CPU, (40, resource.getrlimit(resource.RLIMIT_CPU)[1]))
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (20, hard))
shm = managed_shm(1)
pid = guardian_of_this()
say(resource.prlimit(pid, resource.RLIMIT_NOFILE)[0] == hard, resource.prlimit(pid, resource.RLIMIT_CPU)[0] == resource.getrlimit(resource.RLIMIT_CPU)[1])
"""
    assert run(code) == [[True, True]]


def test_fork_while_it_is_started():
    """A child that another thread forks just then holds nothing open by which the guardian would think that its parent lives."""
    code = """
import warnings
warnings.simplefilter("ignore")  # threads and forks
forked = []
def fork():
    forked.append(os.fork())
    if not forked[0]:
        os.closerange(0, 3)
        time.sleep(60)
        os._exit(0)
real = os.posix_spawn
def spawn(*given, **more):
    thread = threading.Thread(target=fork)
    thread.start()
    wait_until(lambda: forked)
    return real(*given, **more)
os.posix_spawn = spawn
shm = managed_shm(1)
say(shm.name, forked[0])
os.kill(os.getpid(), signal.SIGKILL)
"""
    ((name, child),) = run(code)
    try:
        wait_for_the_end_of(name)
        assert Path(f"/proc/{child}").exists()
    finally:
        os.kill(child, 9)


def test_another_user():
    """A program that gives up its privileges has a guardian that may remove what it makes from then on."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    try:
        subprocess.run([sys.executable, "-V"], user=65534, capture_output=True, check=True)
    except OSError:
        pytest.skip("another user may not run this Python")
    code = """
first = managed_shm(1)
os.setresuid(65534, 65534, 65534)
second = managed_shm(1)
third = managed_shm(1, name="of-nobody-%d" % os.getpid())
say(first.name, second.name, third.name)
os.kill(os.getpid(), signal.SIGKILL)
"""
    (names,) = run(code)
    wait_for_the_end_of(*names)


@pytest.fixture
def watched(tmp_path):
    """What a guardian knows of a process that is gone and has left a file."""
    from safemem.resources import _guard, lease

    fd, _ = lease.create_file(str(tmp_path))
    os.close(fd)
    ours, its = socket.socketpair()
    with ours, its:
        watched = _guard._Watched(its)
        watched.lease = lease.family()
        watched.directories = {str(tmp_path), "/nowhere"}
        yield watched


def test_a_directory_that_cannot_be_read_now(watched, tmp_path, monkeypatch):
    """No descriptor, no memory: that says nothing about what is there, so it is looked at again; a directory that is gone has nothing."""
    real = os.listdir

    def fail(place: str) -> list[str]:
        raise OSError(24, "Too many open files", place)

    monkeypatch.setattr(os, "listdir", fail)
    assert [watched.is_done() for _ in range(10)] == [False] * 10
    monkeypatch.setattr(os, "listdir", real)
    assert [watched.is_done(), watched.is_done()] == [False, True]  # what it removed, and that this was all
    assert os.listdir(tmp_path) == []


def test_what_cannot_be_removed(watched, monkeypatch):
    """It does not keep the guardian for ever: after many tries it is left to a sweep."""
    from safemem.resources import _guard

    def fail(path: str) -> None:
        raise RecursionError(path)

    monkeypatch.setattr(os, "unlink", fail)
    looks = 1
    while not watched.is_done():
        looks += 1
    assert looks == _guard._FAILURES


def test_called_in_the_middle_of_itself():
    """A finaliser or a signal handler that makes something while the guardian is being started goes on without, and nobody waits for himself."""
    code = """
reach = guardian._reach
def in_the_middle(state):
    say(managed_shm(1).name != "")
    return reach(state)
guardian._reach = in_the_middle
shm = managed_shm(1)
say(guardian._state.connection >= 0, guardian._state.busy)
shm.close()
"""
    assert run("import warnings; warnings.simplefilter('ignore')\n" + code) == [[True], [True, False]]
