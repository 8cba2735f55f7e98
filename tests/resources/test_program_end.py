"""What the docs say of how a Python program ends is what the running interpreter does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from safemem._compat import GIL_DISABLED

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the page is about ends on POSIX systems")

PAGE = Path(__file__).parents[2] / "docs" / "concepts" / "program-end.md"

# The rows of the page's table, and the code that ends a program so.
ENDS = {
    "the last line": "pass",
    "an exception that nobody catches": "raise LookupError",
    "`sys.exit()` in the main thread": "sys.exit(1)",
    "Ctrl-C, SIGINT": "die(signal.SIGINT)",
    "the last line, while a daemon thread runs": "threading.Thread(target=sleep_long, daemon=True).start()",
    "`os._exit()`": "os._exit(1)",
    "`os.execv()` and its like": "os.execv(sys.executable, [sys.executable, '-c', 'pass'])",
    "SIGTERM": "die(signal.SIGTERM)",
    "SIGHUP: the terminal was closed": "die(signal.SIGHUP)",
    "SIGQUIT: Ctrl-\\": "die(signal.SIGQUIT)",
    "SIGKILL": "die(signal.SIGKILL)",
    "SIGSEGV, a crash in C code": "die(signal.SIGSEGV)",
    "`os.abort()`": "os.abort()",
    "multiprocessing, spawn: the target returns": "spawn",
    "multiprocessing, fork: the target returns": "fork",
    "multiprocessing, forkserver: the target returns": "forkserver",
    "multiprocessing: `terminate()`": "terminate",
}

SCRIPT = """
import atexit, multiprocessing, os, signal, sys, threading, time
end = sys.argv[1]
log = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def note(what, write=os.write, log=log):
    write(log, what)

class Held:
    def __del__(self, note=note):
        note(b"D")

def work():
    threading.main_thread().join()
    note(b"T")

def sleep_long():
    time.sleep(600)

def die(number):
    os.kill(os.getpid(), number)
    sleep_long()

def live_and_end(how):
    global held
    held = Held()
    atexit.register(note, b"E")
    threading.Thread(target=work).start()
    try:
        note(b"R")
        exec(how)
    finally:
        note(b"B")

if __name__ == "__main__":
    if end in ("spawn", "fork", "forkserver", "terminate"):
        method = multiprocessing.get_context("spawn" if end == "terminate" else end)
        child = method.Process(target=live_and_end, args=("sleep_long()" if end == "terminate" else "pass",))
        child.start()
        if end == "terminate":
            while b"R" not in open(sys.argv[2], "rb").read():
                time.sleep(0.01)
            child.terminate()
        child.join()
        os._exit(0)
    live_and_end(end)
"""


def table(page: Path, head: str) -> dict[str, list[str]]:
    """The table of a page that has this first heading: its first column, and the others."""
    lines = page.read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {head} |"))
    found = {}
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        first, *rest = (cell.strip() for cell in line.strip("|").split("|"))
        found[first] = rest
    return found


def told(cell: str) -> bool:
    """What a cell means for this Python."""
    return {"yes": True, "no": False, "from 3.13 on": sys.version_info >= (3, 13)}[cell]


def test_the_table_is_complete():
    """Every row of the page is observed here."""
    assert list(table(PAGE, "the end")) == list(ENDS)


@pytest.mark.parametrize("end", ENDS)
def test_end(tmp_path, end):
    """A program that ends so does what the page's row says, and leaves out the rest."""
    script, log = tmp_path / "script.py", tmp_path / "log"
    script.write_text(SCRIPT)
    subprocess.run([sys.executable, str(script), ENDS[end], str(log)], stderr=subprocess.DEVNULL, timeout=60, check=False, cwd=tmp_path)
    done = log.read_text()
    assert done.startswith("R")
    expected = dict(zip("BTED", map(told, table(PAGE, "the end")[end]), strict=True))
    if GIL_DISABLED:  # what is torn down there is left open by the page, too
        expected["D"] = "D" in done
    assert {letter: letter in done for letter in "BTED"} == expected
    assert done[1:] == "".join(letter for letter in "BTED" if letter in done)  # in that order
