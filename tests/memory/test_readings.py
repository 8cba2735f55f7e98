"""What a process is told of its memory, each test in a process of its own; and what only other systems tell."""

from __future__ import annotations

import json
import os
import sys

import pytest
from helpers.forks import forks, in_child
from helpers.isolate import assert_clean, run_code

import safemem
from safemem._compat import GIL_DISABLED
from safemem.memory.readings import anonymous, memory_info, trim

freed_at_once = pytest.mark.skipif(GIL_DISABLED, reason="without a GIL, Python's own allocator keeps what is freed")
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells all of it")
MB = 1 << 20


def run(code: str) -> list[object]:
    """Run a piece of Python that prints JSON."""
    done = run_code("import json\nfrom safemem.memory.readings import *\n" + code)
    assert_clean(done)
    return json.loads(done.stdout)


@linux
def test_all_of_it():
    """On Linux with the GNU C library nothing is missing, and the numbers fit together."""
    info = memory_info()
    assert [name for name, value in info._asdict().items() if value is None and name != "heap_free"] == []
    assert info.rss == info.anon + info.shared
    assert info.uss <= info.rss + 4 * MB
    assert info.peak + 4 * MB >= info.rss
    assert info.limit >= info.rss
    assert 1000 < info.blocks
    assert info.anon == pytest.approx(anonymous(), abs=8 * MB)


@linux
@freed_at_once
def test_what_is_allocated():
    """50 MB more in rss, anon, uss and peak, and gone again in all but the peak."""
    before, during, after = run("""
before = memory_info()
data = bytearray(50 << 20); data[::4096] = b"x" * len(data[::4096])
during = memory_info()
del data
after = memory_info()
print(json.dumps([before, during, after]))
""")
    names = memory_info()._fields
    before, during, after = (dict(zip(names, values, strict=True)) for values in (before, during, after))
    for name in ("rss", "anon", "uss"):
        assert during[name] - before[name] == pytest.approx(50 * MB, abs=4 * MB)
        assert after[name] - before[name] == pytest.approx(0, abs=4 * MB)
    assert during["peak"] - before["rss"] >= 46 * MB
    assert after["peak"] == pytest.approx(during["peak"], abs=4 * MB)
    assert during["shared"] == pytest.approx(before["shared"], abs=4 * MB)


@linux
def test_files_and_shared_memory_are_not_anonymous():
    """Reading and mapping 40 MB changes rss, and not anon."""
    grown_rss, grown_anon, grown_shared = run("""
import mmap, tempfile
before = memory_info()
with tempfile.TemporaryFile() as file:
    file.truncate(40 << 20)
    mapped = mmap.mmap(file.fileno(), 40 << 20)
    for place in range(0, 40 << 20, 4096):
        mapped[place] = 1
    after = memory_info()
print(json.dumps([after.rss - before.rss, after.anon - before.anon, after.shared - before.shared]))
""")
    assert grown_rss >= 36 * MB
    assert grown_shared >= 36 * MB
    assert abs(grown_anon) < 4 * MB


@linux
@freed_at_once
def test_trim():
    """What lies free in the middle of the heap is given back and told; a second time there is nothing."""
    free, returned, again, fell, free_after = run("""
kept, gone = [], []
for number in range(3000):
    gone.append(bytes(20_000))
    kept.append(bytes(3000))
gone.clear()
before = memory_info()
returned = trim()
again = trim()
after = memory_info()
print(json.dumps([before.heap_free, returned, again, before.anon - after.anon, after.heap_free]))
""")
    if free is None:
        pytest.skip("the C library has no mallinfo2()")
    assert free > 30 * MB
    assert returned > 20 * MB
    assert fell == pytest.approx(returned, abs=4 * MB)
    assert 0 <= again < 2 * MB
    assert free_after == pytest.approx(free, abs=4 * MB)


@linux
def test_peak_is_of_this_program():
    """Not that of the program that started it, which getrusage() may tell."""
    (peak,) = run("""
import subprocess, sys
data = bytearray(200 << 20); data[::4096] = b"x" * len(data[::4096])
code = "from safemem.memory.readings import memory_info; print(memory_info().peak)"
print(json.dumps([int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)]))
""")
    assert peak < 150 * MB


