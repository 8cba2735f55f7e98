"""What else the docs say of the end of a Python program, beside the table of ends: each sentence is observed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import safemem

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the page is about ends on POSIX systems")

# The sentence, a program, and what it says, at once and past all buffers.
CLAIMS = {
    "the traceback comes before threads and handlers": (
        """
def work(): threading.main_thread().join(); say('thread')
sys.excepthook = lambda *_: say('traceback')
threading.Thread(target=work).start()
atexit.register(say, 'handler')
1 / 0
""",
        "traceback thread handler",
    ),
    "executors finish what was submitted": (
        """
from concurrent.futures import ThreadPoolExecutor
pool = ThreadPoolExecutor(1)
atexit.register(say, 'handler')
[pool.submit(lambda: (time.sleep(0.05), say('task'))) for _ in range(3)]
""",
        "task task task handler",
    ),
    "Ctrl-C ends the waiting for threads": (
        """
ready = threading.Event()
def once(*_):
  signal.signal(signal.SIGINT, signal.SIG_IGN)
  raise KeyboardInterrupt
def work():
  ready.wait()
  while True:  # the first may come when nothing can be interrupted
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
    time.sleep(0.05)
signal.signal(signal.SIGINT, once)
sys.unraisablehook = sys.excepthook = lambda *_: None
threading.Thread(target=work).start()
atexit.register(say, 'handler')
threading._register_atexit(ready.set)
""",
        "handler",
    ),
    "sys.exit() in a thread ends the thread": (
        """
t = threading.Thread(target=sys.exit, args=(5,)); t.start(); t.join(); say('goes on')
""",
        "goes on",
    ),
    "an error in a handler is told, and no more": (
        """
sys.unraisablehook = lambda _: say('told')
atexit.register(say, 'other')
atexit.register(sys.exit, 3)
atexit.register(int, 'x')
""",
        "told told other",
    ),
    "handlers of handlers are forgotten": (
        """
atexit.register(lambda: atexit.register(say, 'second') and say('first'))
""",
        "first",
    ),
    "late finalisers are never called": (
        """
class Thing: pass
thing, other = Thing(), Thing()
atexit.register(lambda: weakref.finalize(other, say, 'late') and None)
weakref.finalize(thing, say, 'early')
""",
        "early",
    ),
    "those of safemem work when their object dies": (
        """
import safemem
class Thing: pass
thing, others = Thing(), [Thing()]
atexit.register(lambda: (safemem.finalize(others[0], say, 'late'), others.clear()))
safemem.finalize(thing, say, 'early')
""",
        "early late",
    ),
    "daemon threads run beside handlers, and leave no block": (
        """
ready, asked = threading.Event(), threading.Event()
def work():
  try:
    asked.wait(); say('daemon'); ready.set(); time.sleep(600)
  finally: say('left')
threading.Thread(target=work, daemon=True).start()
atexit.register(lambda: (asked.set(), ready.wait(30), say('handler')))
""",
        "daemon handler",
    ),
    "executors take no work from handlers": (
        """
from concurrent.futures import ThreadPoolExecutor
pool = ThreadPoolExecutor(1)
def late():
  try: pool.submit(say, 'never')
  except RuntimeError: say('refused')
atexit.register(late)
""",
        "refused",
    ),
    "the streams are flushed before modules go": (
        """
class Thing:
  def __del__(self, say=say): say('module')
thing = Thing(); sys.stdout.write('buffered ')
""",
        "buffered module",
    ),
    "open and import are gone at last": (
        """
class Thing:
  def __del__(self):
    for do in (lambda: open('/dev/null'), lambda: __import__('os')):
      try: do()
      except (NameError, ImportError) as error: say(type(error).__name__)
thing = Thing()
""",
        "NameError ImportError",
    ),
    "a generator's block is left with its module": (
        """
def walk(say=say):
  try: yield
  finally: say('left')
walking = walk(); next(walking)
""",
        "left",
    ),
    "a forked child writes the buffers again": (
        """
sys.stdout.write('buffered ')
if os.fork() == 0: sys.exit()
os.wait()
""",
        "buffered buffered",
    ),
    "of the parent's threads there is none in a child": (
        """
stop = threading.Event()
def work():
  try: stop.wait()
  finally: say('left')
t = threading.Thread(target=work); t.start()
warnings.simplefilter('ignore')
if os.fork() == 0: sys.exit()
os.wait(); say('child gone'); stop.set()
""",
        "child gone left",
    ),
}

START = """
import atexit, os, signal, sys, threading, time, warnings, weakref
def say(text, write=os.write): write(1, text.encode() + b' ')
"""


@pytest.mark.parametrize("claim", CLAIMS)
def test_claim(tmp_path, claim):
    """What the page says beside its table is what happens; the exit status tells of nothing but the main thread."""
    code, expected = CLAIMS[claim]
    script = tmp_path / "script.py"
    script.write_text(START + code)
    environment = {**os.environ, "PYTHONPATH": str(Path(safemem.__file__).parent.parent), "PYTHONUNBUFFERED": ""}
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=False, env=environment)
    assert (done.stdout.strip(), done.returncode) == (expected, int("1 / 0" in code)), done.stderr
