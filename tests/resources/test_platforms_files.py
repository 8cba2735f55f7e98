"""Files, mappings, scopes, signals and calls where there is no flock(), no O_TMPFILE, no fork: what works there works, the rest says so."""

from __future__ import annotations

import json

from helpers.isolate import assert_clean, run_code

# What Windows lacks, taken away before safemem is imported.
WINDOWS = """
import asyncio, concurrent.futures, json, multiprocessing.util, os, signal, subprocess, sys, tempfile, threading
from pathlib import Path
place = Path(sys.argv[1])
asyncio.new_event_loop().close()  # from Python 3.14 on it is only now that asyncio looks what system this is
sys.platform = "win32"
sys.modules["fcntl"] = sys.modules["resource"] = None
LACKING = (
    "geteuid", "getuid", "register_at_fork", "posix_fallocate", "fork", "posix_spawn", "memfd_create", "mkfifo", "fchown", "chown",
    "O_TMPFILE", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "setxattr", "getxattr", "listxattr", "removexattr", "pidfd_open", "fchmod",
)
for name in LACKING:
    if hasattr(os, name):
        delattr(os, name)
for name in ("SIGHUP", "SIGQUIT", "SIGKILL"):
    delattr(signal, name)
import safemem
"""

WORKS = """
with safemem.managed_file(place / "file", "w", durable=True) as file:
    file.write("one")
try:
    with safemem.managed_file(place / "file", "w") as file:
        file.write("two")
        raise KeyError
except KeyError:
    pass
with safemem.managed_file(place / "made", "x") as file:
    file.write("made")
(place / ".file.0.safemem~").write_text("left by a killed program")
with safemem.managed_file(place / "file", "a") as file:
    file.write("+")
with safemem.managed_mmap(place / "file", access="write", flush=True) as mapped:
    mapped[0:3] = b"ONE"
with safemem.managed_mmap(place / "file") as mapped:
    view = mapped.buf
class Thing:
    def close(self):
        said.append("closed")
said = [bytes(view).decode(), (place / "made").read_text()]
with safemem.managed(Thing()), safemem.ResourceScope() as scope:
    scope.adopt(Thing())
async def main():
    async with safemem.AsyncResourceScope() as scope:
        scope.adopt(Thing())
asyncio.run(main())
with safemem.managed_file(place / "file", "w") as file:  # clears away what was left
    file.write("three")
with safemem.on_signals("SIGTERM", "SIGINT"):
    said.append(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
print(json.dumps([said, sorted(os.listdir(place)), (place / "file").read_text()]))
"""

REFUSES = """
said = []
async def call_async():
    await safemem.arun_isolated(abs, -1)
for call in (
    lambda: safemem.managed_tempfile(),
    lambda: safemem.managed_tempdir(),
    lambda: safemem.run_isolated(abs, -1),
    lambda: asyncio.run(call_async()),
):
    try:
        call()
    except NotImplementedError as error:
        said.append(str(error))
try:
    safemem.on_signals("SIGNONE")
except ValueError as error:
    said.append(str(error))
print(json.dumps([said, os.listdir(place)]))
"""


def run(tmp_path, code: str):
    """Run it where only the directory is there; return what it says."""
    done = run_code(WINDOWS.replace("sys.argv[1]", repr(str(tmp_path))) + code)
    assert_clean(done)
    return json.loads(done.stdout)


def test_what_works_without_flock(tmp_path):
    """Files are replaced whole, mapped and closed; a left-over goes with the next replacement."""
    assert run(tmp_path, WORKS) == [["ONE+", "made", "closed", "closed", "closed", False], ["file", "made"], "three"]


def test_what_is_refused_without_flock(tmp_path):
    """The call raises NotImplementedError that names it and what is missing; nothing is made. A signal that is not there is a ValueError."""
    said, left = run(tmp_path, REFUSES)
    assert left == []
    assert said[:2] == [f"managed_{kind}() needs flock(), which Windows does not have" for kind in ("tempfile", "tempdir")]
    assert said[2] == said[3] == "run_isolated needs POSIX: pipes and files that are handed to a child"
    assert said[4] == "signals must be signals of this system, got 'SIGNONE'"


MACOS = """
import json, os, sys
from pathlib import Path
place = Path(sys.argv[1])
sys.platform = "darwin"
for name in ("O_TMPFILE", "posix_fallocate", "pidfd_open", "setxattr", "getxattr", "listxattr", "removexattr", "memfd_create"):
    if hasattr(os, name):
        delattr(os, name)
os.environ["SAFEMEM_GUARDIAN"] = "off"
import fcntl
full = []
fcntl.F_FULLFSYNC = 51
real = fcntl.fcntl
def record(fd, command, *rest):
    if command == 51:
        full.append(os.fstat(fd).st_size)
        return 0
    return real(fd, command, *rest)
fcntl.fcntl = record
import safemem
with safemem.managed_file(place / "file", "w", durable=True) as file:
    file.write("four")
with safemem.managed_tempfile(dir=place) as file, safemem.managed_tempdir(dir=place) as folder:
    seen = len(os.listdir(place))
said = [full, seen, safemem.run_isolated(abs, -1), sorted(os.listdir(place))]
for call in (lambda: safemem.managed_memfd(10), lambda: safemem.run_isolated(abs, -1, memory_limit=1 << 30)):
    try:
        call()
    except NotImplementedError as error:
        said.append(str(error))
print(json.dumps(said))
"""


def test_macos(tmp_path):
    """durable waits for the disk itself, which fsync() there does not; what needs Linux says so."""
    done = run_code(MACOS.replace("sys.argv[1]", repr(str(tmp_path))))
    assert_clean(done)
    full, seen, result, left, memfd, limit = json.loads(done.stdout)
    assert (full, seen, result, left) == ([4], 3, 1, ["file"])
    assert memfd == "managed_memfd() needs memfd_create(), which darwin does not have"
    assert limit.startswith("memory_limit needs Linux, got darwin")
