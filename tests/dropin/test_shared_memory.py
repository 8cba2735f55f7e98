"""CPython's own tests for SharedMemory, those of the running interpreter, run against the class behind managed_shm."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.threads import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the tests look into the directory of shm_open()")

TREE = Path(__file__).resolve().parents[2]

# A program of its own: the tests start processes that import the main module, and what they patch is to be patched there as well.
PROGRAM = """
import multiprocessing, sys, unittest
from multiprocessing import shared_memory
from safemem.resources.shm import ManagedSharedMemory

shared_memory.SharedMemory = ManagedSharedMemory
shared_memory.ShareableList.__init__.__globals__["SharedMemory"] = ManagedSharedMemory

from test import _test_multiprocessing as theirs

class Tests(theirs._TestSharedMemory):
    TYPE = "processes"
    Process = multiprocessing.Process

class WithSharedMemory(Tests, unittest.TestCase):
    pass

if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1], force=True)
    result = unittest.main(argv=["tests", *sys.argv[2:]], exit=False, verbosity=1).result
    print("ran", result.testsRun, "skipped", len(result.skipped))
    sys.exit(not result.wasSuccessful())
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_their_tests_pass(method, tmp_path):
    """Every test passes, whichever way children are started, and nothing is left."""
    if subprocess.run([sys.executable, "-c", "import test._test_multiprocessing"], check=False, capture_output=True).returncode:
        if os.environ.get("CI"):
            pytest.fail("this interpreter came without its own tests")
        pytest.skip("this interpreter came without its own tests (the `test` package)")
    script = tmp_path / "shared_memory_tests.py"
    script.write_text(PROGRAM, encoding="utf-8")
    before = set(Path("/dev/shm").iterdir())
    done = subprocess.run(
        [sys.executable, "-W", "ignore::ResourceWarning", str(script), method],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,  # the tests of the resource tracker make it complain on stderr
        env={**os.environ, "PYTHONPATH": str(TREE)},
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[1]) >= 13
    assert done.stdout.split()[3] == "0"
    # What other programs make meanwhile goes away again; what was left behind would stay.
    new = set(Path("/dev/shm").iterdir()) - before
    until(lambda: not any(map(Path.exists, new)))
