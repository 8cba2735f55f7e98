"""@cached methods and the life of their instances: cycles, finalisers, addresses used twice, threads."""

from __future__ import annotations

import gc
import os
import threading
import time
import weakref
from typing import Any

import pytest
from helpers.collect import Thing
from helpers.isolate import run_code
from helpers.threads import run_threads

from safemem import cached
from safemem.core._owners import Owners


def test_value_that_refers_to_its_instance() -> None:
    """Where the instance has a `__dict__`, a result that refers back to it is left to the collector, which frees both."""

    class Owner:
        @cached
        def method(self) -> Thing:
            thing = Thing()
            thing.other = self
            return thing

        @cached
        def me(self) -> Owner:
            return self

    owner = Owner()
    watch = [weakref.ref(owner), weakref.ref(owner.method())]
    assert owner.me() is owner
    del owner
    gc.collect()
    assert [reference() for reference in watch] == [None, None]


def test_value_that_refers_to_its_slotted_instance() -> None:
    """A slotted instance whose result refers to it lives until its cache is cleared, as documented."""

    class Owner:
        __slots__ = ("__weakref__",)

        @cached
        def method(self) -> Thing:
            thing = Thing()
            thing.other = self
            return thing

    owner = Owner()
    watch = weakref.ref(owner)
    owner.method()
    owner.method.cache_clear()
    del owner
    gc.collect()
    assert watch() is None


def test_finaliser_that_calls_the_method() -> None:
    """An instance whose `__del__` calls its cached method dies in peace."""
    answers: list[int] = []

    class Owner:
        @cached
        def method(self, x: int) -> int:
            return x

        def __del__(self) -> None:
            answers.append(self.method(1))
            answers.append(self.method(2))

    owner = Owner()
    owner.method(1)
    watch = weakref.ref(owner)
    del owner
    assert answers == [1, 2]
    assert watch() is None


def test_address_reuse() -> None:
    """An instance made where another died does not inherit its results, while its finaliser runs either."""

    class Owner:
        __slots__ = ("__weakref__", "number")

        def __init__(self, number: int) -> None:
            self.number = number

        @cached
        def method(self) -> int:
            return self.number

    addresses = set()
    for number in range(3000):
        owner = Owner(number)
        addresses.add(id(owner))
        assert owner.method() == number
        del owner
    # AddressSanitizer keeps what was freed for a while, so that nothing is made where another died.
    reused = len({id(Owner(number)) for number in range(3000)}) < 3000
    assert len(addresses) < 3000 or not reused, "no address was used twice: the test showed nothing"


def test_address_reuse_leaves_nothing() -> None:
    """Owners without a `__dict__` that come and go at one address: what is known of the dead ones does not pile up."""

    class Slotted:
        __slots__ = ("__weakref__",)

    owners: Owners[Any] = Owners("x")
    before: int | None = None
    again = 0
    for _ in range(1000):
        owner = Slotted()
        again += id(owner) == before
        before = id(owner)
        owners.give(owner, object())
        del owner
        assert len(owners._queue) == len(owners._table)
    # A malloc that looks for mistakes keeps addresses from being used again.
    assert again > 100 or os.environ.get("PYTHONMALLOC", "").startswith("malloc")
    assert len(owners._table) < 10


def test_same_method_on_one_instance_in_threads() -> None:
    """Many threads that call one method of one instance run it once."""

    class Owner:
        def __init__(self) -> None:
            self.calls: list[int] = []
            self.go = threading.Event()

        @cached
        def method(self, x: int) -> Thing:
            self.calls.append(x)
            self.go.wait(0.05)
            return Thing(x)

    owner = Owner()
    results: list[Thing] = []
    run_threads(16, lambda _number: results.append(owner.method(1)))
    assert owner.calls == [1]
    assert len({id(result) for result in results}) == 1


def test_same_method_on_many_instances_in_threads() -> None:
    """Threads with an instance each do not wait for each other."""

    class Owner:
        barrier = threading.Barrier(4, timeout=20)

        @cached
        def method(self) -> int:
            return self.barrier.wait()

    results: list[int] = []
    run_threads(4, lambda _number: results.append(Owner().method()))
    assert sorted(results) == [0, 1, 2, 3]


def test_first_call_in_many_threads() -> None:
    """The first calls on an instance, from many threads, leave it with one cache, in which all their results are."""

    def slowly() -> dict[object, object]:
        time.sleep(0.01)  # so that all threads are making one at the same time
        return {}

    class Owner:
        @cached(cache=slowly)
        def method(self, x: int) -> int:
            return x

    class Slotted:
        __slots__ = ("__weakref__",)

        @cached(cache=slowly)
        def method(self, x: int) -> int:
            return x

    for cls in (Owner, Slotted):
        owner: Any = cls()
        caches: list[int] = []

        def work(number: int, owner: Any = owner, caches: list[int] = caches) -> None:
            owner.method(number)
            caches.append(id(owner.method.cache))

        run_threads(4, work)
        assert len(set(caches)) == 1
        assert owner.method.cache_info().currsize == 4


def test_recursion_between_instances() -> None:
    """A method may call itself on another instance with the same arguments; on the same one it gets RecursionError."""

    class Node:
        def __init__(self, child: Node | None = None) -> None:
            self.child = child

        @cached
        def depth(self) -> int:
            return 1 + (self.child.depth() if self.child else 0)

    assert Node(Node(Node())).depth() == 3
    loop = Node()
    loop.child = loop
    with pytest.raises(RecursionError):
        loop.depth()
    loop.child = None
    assert loop.depth() == 1


PINNED = """
from safemem import cached

class Owner:
    {slots}

    @cached
    def method(self):
        return [{value}]

Owner().method()
"""


@pytest.mark.parametrize(
    ("slots", "value", "dev", "warned"),
    [
        ("__slots__ = ('__weakref__',)", "self", True, True),
        ("__slots__ = ('__weakref__',)", "self", False, False),
        ("__slots__ = ('__weakref__',)", "1", True, False),
        ("pass", "self", True, False),
    ],
    ids=["pinned", "not in dev mode", "no reference", "with __dict__"],
)
def test_cycle_warning(slots: str, value: str, dev: bool, warned: bool) -> None:
    """Under -X dev, and only there, a slotted instance that its own result keeps alive is warned about."""
    done = run_code(PINNED.format(slots=slots, value=value), *(["-X", "dev"] if dev else []))
    assert done.returncode == 0, done.stderr
    assert ("CycleWarning" in done.stderr) is warned, done.stderr
    if warned:
        assert "Owner.method" in done.stderr
