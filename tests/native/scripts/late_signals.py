"""Emits while the package is taken apart, and ends with signals in the hands of finalisers, threads and cycles."""

from __future__ import annotations

import builtins
import gc
import importlib
import sys
import threading
import typing

from helpers.late import calls_of, late_class

heard: list[object] = []
outcomes: list[str] = []


def call_all(calls: list[tuple[str, typing.Any]]) -> None:
    """Call everything and write down what came of it."""
    for name, call in calls:
        before = len(heard)
        try:
            call()
            outcomes.append(f"{name}: heard {len(heard) - before}")
        except Exception as error:  # noqa: BLE001 - much is gone
            outcomes.append(f"{name}: {type(error).__name__}")


def fail() -> None:
    """Fail."""
    raise LookupError


class Listener:
    """Has a method."""

    def hear(self, value: object) -> None:
        """Write it down."""
        heard.append(value)


listener = Listener()  # outlives the module


def use() -> None:
    """Import the package, make a cycle of the module and of what it made, and drop it."""
    safemem = importlib.import_module("safemem")
    importlib.import_module("safemem.observers.signal")
    links = sys.modules["safemem.observers.links"]
    native = sys.modules["safemem.core._native"]
    gc.collect()  # the collector clears in the order of age: first the module, then what the finaliser needs

    Late = late_class(call_all)

    about = sys.modules["safemem.core._emission"].About("late", None, replay=False)
    origin = (0, use.__code__, 0, about)
    core, failing = native.EmissionCore(), native.EmissionCore()
    failing._about = about
    core._links = (native.LinkCore(heard.append, None, origin), links.Link(heard.append, None, origin))
    failing._links = (links.Link(fail, None, origin),)
    signal = safemem.Signal(name="late")
    signal.connect(listener.hear)
    signal.connect(heard.append)
    calls_of(Late)[:] = [
        ("core", lambda emit=core.emit: emit(1)),
        ("failing", lambda emit=failing.emit: emit()),
        ("signal", lambda signal=signal: signal.emit(1)),
        ("connect", lambda signal=signal: signal.connect(heard.append)),
        ("append", lambda core=core, link=core._links[0]: core._append(link)),
        ("make", lambda make=native.EmissionCore: make().emit()),
        ("link", lambda make=native.LinkCore: make(heard.append, None, origin).end()),
    ]
    native.late = Late()  # goes with the module's dict, right after what the module itself lets go of
    native.itself = native
    signal.__class__.itself = signal


for _ in range(3):
    use()
    for name in [name for name in sys.modules if name.startswith("safemem")]:
        del sys.modules[name]
    for forget in typing._cleanups:  # what it remembers of generic classes
        forget()
    gc.collect()
    gc.collect()
assert outcomes.count("core: heard 2") == outcomes.count("failing: ExceptionGroup") > 0, outcomes

# And at the end of the process.
from safemem import Signal  # noqa: E402


class Emitter:
    """Emits when it goes."""

    changed: Signal = Signal()
    again: Signal = Signal(replay=True)

    def __init__(self) -> None:
        self.me = self
        self.changed.connect(self.hear)
        self.changed.connect(lambda *_: None, owner=self)

    def hear(self, *_values: object) -> None:
        """Emit another one."""
        self.again.emit(1)

    def __del__(self, shared: Signal = Signal()) -> None:  # noqa: B008 - one for all
        self.changed.emit("late")
        shared.connect(self.hear)
        shared.emit("later")
        self.again.send()


sys.emitter = Emitter()
builtins.emitter = Emitter()
Emitter()
Emitter.of_class = Emitter()
signal = Signal()
signal.connect(int)
stop = threading.Event()


def work() -> None:
    """Emit until the process ends; emitting takes no lock, which this thread would take along when it is stopped."""
    while True:
        signal.emit()
        sys.emitter.changed.emit(1)


threading.Thread(target=work, daemon=True).start()
stop.wait(0.1)
