"""Imports and uses the native core in interpreters of their own, one after the other and side by side, with their own GIL where there is one."""

from __future__ import annotations

import sys
import threading

CODE = """
import gc
from safemem.core._native import LRUCore, TTLCore, TLRUCore
for core in (LRUCore, TTLCore, TLRUCore):
    cache = core()
    cache._configure(maxsize=50, weighs=False, on_remove=lambda *told: None, hooked=False)
    for number in range(500):
        cache[f"key {number}"] = [number]
        cache.get("key 3")
    assert len(list(cache._iterate_items())) == 50
    cache["itself"] = cache
    cache._check()
gc.collect()

from safemem import cached, lru_cache
class Owner:
    @cached
    def method(self, x, **names): return [self, x]
@cached(typed=True)
def function(*args, **names): return [args]
@cached
async def later(x): return [x]
old = lru_cache(maxsize=10)(lambda *args, **names: [args])
owner = Owner()
later.cache[1,] = "known"
for number in range(300):
    for x in (number, 1, "text", 2.5):
        assert owner.method(x, y=1) is owner.method(x, y=1)
        assert function(x, y=1) is function(x, y=1)
        assert old(x) is old(x)
    try:
        later(1).send(None)
    except StopIteration as stop:
        assert stop.value == "known"

from safemem import Signal
class Emitter:
    changed: Signal = Signal()
    again: Signal = Signal(replay=True)
    def hear(self, *args, **names): self.heard = args
def fail(*args, **names): raise LookupError(args)
emitter, alone = Emitter(), Signal()
for number in range(100):
    for changed in (emitter.changed, emitter.again, alone):
        changed.connect(emitter.hear, owner=emitter, once=True)
        changed.connect(lambda *args, **names: alone)
        changed.connect(fail, priority=1)
        try:
            changed.emit(number, x=1)
        except ExceptionGroup as group:
            assert len(group.exceptions) == 1
        assert emitter.heard == (number,)
        if number < 99:
            changed.clear()
from safemem import TreeNode
class Small(TreeNode):
    __slots__ = ()
class Record(TreeNode, dict):
    pass
top = Record()
for number in range(300):
    for kind in (TreeNode, Small, Record):
        node = kind()
        (node if number % 7 == 0 else top).append(top if number % 7 == 0 else node)
        top = top.root
top.extend(reversed(top.children))
top.children[0]["top"] = top
assert len([*top.walk()]) == 901
function.itself, old.itself, owner.bound, later.owner = function, old, owner.method, owner
gc.collect()
"""


def run_one(interpreters: object) -> None:
    """Make an interpreter, run the code, destroy it."""
    identity = interpreters.create()
    try:
        failure = interpreters.run_string(identity, CODE)
        assert failure is None, failure
    finally:
        interpreters.destroy(identity)


def main() -> None:
    """Use them one after the other, then four at once."""
    if sys.version_info >= (3, 13):
        import _interpreters as interpreters
    else:
        import _xxsubinterpreters as interpreters
    exec(CODE, {})
    for _ in range(4):
        run_one(interpreters)
    if sys.version_info >= (3, 12):
        threads = [threading.Thread(target=run_one, args=(interpreters,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    exec(CODE, {})


if __name__ == "__main__":
    main()
