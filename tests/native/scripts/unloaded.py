"""Forgets the package, so that the collector takes the native module apart, and calls what it made in the middle of that."""

from __future__ import annotations

import gc
import importlib
import sys
import typing
import warnings

from helpers.late import calls_of, late_class

log: list[str] = []
warnings.simplefilter("ignore", RuntimeWarning)  # a result that is ready and never asked for


def call_all(calls: list[object]) -> None:
    """Call everything and write down what came of it."""
    for call in calls:
        try:
            call()
            log.append("answered")
        except Exception as error:  # noqa: BLE001 - much is gone
            log.append(type(error).__name__)


def use() -> None:
    """Import the package, make a cycle of the module and of what it made, and drop it."""
    safemem = importlib.import_module("safemem")
    native = sys.modules["safemem.core._native"]
    gc.collect()  # the collector clears in the order of age: first the module, then what the finaliser needs

    Late = late_class(call_all)

    cache = safemem.LRUCache(3)
    function = native.CallCore()
    function._prepare(key=None, typed=False, awaited=True, owners=sys.modules["safemem.core._owners"].Owners("x"))

    class Store:
        direct = cache

    function._store = Store
    cache[1,] = "result"
    ready = function(1)
    other = native.CallCore()
    wrapper = native.lru_wrapper(lambda x: x, 3, False, tuple)
    calls_of(Late)[:] = [
        lambda: function(1).close(),
        lambda: ready.throw(ValueError),
        lambda: native.lru_wrapper(len, 3, False, tuple),
        lambda make=native.lru_wrapper: make(len, 3, False, tuple),
        lambda make=native.lru_wrapper: make(len, 0, False, tuple)("x"),
        lambda: wrapper(1),
        lambda make=native.BoundCore: make(function, 1)(1),
        lambda make=native.CallCore: make()(1),
        lambda: setattr(other, "_store", Store),
        lambda make=native.LRUCore: make(),
        lambda direct=native.direct: direct(cache),
    ]
    native.late = Late()  # goes with the module's dict, right after what the module itself lets go of
    native.itself = native


for _ in range(3):
    try:
        use()
    except AttributeError:
        pass
    for name in [name for name in sys.modules if name.startswith("safemem")]:
        del sys.modules[name]
    for forget in typing._cleanups:  # what it remembers of generic classes
        forget()
    gc.collect()
    gc.collect()
assert log
