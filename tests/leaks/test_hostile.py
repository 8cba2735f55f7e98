"""The audit looks at anything and runs nothing: no method, no property, no metaclass of what it looks at."""

from __future__ import annotations

import sys
import threading
import time
from types import ModuleType

import pytest
from helpers.collect import set_heap_aside

from safemem import check_leaks, why_alive

calls: list[str] = []


def forbidden(name):
    """A method that must not be called."""

    def method(self, *args):
        calls.append(name)
        raise RuntimeError(name)

    return method


NAMES = (
    "__len__",
    "__iter__",
    "__bool__",
    "__eq__",
    "__hash__",
    "__repr__",
    "__str__",
    "__getattr__",
    "__getattribute__",
    "__sizeof__",
    "__dir__",
    "__call__",
)


class Meta(type):
    """A metaclass that answers nothing."""

    __hash__ = forbidden("Meta.__hash__")
    __eq__ = forbidden("Meta.__eq__")
    __instancecheck__ = forbidden("Meta.__instancecheck__")
    __subclasscheck__ = forbidden("Meta.__subclasscheck__")
    __repr__ = forbidden("Meta.__repr__")
    __len__ = forbidden("Meta.__len__")

    def __getattribute__(cls, name):
        calls.append(f"Meta.{name}")
        raise RuntimeError(name)


def hostile_class():
    """A class of which every method that could be called by accident raises."""
    namespace = {name: forbidden(name) for name in NAMES}
    namespace["__class__"] = property(forbidden("__class__"))
    namespace["__module__"] = "shop"
    return Meta("Proxy", (), namespace)


@pytest.fixture(name="shop")
def _shop():
    """A module that a program has."""
    module = ModuleType("shop")
    sys.modules["shop"] = module
    calls.clear()
    yield module
    del sys.modules["shop"]


def test_growing_list_of_proxies(shop):
    """A list of objects that raise whatever one does with them is found, and none of them was asked."""
    Proxy = hostile_class()
    shop.proxies = []
    make = object.__new__

    def leak():
        shop.proxies.append(make(Proxy))

    report = check_leaks(leak)
    assert [leak.kind for leak in report.leaks] == ["growth"]
    assert report.leaks[0].holder.startswith("module shop.proxies")
    assert "Proxy" in report.leaks[0].holder
    assert calls == []


def test_keys_of_a_hostile_class(shop):
    """Keys are told by their type."""

    class Key:
        __hash__ = object.__hash__
        __repr__ = forbidden("__repr__")

    shop.table = {Key(): []}
    calls.clear()
    assert why_alive(next(iter(shop.table.values()))).holder == "module shop.table[<Key>]"
    assert calls == []


def test_module_that_is_none(shop):
    """Modules may be anything: a lazy object, None, an instance of a class of its own."""

    class Lazy(ModuleType):
        __getattr__ = forbidden("__getattr__")

    sys.modules["shop.lazy"] = lazy = Lazy("shop.lazy")
    sys.modules["shop.none"] = None
    sys.modules["shop.object"] = object.__new__(hostile_class())
    try:
        vars(lazy)["held"] = held = [[]]
        assert why_alive(held[0]).holder.endswith("[0]")
        assert calls == []
    finally:
        for name in ("lazy", "none", "object"):
            del sys.modules[f"shop.{name}"]


def test_deep_nesting(shop):
    """A list in a list in a list, a hundred thousand deep, is walked through without recursion."""
    innermost = []
    deep = innermost
    for _ in range(100_000):
        deep = [deep]
    shop.deep = deep
    path = why_alive(shop.deep[0])
    assert path.holder == "module shop.deep[0]"
    while deep:
        deep = deep.pop()


def test_half_made_objects(shop):
    """Instances whose slots are empty, exceptions without arguments, functions being made: nothing of it raises."""

    class Slots:
        __slots__ = ("first", "second")

    shop.half = [Slots.__new__(Slots), BaseException.__new__(BaseException), object.__new__(object), memoryview(b"x")]
    assert [why_alive(obj).holder for obj in shop.half][0] == "module shop.half[0]"

    def leak():
        shop.half.append(Slots.__new__(Slots))

    assert not check_leaks(leak).ok


def test_huge_containers(shop):
    """A dict and a list of a million entries are no hindrance."""
    shop.huge = dict.fromkeys(range(300_000)), [None] * 300_000
    seen = shop.huge[1]

    def leak():
        seen.append(1)

    report = check_leaks(leak)
    assert [leak.kind for leak in report.leaks] == ["growth"]


def test_finaliser_that_bites(shop):
    """A `__del__` that changes what is looked at runs when it would, and nothing goes wrong."""

    class Biter:
        def __del__(self):
            shop.bites.append(1)
            shop.bites.clear()

    shop.bites = []

    def work():
        Biter()
        me = Biter()
        me.me = me

    assert all(leak.kind == "cycle" for leak in check_leaks(work).leaks)


def test_threads_that_change_what_is_looked_at(shop):
    """Other threads fill and empty dicts, make classes and leave cycles meanwhile: nothing goes wrong, and nothing is told of it."""
    shop.pool = [{} for _ in range(50)]
    hostile = hostile_class()

    def work():
        for number in range(3000):
            space = shop.pool[number % 50]
            space[number] = [object.__new__(hostile), {number: number}]
            cycle = []
            cycle.append(cycle)
            if len(space) > 10:
                space.clear()
            time.sleep(0)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        report = check_leaks(lambda: None, rounds=3)
        why_alive(shop.pool[3])
    finally:
        for thread in threads:
            thread.join()
    assert [leak for leak in report.leaks if leak.kind != "thread"] == []
    assert calls == []


def test_frozen_objects(shop):
    """What was hidden from the collector by gc.freeze() is found by the walk."""
    shop.frozen = [object()]
    set_heap_aside()
    assert why_alive(shop.frozen[0]).holder == "module shop.frozen[0]"
