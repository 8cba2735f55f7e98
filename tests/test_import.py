"""`import safemem` is light and changes nothing in the process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import safemem

TREE = Path(safemem.__file__).resolve().parent.parent

# Each of these costs milliseconds, or installs something of its own when imported.
HEAVY = [
    "argparse",
    "asyncio",
    "concurrent.futures",
    "ctypes",
    "dataclasses",
    "inspect",
    "json",
    "logging",
    "multiprocessing",
    "socket",
    "subprocess",
    "tempfile",
    "tracemalloc",
    "typing_extensions",
]

# Everything in a process that an import could change behind its importer's back.
SNAPSHOT = """
import atexit, gc, os, signal, sys, threading, types, warnings

def state():
    hooks = ("breakpointhook", "displayhook", "excepthook", "unraisablehook")
    return {
        "threads": len(sys._current_frames()),
        "signal handlers": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "wakeup descriptor": old_wakeup(),
        "atexit callbacks": atexit._ncallbacks(),
        "hooks of sys": [getattr(sys, name) for name in hooks] + [threading.excepthook],
        "tracing": (sys.gettrace(), sys.getprofile()),
        "audit-free gc settings": (gc.isenabled(), gc.get_threshold(), gc.get_debug(), len(gc.callbacks)),
        "warning filters": list(warnings.filters),
        "import system": (list(sys.path), list(sys.meta_path), list(sys.path_hooks)),
        "limits": (sys.getrecursionlimit(), sys.getswitchinterval()),
        "environment": dict(os.environ),
        "open files": sorted(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None,
    }

def old_wakeup():
    number = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(number)
    return number
"""


def run(code: str) -> str:
    """Run a program in a fresh, isolated interpreter that finds this very package; return what it prints."""
    program = f"import sys\nsys.path.insert(0, {str(TREE)!r})\n{code}"
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.strip()


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    """The modules that `import safemem` brings in, beyond those of a bare interpreter."""
    return set(run("before = set(sys.modules)\nimport safemem\nprint(*sorted(set(sys.modules) - before))").split())


@pytest.mark.parametrize("name", HEAVY)
def test_heavy_module_is_not_imported(loaded, name):
    """What is only needed by some feature is imported by that feature, when it is used."""
    assert name not in loaded


def test_command_line_is_not_imported(loaded):
    """A program that uses the library does not pay for the command line and the demo."""
    assert not {name for name in loaded if name.split(".")[:2] in (["safemem", "cli"], ["safemem", "demo"])}


def test_nothing_in_the_process_changes():
    """No thread, no signal handler, no atexit callback, no hook, no filter, no open file."""
    code = f"{SNAPSHOT}\nbefore = state()\nimport safemem\nafter = state()\nprint([name for name in before if before[name] != after[name]])"
    assert run(code) == "[]"


def test_import_leaves_no_garbage_of_ours():
    """With the collector off, importing leaves no unreachable cycle that holds an object of the package."""
    code = """
import gc
gc.collect(); gc.disable()
import safemem
gc.set_debug(gc.DEBUG_SAVEALL); gc.collect()
print([type(o).__qualname__ for o in gc.garbage if getattr(type(o), "__module__", "").startswith("safemem")])
"""
    assert run(code) == "[]"


def test_star_import_gives_exactly_the_public_names():
    """`from safemem import *` brings `__all__`, and each name is bound."""
    code = "before = set(globals()) | {'before'}\nfrom safemem import *\nimport safemem as s\nprint(sorted(set(globals()) - before - {'s'}) == sorted(s.__all__))"
    assert run(code) == "True"


def test_second_import_in_the_same_process_is_the_same_package():
    """Importing the package again after forgetting it works: nothing registers itself twice."""
    code = "import safemem\nfor name in [n for n in sys.modules if n.split('.')[0] == 'safemem']:\n    del sys.modules[name]\nimport safemem\nprint(safemem.LRUCache(1).maxsize)"
    assert run(code) == "1"
