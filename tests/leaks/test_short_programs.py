"""`safemem audit` of programs that are over in milliseconds: what each call adds to is told, with the line; what is warmed, bounded or filled is not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

LEAKS = {
    "texts": (
        """
log = []

def handle(number):
    log.append("x" * 100 + str(number))

for number in range(500):
    handle(number)
""",
        "module __main__.log",
        5,
    ),
    "entries": (
        """
pages = {}

def page(number):
    if number in pages:
        return pages[number]
    pages[number] = text = "page" * 10 + str(number)
    return text

def main():
    for number in range(1000):
        page(number)

if __name__ == "__main__":
    main()
""",
        "module __main__.pages",
        7,
    ),
    "method": (
        """
import functools

class Service:
    @functools.lru_cache(maxsize=None)
    def get(self, key):
        return key * 2

for number in range(300):
    Service().get(number)
""",
        "module __main__.Service.get",
        5,
    ),
    "listeners": (
        """
class Bus:
    handlers = []

    @classmethod
    def on(cls, handler):
        cls.handlers.append(handler)

class Widget:
    def __init__(self):
        Bus.on(self.update)

    def update(self): ...

for _ in range(200):
    Widget()
""",
        "module __main__.Bus.handlers",
        7,
    ),
    "history": (
        """
class Service:
    def __init__(self):
        self.history = []

    def handle(self, number):
        self.history.append((number, str(number)))

service = Service()
for number in range(300):
    service.handle(number)
""",
        "module __main__.service.history",
        7,
    ),
    "threads": (
        """
import threading, time

events = []

def note(number):
    events.append((number, "x" * 20 + str(number)))

def work():
    end = time.monotonic() + 4  # a look takes half a second where there is no GIL
    while time.monotonic() < end:
        note(len(events))
        time.sleep(0.01)

