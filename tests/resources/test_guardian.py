"""The guardian: one for a family of processes, in nobody's way, and gone when they are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import safemem

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the programs look into /proc and /dev/shm")

TREE = str(Path(safemem.__file__).parent.parent)
LIMIT = 20.0

TOOLS = '''
import json, multiprocessing, os, signal, subprocess, sys, time
from safemem.resources import guardian, sweep
from safemem.resources.lease import family
from safemem.resources.shm import managed_shm

sweep._swept.add("/dev/shm")

# It is a family of its own, whatever guardian the tests have.
_parent = guardian._parent
guardian._parent = lambda pid: 0 if str(_parent(pid)) == os.environ["SAFEMEM_TEST_TOP"] else _parent(pid)

def guardians(*leases):
    """The guardians that were started by processes with these leases: number and descriptors."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                line = file.read().decode().split("\\0")
        except OSError:
            continue
        if "safemem-guardian" in line and set(leases or [family()]) & set(line):
            found.append(int(pid))
    return found

def make(conn=None):
    global shm
    shm = managed_shm(1)
    if conn is not None:
        conn.send((family(), shm.name))
        conn.recv()
'''


def run(code: str, **environment: str) -> object:
    """Run a program; return what it prints as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", TOOLS + code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": TREE, "SAFEMEM_TEST_TOP": str(os.getpid()), **environment},
    )
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def wait_until(condition) -> None:
    """Wait for what another process is to do."""
    limit = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < limit, "it never happened"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Whether there is such a process, and not only what its parent has not asked for yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_nothing_before_it_is_needed():
    """Importing starts nothing, nor does attaching, nor what is to be kept."""
    code = """
import multiprocessing.shared_memory as theirs
other = theirs.SharedMemory(create=True, size=1)
with managed_shm(name=other.name, attach=True): pass
other.close(); other.unlink()
with managed_shm(1, policy="keep") as shm: pass
shm.unlink()
print(json.dumps(guardians()))
"""
    assert run(code) == []


@pytest.mark.parametrize(("argument", "variable"), [("off", ""), ("auto", "off"), ("auto", "OFF")])
def test_off(argument, variable):
    """By the argument for one segment, by the environment for all."""
    code = f"shm = managed_shm(1, guardian={argument!r}); print(json.dumps(guardians()))"
    assert run(code, SAFEMEM_GUARDIAN=variable) == []


def test_ends_with_its_family():
    """It is there while they are, and not for long after."""
    (pid,) = run("make(); print(json.dumps(guardians()))")
    wait_until(lambda: not is_alive(pid))


@pytest.mark.parametrize("first", ["parent", "children"])
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_one_for_a_family(method, first, tmp_path):
    """Children find the one there is, and the first of them starts it if their parent had no need."""
    code = f"""
if __name__ == "__main__":
    context = multiprocessing.get_context({method!r})
    leases = []
    if {first == "parent"}:
        make()
        leases.append(family())
    children = []
    for _ in range(3):
        ours, its = context.Pipe()
        process = context.Process(target=make, args=(its,))
        process.start()
        leases.append(ours.recv()[0])
        children.append((process, ours))
    print(json.dumps([len(set(leases)), len(guardians(*leases))]))
    for process, ours in children:
        ours.send(None)
        process.join()
"""
    script = tmp_path / "family.py"  # children that are not forked import it
    script.write_text(TOOLS + code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": TREE, "SAFEMEM_TEST_TOP": str(os.getpid())},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == [4 if first == "parent" else 3, 1]


def test_is_in_nobodys_way():
    """Who waits for children does not see it; it is in another session, holds no directory, and no descriptor but its own."""
    code = """
read, write = os.pipe()
os.set_inheritable(write, True)
make()
(pid,) = guardians()
os.close(write)
waited = None
try:
    waited = os.wait()
except ChildProcessError:
    pass
print(json.dumps([waited, os.read(read, 1).decode(), os.getsid(pid) != os.getsid(0), os.readlink(f"/proc/{pid}/cwd"), sorted(os.listdir(f"/proc/{pid}/fd"))]))
"""
    assert run(code) == [None, "", True, "/", ["0", "1", "2"]]


def test_signals_do_not_end_it():
    """What ends a group of processes does not end it."""
    code = """
make()
(pid,) = guardians()
for name in ("SIGHUP", "SIGINT", "SIGTERM", "SIGQUIT"):
    os.kill(pid, getattr(signal, name))
time.sleep(0.1)
print(json.dumps(guardians() == [pid]))
"""
    assert run(code) is True


def test_is_started_again():
    """Killed, it is missed at the next segment."""
    code = """
make()
(first,) = guardians()
os.kill(first, signal.SIGKILL)
while first in guardians(): time.sleep(0.01)
time.sleep(0.1)
other = managed_shm(1)
(second,) = guardians()
print(json.dumps(first != second))
"""
    assert run(code) is True


def test_others_keep_what_a_dead_creator_left():
    """Killed with an attacher alive: the name stays; when that is killed as well, it goes, though nobody is left to remove it."""
    creator = subprocess.Popen(
        [sys.executable, "-c", TOOLS + "make(); print(json.dumps([shm.name, guardians()]), flush=True); time.sleep(60)"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": TREE, "SAFEMEM_TEST_TOP": str(os.getpid())},
    )
    name, (guardian,) = json.loads(creator.stdout.readline())
    attacher = subprocess.Popen(
        [sys.executable, "-c", TOOLS + f"shm = managed_shm(name={name!r}, attach=True); print(1, flush=True); time.sleep(60)"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": TREE, "SAFEMEM_TEST_TOP": str(os.getpid())},
    )
    attacher.stdout.readline()
    creator.kill()
    creator.communicate()
    time.sleep(0.3)
    assert os.path.exists(f"/dev/shm/{name}")
    assert is_alive(guardian)
    attacher.kill()
    attacher.communicate()
    wait_until(lambda: not os.path.exists(f"/dev/shm/{name}"))
    wait_until(lambda: not is_alive(guardian))
