"""A program that holds one thing of every kind in a directory, and ends as it is told: holder.py DIRECTORY END.

Each close writes a letter to the file `closed`; the names that must go are listed in the file `names`.
"""

import gc
import multiprocessing
import os
import signal
import sys
import time
import warnings
from contextlib import ExitStack
from pathlib import Path

from safemem import ResourceScope, managed, managed_file, managed_mmap, managed_shm, managed_tempdir, managed_tempfile, on_signals
from safemem.resources import segment

place, end = Path(sys.argv[1]), sys.argv[2]
segment.directory = lambda: str(place)
if end == "program and guardian":
    os.environ["SAFEMEM_GUARDIAN"] = "off"


class Closable:
    def __init__(self, letter):
        self.letter = letter

    def close(self):
        with open(place.parent / "closed", "a") as log:
            log.write(self.letter)


def hold():
    scope = ResourceScope()
    scope.adopt(Closable("1"))
    held = [
        managed(Closable("2")),
        scope,
        managed_file(place.parent / "target", "w"),
        managed_tempfile("w", dir=place),
        managed_tempdir(dir=place),
        managed_shm(100),
        managed_shm(100, name="chosen"),
        managed_mmap(place.parent / "mapped", access="write"),
    ]
    held[2].write("new")
    held[3].write("words")
    (held[4].path / "inside").write_text("words")
    held[7][0:3] = b"new"
    (place.parent / "names").write_text("\n".join(os.listdir(place)))
    return held


def die(number):
    os.kill(os.getpid(), number)
    time.sleep(600)


ENDS = {
    "the last line": lambda: None,
    "exception": lambda: 1 / 0,
    "sys.exit": lambda: sys.exit(1),
    "os._exit": lambda: os._exit(1),
    "os.execv": lambda: os.execv(sys.executable, [sys.executable, "-c", "pass"]),
    "os.abort": os.abort,
    "program and guardian": lambda: die(signal.SIGKILL),
}


kept = []  # to the end


def work(end):
    if end in {"block", "exception in the block"}:
        try:
            with ExitStack() as stack:
                for each in hold():
                    stack.enter_context(each)
                if end != "block":
                    raise LookupError
        except LookupError:
            pass
        os._exit(0)  # what comes now must not be needed
    kept.extend(hold())
    if end == "drop":
        warnings.simplefilter("ignore")
        kept.clear()
        gc.collect()
        os._exit(0)
    if end == "on_signals":
        on_signals("SIGTERM")
        die(signal.SIGTERM)
    if end.startswith("SIG"):
        die(getattr(signal, end))
    ENDS[end]()


if __name__ == "__main__":
    if end == "child":
        child = multiprocessing.get_context("fork").Process(target=work, args=("the last line",))
        child.start()
        child.join()
        os._exit(0)
    work(end)
