"""`safemem audit` of programs that are over in milliseconds: what each call adds to is told, with its holder and the line."""

from __future__ import annotations

import pytest
from helpers.audited import audit

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
    "import in between": (
        """
import pathlib

found = []

def note(number):
    found.append(str(number))

def work():
    for number in range(150):
        note(number)

work()
pathlib.Path(__file__).with_name("late_import.py").write_text("from __main__ import work; work()")
import late_import
work()
work()
""",
        "module __main__.found",
        7,
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


@pytest.mark.parametrize("name", LEAKS)
def test_what_each_call_adds_to_leaks(tmp_path, name):
    """Some hundred calls are enough, whatever they leave; the holder is named, and the line that adds to it."""
    code, holder, line = LEAKS[name]
    done = audit(tmp_path, code)
    assert (done.returncode, "1 leak" in done.stderr) == (3, True), done.stderr
    assert holder in done.stderr
    assert line is None or f"program.py:{line}\n" in done.stderr, done.stderr
