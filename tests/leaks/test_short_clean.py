"""`safemem audit` of programs that are over in milliseconds: what is warmed, bounded, filled or local is no leak, and hooks are the program's own."""

from __future__ import annotations

import pytest
from helpers.audited import audit

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


@pytest.mark.parametrize("name", CLEAN)
def test_what_does_not_go_on_growing_is_clean(tmp_path, name):
    """A cache that is warm, one with a bound, a batch that is written, a table that the body of the program fills, what is local to `main()`."""
    done = audit(tmp_path, CLEAN[name])
    assert (done.returncode, "no leaks" in done.stderr) == (0, True), done.stderr


def test_program_has_its_profilers_to_itself(tmp_path):
    """It may profile itself and set hooks while calls are counted."""
    done = audit(tmp_path, ALONE)
    assert (done.returncode, done.stdout) == (0, "[1, 'seen', 2]\n"), done.stderr