threads = [threading.Thread(target=work) for _ in range(10)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
""",
        "module __main__.events",
        7,
    ),
    "many texts": (
        """
log = []

def handle(number):
    log.append(str(number))

for number in range(50_000):
    handle(number)
""",
        "module __main__.log",
        5,
    ),
    "queue": (
        """
import queue

waiting = queue.Queue()

def handle(number):
    waiting.put("x" * 10 + str(number))

for number in range(200):
    handle(number)
""",
        "module __main__.waiting",
        7,
    ),
    "closure": (
        """
def make():
    history = []

    def handle(number):
        history.append(str(number))

    return handle

handle = make()
for number in range(200):
    handle(number)
""",
        "closure variable 'history'",
        6,
    ),
    "exit handlers": (
        """
import atexit

class Connection:
    def __init__(self):
        atexit.register(self.close)

    def close(self): ...

for _ in range(150):
    Connection()
""",
        "atexit -> callback method Connection.close",
        8,
    ),
    "finalizers": (
        """
import weakref

class Reader:
    def __init__(self):
        weakref.finalize(self, self.close)

    def close(self): ...

for _ in range(150):
    Reader()
""",
        "module weakref.finalize._registry",
        None,
    ),
    "emptied at exit": (
        """
import atexit

waiting = []
atexit.register(waiting.clear)

def handle(number):
    waiting.append(str(number))

for number in range(300):
    handle(number)
""",
        "module __main__.waiting",
        8,
    ),
    "tasks": (
        """
import asyncio

requests = {}

async def handle(number):
    await asyncio.sleep(0)
    requests[number] = "body " + str(number)

async def main():
    for number in range(300):
        await handle(number)

asyncio.run(main())
""",
        "module __main__.requests",
        8,
    ),
}
CLEAN = {
    "memo": """
squares = {}

def square(number):
    if number not in squares:
        squares[number] = [number] * 10
    return squares[number]

for _ in range(5):
    for number in range(300):
        square(number)
""",
    "random keys": """
import random

seen = {}

def handle(key):
    seen[key] = seen.get(key, 0) + 1

chosen = random.Random(1)
for _ in range(2000):
    handle(chosen.randrange(400))
""",
    "bounds": """
import collections, functools

recent = collections.deque(maxlen=400)
newest = {}

@functools.lru_cache(maxsize=4096)
def double(number):
    return [number, number]

def handle(number):
    recent.append(number)
    newest[number] = double(number)
    if len(newest) > 150:
        newest.pop(next(iter(newest)))

for number in range(1500):
    handle(number)
""",
    "handlers that are taken back": """
import atexit

def work():
    atexit.register(print, "not shown")
    atexit.unregister(print)

for _ in range(300):
    work()
""",
    "warm for long": """
squares = {}

def square(number):
    if number not in squares:
        squares[number] = str(number * number)
    return squares[number]

for number in range(400_000):
    square(number)
for _ in range(2):
    for number in range(400_000):
        square(number)
""",
    "recursion": """
memo = {}

def distance(a, b, i, j):
    if (i, j) not in memo:
        if not i or not j:
            memo[i, j] = i + j
        else:
            same = distance(a, b, i - 1, j - 1) + (a[i - 1] != b[j - 1])
            memo[i, j] = min(same, distance(a, b, i - 1, j) + 1, distance(a, b, i, j - 1) + 1)
    return memo[i, j]

print(distance("a walk in the park on", "the park and the walk", 20, 20))
""",
    "loader": """
class Loader:
    def __init__(self):
        self.data = []

    def parse(self, line):
        return line.partition(":")

    def load(self, lines):
        for line in lines:
            self.data.append(self.parse(line))

loader = Loader()
loader.load(f"{number}:" for number in range(400))
print(len(loader.data))
""",
    "imports": """
import numpy
import xml.dom.minidom, email.mime.text, http.server, unittest.mock
print(numpy.zeros(3).sum())
""",
    "multiprocessing": """
import multiprocessing

def work(queue, value):
    value.value += 1
    queue.put(1)

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    queue, value = context.Queue(), context.Value("i", 0)
    process = context.Process(target=work, args=(queue, value))
    process.start()
    print(queue.get(), value.value)
    process.join()
    queue.close()
    queue.join_thread()
""",
    "profiled": """
import cProfile

squares = {}

def square(number):
    if number not in squares:
        squares[number] = [number] * 10
    return squares[number]

for number in range(300):
    square(number)
cProfile.Profile().runcall(square, 1)
for _ in range(5):
    for number in range(300):
        square(number)
""",
    "cursors": """
import atexit, sqlite3

connection = sqlite3.connect(":memory:")
atexit.register(connection.close)

def ask(number):
    return connection.execute("SELECT ?", (number,)).fetchone()

for number in range(170):
    ask(number)
""",
    "saw-tooth": """
batch = []
written = 0

def flush():
    global written
    written += len(batch)
    batch.clear()

def handle(number):
    batch.append(str(number))
    if len(batch) >= 300:
        flush()

for number in range(1000):
    handle(number)
""",
    "table": """
rows = []

def parse(line):
    return line.partition(":")

for number in range(400):
    rows.append(parse(f"{number}:{number * number}"))
print(len(rows))
""",
    "read": """
def parse(line):
    return line.partition(":")

def read():
    found = {}
    for number in range(400):
        found[number] = parse(f"{number}:{number * number}")
    return found

rows = read()
print(len(rows))
""",
    "tree": """
class Node:
    def __init__(self, key):
        self.key, self.left, self.right = key, None, None

def insert(node, key):
    if node is None:
        return Node(key)
    if key < node.key:
        node.left = insert(node.left, key)
    else:
        node.right = insert(node.right, key)
    return node

def main():
    root = None
    for number in range(1000):
        root = insert(root, number * 7919 % 1009)

main()
""",
}
ALONE = """
import cProfile, gc, sys, threading

called = []

def handle(number):
    called.append(number)

def hook(frame, event, _):
    if event == "call" and frame.f_code is handle.__code__:
        called.append("seen")

gc.callbacks.clear()
profile = cProfile.Profile()
profile.runcall(handle, 1)
sys.setprofile(hook)
handle(2)
sys.setprofile(None)
if sys.version_info >= (3, 12):
    for tool in range(6):
        if tool not in (3, 4):
            sys.monitoring.use_tool_id(tool, "mine")
            sys.monitoring.free_tool_id(tool)
print(called)
"""


def audit(tmp_path, code):
    """Run a program under `safemem audit`."""
    path = tmp_path / "program.py"
    path.write_text(code)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent.parent)}
    command = [sys.executable, "-m", "safemem", "audit", str(path)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("name", LEAKS)
def test_what_each_call_adds_to_leaks(tmp_path, name):
    """Some hundred calls are enough, whatever they leave; the holder is named, and the line that adds to it."""
    code, holder, line = LEAKS[name]
    done = audit(tmp_path, code)
    assert (done.returncode, "1 leak" in done.stderr) == (3, True), done.stderr
    assert holder in done.stderr
    assert line is None or f"program.py:{line}\n" in done.stderr, done.stderr


@pytest.mark.parametrize("name", CLEAN)
def test_what_does_not_go_on_growing_is_clean(tmp_path, name):
    """A cache that is warm, one with a bound, a batch that is written, a table that the body of the program fills, what is local to `main()`."""
    done = audit(tmp_path, CLEAN[name])
    assert (done.returncode, "no leaks" in done.stderr) == (0, True), done.stderr


def test_program_has_its_profilers_to_itself(tmp_path):
    """It may profile itself and set hooks while calls are counted."""
    done = audit(tmp_path, ALONE)
    assert (done.returncode, done.stdout) == (0, "[1, 'seen', 2]\n"), done.stderr
