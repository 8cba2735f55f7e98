"""Where something cannot be done, importing works and the call says so."""

from __future__ import annotations

import json
import os
import sys
import time

import pytest
from helpers.isolate import run_code

WINDOWS = """
import json, os, sys
sys.platform = "win32"
sys.modules["fcntl"] = None
for name in ("geteuid", "register_at_fork", "posix_fallocate", "fork", "posix_spawn", "memfd_create", "mkfifo"):
    if hasattr(os, name):
        delattr(os, name)
import safemem
said = []
for call in ("managed_shm(1)", "managed_shm(name='x', attach=True)", "managed_memfd(1)", "sweep()", "list_resources()"):
    try:
        eval(f"safemem.{call}")
    except NotImplementedError as error:
        said.append(str(error))
print(json.dumps(said))
"""


# What a system lacks is taken away before anything is imported; then every module there is is imported, but those that nobody imports there.
IMPORTS = """
import asyncio, ctypes, json, multiprocessing.util, os, pkgutil, signal, socket, subprocess, sys, tempfile
sys.platform = PLATFORM
for name in BLOCKED:
    sys.modules[name] = None
for module, names in LACKING:
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
import safemem
names = [each.name for each in pkgutil.walk_packages(safemem.__path__, "safemem.") if each.name not in LEFT_OUT]
wrong = {}
for name in names:
    try:
        __import__(name)
    except ImportError as error:
        wrong[name] = f"{type(error).__name__}: {error}"
print(json.dumps([len(names), wrong]))
"""
POSIX_ONLY = (
    "geteuid getuid register_at_fork posix_fallocate fork posix_spawn memfd_create mkfifo fchown chown O_TMPFILE O_DIRECTORY O_NOFOLLOW"
    " O_NONBLOCK O_CLOEXEC setxattr getxattr listxattr removexattr pidfd_open fchmod pread sysconf statvfs setsid killpg WNOHANG"
).split()
LINUX_ONLY = "posix_fallocate memfd_create O_TMPFILE setxattr getxattr listxattr removexattr pidfd_open sched_getaffinity".split()


def imports(platform: str, blocked: str, lacking: str, left_out: str) -> tuple[int, dict[str, str]]:
    """Import everything where a system is imitated; return how many modules that are, and what was wrong."""
    code = IMPORTS.replace("PLATFORM", repr(platform)).replace("BLOCKED", repr(blocked.split())).replace("LACKING", lacking)
    done = run_code(code.replace("LEFT_OUT", repr(left_out.split())), "-W", "error")
    assert done.stderr == ""
    number, wrong = json.loads(done.stdout)
    return number, wrong


def test_everything_can_be_imported_on_windows():
    """Without fcntl, resource, fork, signals and all: only what nobody imports there, the guardian, is left out, and the plug-in of pytest's."""
    lacking = f"((os, {POSIX_ONLY}), (signal, ['SIGHUP', 'SIGQUIT', 'SIGKILL', 'pthread_sigmask', 'alarm']), (socket, ['AF_UNIX']))"
    left_out = "safemem.__main__ safemem.pytest_plugin safemem.resources._guard safemem.resources.guardian"
    number, wrong = imports("win32", "fcntl resource termios pwd grp", lacking, left_out)
    assert wrong == {}
    assert number > 100


def test_everything_can_be_imported_on_macos():
    """Without what only Linux has."""
    number, wrong = imports(
        "darwin", "", f"((os, {LINUX_ONLY}), (socket, ['SO_PEERCRED', 'MSG_NOSIGNAL']))", "safemem.__main__ safemem.pytest_plugin"
    )
    assert wrong == {}
    assert number > 100


def test_windows():
    """Without flock() nobody can know who uses what: each call raises NotImplementedError that names it, and what is missing."""
    done = run_code(WINDOWS)
    assert done.stderr == ""
    said = json.loads(done.stdout)
    assert len(said) == 5
    assert all("() needs " in text and ("Windows" in text or "win32" in text) for text in said)


MACOS = """
import json, os, sys, tempfile
sys.platform = "darwin"
if hasattr(os, "posix_fallocate"):
    del os.posix_fallocate
os.environ["SAFEMEM_GUARDIAN"] = "off"
tempfile.tempdir = sys.argv[1]
import safemem
place = os.path.join(sys.argv[1], f"safemem-{os.geteuid()}")
with safemem.managed_shm(10, name="x" * 200) as shm:
    with safemem.managed_shm(name=shm.name, attach=True) as same:
        same.buf[0] = 1
        seen = [shm.buf[0], len(os.listdir(place)), oct(os.stat(place).st_mode & 0o777), len(safemem.list_resources())]
print(json.dumps([*seen, os.listdir(place)]))
"""


def test_without_a_directory_of_shared_memory(tmp_path):
    """Elsewhere a segment is a file that is mapped, in a directory of this user's; names may be as long as here."""
    done = run_code(MACOS.replace("sys.argv[1]", repr(str(tmp_path))))
    assert done.stderr == ""
    assert json.loads(done.stdout) == [1, 2, "0o700", 1, []]


GUARDED = """
import json, os, signal, socket, sys, tempfile
sys.platform = "darwin"
for module, name in ((os, "posix_fallocate"), (socket, "SO_PEERCRED"), (socket, "MSG_NOSIGNAL")):
    if hasattr(module, name):
        delattr(module, name)
tempfile.tempdir = PLACE
import safemem
kept = [safemem.managed_shm(10, name="chosen"), safemem.managed_shm(10), safemem.managed_tempfile(), safemem.managed_tempdir()]
print(json.dumps([kept[0].name, kept[1].name, *(each.path.name for each in kept[2:])]), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no guardian")
def test_the_guardian_without_what_only_linux_has(tmp_path):
    """It comes by a socket of its own, and removes files that are mapped as it does segments."""
    place = tmp_path / f"safemem-{os.geteuid()}"
    done = run_code(GUARDED.replace("PLACE", repr(str(tmp_path))), SAFEMEM_GUARDIAN="")
    assert done.stderr == ""
    shm, nameless, file, directory = json.loads(done.stdout)
    assert shm == "chosen"
    limit = time.monotonic() + 30
    while (place / shm).exists() or (place / nameless).exists() or (tmp_path / file).exists() or (tmp_path / directory).exists():
        assert time.monotonic() < limit, "something was left"
        time.sleep(0.005)
    assert os.listdir(place) == []


def test_that_directory_is_somebody_elses(tmp_path):
    """What has its name and is not a directory of this user's is refused."""
    os.symlink("/", tmp_path / f"safemem-{os.geteuid()}")
    done = run_code(MACOS.replace("sys.argv[1]", repr(str(tmp_path))))
    assert "PermissionError" in done.stderr
    assert "not a directory of this user" in done.stderr
