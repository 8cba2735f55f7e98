"""A forked child can use every cache of its parent, whatever other threads were doing with it at that moment."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any

from helpers.forks import forks, forks_while_locked, in_child
from helpers.kinds import Kind
from helpers.threads import LIMIT

from safemem import LRUCache, cached

pytestmark = forks


class Hammer:
    """Threads that use a cache without pause while the block runs."""

    def __init__(self, *works: Callable[[], object]) -> None:
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(work,), daemon=True) for work in works]

    def run(self, work: Callable[[], object]) -> None:
        while not self.stop.is_set():
            work()

    def __enter__(self) -> None:
        for thread in self.threads:
            thread.start()

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join(10)


def use(cache: Any) -> None:
    """Use a cache in most ways."""
    cache["child"] = 1
    assert cache["child"] == 1
    cache.update((number, number) for number in range(100))
    cache.pop(5, None)
    list(cache.items())
    cache.get_or_create("made", int)
    cache.evict(2)
    repr(cache)
    assert len(cache) == cache.currsize <= 50
    cache._check()
    cache.clear()


@forks_while_locked
def test_fork_while_another_thread_writes(kind: Kind) -> None:
    """The child of a process whose other threads were in the middle of a write finds a whole, unlocked cache."""
    cache = kind.make(50)
    turn = [0]

    def write() -> None:
        turn[0] += 1
        cache.update((number, turn[0]) for number in range(turn[0] % 70))
        cache.popitem()

    def read() -> None:
        cache.get(turn[0] % 70)
        list(cache)

    with Hammer(write, read):
        for _ in range(15):
            assert in_child(lambda: use(cache)) == 0
            time.sleep(0.001)


@forks_while_locked
def test_fork_while_user_code_runs_in_a_write(kind: Kind) -> None:
    """A fork while another thread is inside `__eq__`, `getsizeof` or `on_remove` leaves the child nothing locked."""

    class Slow:
        def __init__(self, name: int) -> None:
            self.name = name

        def __hash__(self) -> int:
            return 1

        def __eq__(self, other: object) -> bool:
            time.sleep(0.0005)
            return isinstance(other, Slow) and self.name == other.name

    def weigh(_value: object) -> int:
        time.sleep(0.0005)
        return 1

    cache = kind.make(50, getsizeof=weigh, on_remove=lambda *_: time.sleep(0.0005))
    with Hammer(lambda: cache.__setitem__(Slow(1), 1), lambda: (cache.__setitem__(Slow(2), 1), cache.pop(Slow(2), None))):
        for _ in range(10):
            assert in_child(lambda: (cache.__setitem__("child", 1), cache.get("child"), cache.clear())) == 0
            time.sleep(0.002)


def test_fork_by_the_thread_that_is_inside(kind: Kind) -> None:
    """A fork made from inside a callback gives the child a cache that works, and the parent too."""
    statuses: list[int] = []
    cache = kind.make(
        2, on_remove=lambda *_: statuses.append(in_child(lambda: (cache.update(x=1), cache.get("x")))) if not statuses else None
    )
    cache.update(a=1, b=2, c=3)
    assert statuses == [0]
    assert list(cache) == ["b", "c"]


def test_fork_by_a_comparison() -> None:
    """A fork made from inside a key's `__eq__` too."""
    statuses: list[int] = []
    cache = LRUCache[Any, int](5)

    class Forks:
        def __hash__(self) -> int:
            return 1

        def __eq__(self, other: object) -> bool:
            if not statuses:
                statuses.append(1)
                statuses[0] = in_child(lambda: (cache.update(x=1), cache.get("x"), cache.clear()))
            return True

    cache[Forks()] = 1
    cache[Forks()] = 2
    assert statuses == [0]
    cache._check()


def test_fork_during_a_flight() -> None:
    """A flight of the parent does not exist in the child: the child computes for itself and nobody waits for ever."""
    entered, leave = threading.Event(), threading.Event()

    @cached
    def slow(key: str) -> str:
        entered.set()
        assert leave.wait(LIMIT)
        return f"{key} from {os.getpid()}"

    thread = threading.Thread(target=slow, args=("key",), daemon=True)
    thread.start()
    assert entered.wait(LIMIT)

    def child() -> None:
        leave.set()
        assert slow("key") == f"key from {os.getpid()}"

    assert in_child(child) == 0
    leave.set()
    thread.join(LIMIT)
    assert slow("key") == f"key from {os.getpid()}"


def test_locks_of_the_child_are_its_own(kind: Kind) -> None:
    """After the fork, parent and child go on independently."""
    cache = kind.make(5)
    cache["a"] = 1
    assert in_child(lambda: cache.clear()) == 0
    assert dict(cache) == {"a": 1}