@linux
@forks
def test_after_a_fork():
    """A child is told about itself, and its trimming is its own."""
    assert memory_info().rss is not None

    def grow():
        before = memory_info()
        data = bytearray(60 << 20)
        data[::4096] = b"x" * len(data[::4096])
        after = memory_info()
        assert after.anon - before.anon > 50 * MB
        assert after.uss - before.uss > 50 * MB
        assert trim() >= 0

    before = anonymous()
    assert in_child(grow) == 0
    assert anonymous() - before < 30 * MB


def test_cheap_reading_costs_no_descriptors():
    """One stays open, however often it is read."""
    anonymous()
    before = len(os.listdir("/dev/fd"))
    for _ in range(100):
        anonymous()
        memory_info()
    assert len(os.listdir("/dev/fd")) <= before + 1


def test_pickles():
    """As a plain tuple with names."""
    import pickle

    info = safemem.memory_info()
    assert pickle.loads(pickle.dumps(info)) == info


WINDOWS = """
import ctypes, json, os, sys, types
sys.platform = "win32"
for name in ("sysconf", "pread"):
    delattr(os, name)
sys.modules["resource"] = None

def status(reference):
    found = reference._obj
    assert (found.length, ctypes.sizeof(found)) == (64, 64)
    found.total, found.available = 16 << 30, 6 << 30
    return 1

def counters(process, reference, length):
    found = reference._obj
    assert length == found.length == ctypes.sizeof(found) == 80 and process.value == (1 << 64) - 1
    found.working, found.peak, found.private = 100, 200, 90
    return 1

def current():
    return (1 << 64) - 1

ctypes.windll = types.SimpleNamespace(kernel32=types.SimpleNamespace(GlobalMemoryStatusEx=status, K32GetProcessMemoryInfo=counters, GetCurrentProcess=current))
import safemem.memory.kernel as kernel, safemem.memory.limits as limits
kernel.read_bytes = limits.read_bytes = lambda path: b""
kernel.KernelFile.read = lambda self: b""
import safemem
from safemem.memory.pressure import Signals
print(json.dumps([safemem.memory_info(), safemem.trim(), Signals().read()]))
"""


def test_windows():
    """Working set, peak, private bytes, and the machine: by the C interface, whose answers are made up here; the rest is None."""
    done = run_code(WINDOWS)
    assert_clean(done)
    info, trimmed, readings = json.loads(done.stdout)
    assert info[:6] == [100, None, 90, None, 200, None]
    assert (info[7], trimmed) == (16 << 30, 0)
    assert readings == [10 / 16, 10 << 30, 16 << 30, "the memory of the machine", None, None, None]


MACOS = """
import ctypes, json, os, sys, types
sys.platform = "darwin"

class Library:
    @staticmethod
    def sysctlbyname(name, value, size, new, length):
        assert name == b"kern.memorystatus_vm_pressure_level"
        value._obj.value = 2
        return FAILS

FAILS = 0
real = ctypes.CDLL
ctypes.CDLL = lambda name: Library
import safemem.memory.kernel as kernel, safemem.memory.limits as limits, safemem.memory.readings as readings
kernel.read_bytes = limits.read_bytes = readings.read_bytes = lambda path: b""
kernel.KernelFile.read = lambda self: b""
import safemem
from safemem.memory.pressure import Signals
first = [safemem.memory_info(), safemem.trim(), Signals().read()]
FAILS = -1
print(json.dumps([*first, Signals().read()]))
"""


def test_macos():
    """The peak, and what the system says of memory in so many words; no level, for it does not tell what is in use."""
    done = run_code(MACOS)
    assert_clean(done)
    info, trimmed, readings, failed = json.loads(done.stdout)
    assert [value is None for value in info] == [True, True, True, True, False, True, False, False]
    assert trimmed == 0
    assert readings == [None, None, None, None, None, 2, None]
    assert failed == [None] * 7
