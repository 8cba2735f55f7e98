"""Where something cannot be done, importing works and the call says so."""

from __future__ import annotations

import json

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
import safemem.resources.guardian
safemem.resources.guardian.watch("x")
print(json.dumps(said))
"""


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


def test_that_directory_is_somebody_elses(tmp_path):
    """What has its name and is not a directory of this user's is refused."""
    import os

    os.symlink("/", tmp_path / f"safemem-{os.geteuid()}")
    done = run_code(MACOS.replace("sys.argv[1]", repr(str(tmp_path))))
    assert "PermissionError" in done.stderr
    assert "not a directory of this user" in done.stderr
