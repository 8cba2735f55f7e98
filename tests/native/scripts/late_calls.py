"""Ends with decorated functions alive in globals, in threads, in cycles and in the hands of finalisers that call them."""

from __future__ import annotations

import asyncio
import builtins
import sys
import threading
import warnings

from safemem import cached, core, lru_cache


class Owner:
    """One with methods."""

    @cached
    def method(self, x: object) -> object:
        """Keep the owner."""
        return [self, x]

    @cached
    async def later(self, x: object) -> object:
        """Keep the owner, later."""
        return [self, x]


@cached(typed=True)
def function(*args: object, **kwargs: object) -> object:
    """Return something new."""
    return [args, kwargs]


@cached
async def later(x: object) -> object:
    """Return something new."""
    return [x]


@lru_cache(maxsize=3)
def old(*args: object, **kwargs: object) -> object:
    """Return something new."""
    return [args, kwargs]


def make(owner: object) -> list[object]:
    """What finalisers call: a hit, a miss, a result that is ready, a wrapper, something bound."""
    return [
        lambda: function("late"),
        lambda: function(object(), x=1),
        lambda: later("late").close(),
        lambda: owner.method("late"),
        lambda: owner.later("late").close(),
        lambda: old("late"),
        lambda: old(object(), x=2),
        lambda: core.lru_wrapper(len, 3, False, tuple)("x"),
        lambda: lru_cache(len)("x"),
        lambda: function.cache_clear(),
        lambda: old.cache_clear(),
        lambda: owner.method.cache_info(),
    ]


def call_all(calls: list[object]) -> None:
    """Call everything; at the end of a process much is gone already, which may raise but no more."""
    for call in calls:
        try:
            call()
        except Exception:  # noqa: BLE001 - whatever is gone
            pass


owner = Owner()
calls = make(owner)
asyncio.run(later("late"))
asyncio.run(owner.later("late"))
call_all(calls)


class Late:
    """Calls them when it goes; the collector does not see it."""

    __slots__ = ()

    def __del__(self, calls: list[object] = calls, call_all: object = call_all) -> None:
        call_all(calls)


class Cyclic:
    """Calls them when the collector finds it."""

    def __init__(self) -> None:
        self.me = self

    def __del__(self, calls: list[object] = calls, call_all: object = call_all) -> None:
        call_all(calls)


THREAD = sys.argv[1:] == ["thread"]  # it may end with a lock held, which finalisers would wait for
if THREAD:
    Late = Cyclic = object
for cache in (function.cache, later.cache, owner.method.cache, owner.later.cache):
    cache["late"], cache["cyclic"], cache["function"], cache["bound"] = Late(), Cyclic(), function, owner.method
old(Late()), old(Cyclic()), old(old)
old.itself, function.itself, owner.bound, Owner.late = old, function, owner.method, Late()
builtins.late_bound, builtins.late_function, builtins.late_wrapper, builtins.late_ready = owner.method, function, old, later("late")
sys.late = [Late(), Cyclic(), owner, later("late"), owner.later("late")]
warnings.simplefilter("ignore", RuntimeWarning)  # those are never awaited
sys.warnoptions[:] = []


def work() -> None:
    """Use them until the process ends."""
    number = 0
    while True:
        number += 1
        function(number % 300)
        old(number % 5, x=1)
        owner.method(number % 300)


if THREAD:
    threading.Thread(target=work, daemon=True).start()
    threading.Event().wait(0.2)
