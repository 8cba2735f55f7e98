"""WeakRegistry: registering, who hears of removals, order, copies, names that bite."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from typing import Any

import pytest
from helpers.collect import collector_off, no_cyclic_garbage

from safemem import RemovalCause, WeakRegistry


class Thing:
    pass


def test_register_as_function_and_decorator():
    """Everything comes back unchanged; the default name is `__name__`."""
    r: WeakRegistry[str, Any] = WeakRegistry()

    @r.register
    def plain():
        pass

    @r.register(name="other")
    class Named:
        pass

    thing = Thing()
    assert r.register(thing, "thing") is thing
    assert r.register(thing, "thing") is thing
    assert list(r.items()) == [("plain", plain), ("other", Named), ("thing", thing)]


def test_a_name_is_taken_while_its_object_lives():
    """ValueError then, unless replace=True; afterwards it is free."""
    r: WeakRegistry[str, Any] = WeakRegistry()
    first, second = Thing(), Thing()
    r.register(first, "x")
    with pytest.raises(ValueError, match="name 'x' is taken by .*replace=True"):
        r.register(second, "x")
    assert r["x"] is first
    r.register(second, "x", replace=True)
    assert r["x"] is second
    del first, second
    third = r.register(Thing(), "x")
    assert r["x"] is third


def test_what_cannot_be_registered():
    """No name: ValueError. No weak references: TypeError that says what to do."""
    r: WeakRegistry[str, Any] = WeakRegistry()
    with pytest.raises(ValueError, match="name must be given for an object without a __name__"):
        r.register(Thing())
    with pytest.raises(TypeError, match="type int: add '__weakref__'.*weakref_slot=True"):
        r.register(3, "three")
    with pytest.raises(TypeError, match="type str: add '__weakref__'"):
        r["a"] = "text"
    with pytest.raises(TypeError, match="on_remove must be callable, got 3"):
        WeakRegistry(on_remove=3)  # type: ignore[arg-type]


def test_on_remove_hears_each_removal_once():
    """With its cause, in order, the registry consistent; the same object again is no removal."""
    heard: list[Any] = []
    r: WeakRegistry[Any, Any] = WeakRegistry(on_remove=lambda name, obj, cause: heard.append((name, obj, cause, name in r)))
    a, b, c = Thing(), Thing(), Thing()
    r["x"] = a
    r["x"] = a
    assert heard == []
    r["x"] = b
    del r["x"]
    r["y"], r["z"] = a, b
    r.popitem()
    r.clear()
    r["c"] = c
    del c
    assert len(heard) == 4
    assert len(r) == 0
    explicit, replaced, collected = RemovalCause.EXPLICIT, RemovalCause.REPLACED, RemovalCause.COLLECTED
    assert heard == [
        ("x", a, replaced, True),
        ("x", b, explicit, False),
        ("z", b, explicit, False),
        ("y", a, explicit, False),
        ("c", None, collected, False),
    ]
    assert len(r) == 0
    assert len(heard) == 5


def test_a_dead_name_that_is_stored_anew_comes_last():
    """The death is told, the new object stays."""
    heard: list[Any] = []
    r: WeakRegistry[Any, Any] = WeakRegistry(on_remove=lambda *what: heard.append(what))
    first, other = Thing(), Thing()
    r["x"], r["y"] = first, other
    del first
    new = Thing()
    r["x"] = new
    assert list(r) == ["y", "x"]
    assert list(reversed(r)) == ["x", "y"]
    assert heard == [("x", None, RemovalCause.COLLECTED)]
    assert r["x"] is new


def test_a_late_death_removes_no_new_object():
    """The collector finds the object of a reference that was replaced long ago: its name, which another has, stays."""
    r: WeakRegistry[int, Any] = WeakRegistry()
    with collector_off():
        old = Thing()
        old.me = old  # type: ignore[attr-defined]
        r[10] = old
        reference = r._data[10]
        del old
        new = Thing()
        r[10] = new
        gc.collect()
        assert reference() is None
        assert (len(r), r[10]) == (1, new)


def test_an_exception_in_on_remove_reaches_no_caller(monkeypatch):
    """It goes to sys.unraisablehook."""
    seen: list[Any] = []
    monkeypatch.setattr("sys.unraisablehook", lambda info: seen.append(info.exc_type))

    def fail(*_: object) -> None:
        raise OSError

    r: WeakRegistry[str, Any] = WeakRegistry(on_remove=fail)
    r["x"] = Thing
    del r["x"]
    assert seen == [OSError]


def test_on_remove_may_come_back():
    """No lock is held and nothing is half done."""
    r: WeakRegistry[str, Any] = WeakRegistry(on_remove=lambda name, obj, cause: name == "x" and r.register(keep, "y"))
    keep = Thing()
    r["x"] = keep
    del r["x"]
    assert list(r) == ["y"]


def test_names_compare_and_hash_as_in_a_dict():
    """Equal names are one name; the first object that was the name stays it."""
    r: WeakRegistry[Any, Any] = WeakRegistry()
    r[1], r[1.0] = Thing, RemovalCause
    assert (list(r), r[1]) == ([1], RemovalCause)
    assert type(next(iter(r))) is int
    with pytest.raises(TypeError):
        r[[]]


class Holder:
    """Something to be pickled."""


def test_copies():
    """Independent, of the same class, with on_remove; a pickle has what something else in it holds."""
    a, b = Holder(), Holder()
    r: WeakRegistry[str, Any] = WeakRegistry({"a": a}, b=b)
    for twin in (r.copy(), copy.copy(r), copy.deepcopy(r), r | {}):
        assert type(twin) is WeakRegistry
        assert twin == r == {"a": a, "b": b}
        del twin["a"]
        assert r["a"] is a
    members, other = pickle.loads(pickle.dumps(([a, b], r)))
    assert dict(other) == dict(zip("ab", members, strict=True))
    told = WeakRegistry[str, Any](on_remove=print)
    assert told.copy()._on_remove is print
    assert pickle.loads(pickle.dumps(told))._on_remove is print
    assert repr(WeakRegistry({"f": len})) == "WeakRegistry({'f': <built-in function len>})"


def test_setdefault_and_pop_are_those_of_a_dict():
    """With defaults and without."""
    a, b = Thing(), Thing()
    r: WeakRegistry[str, Any] = WeakRegistry()
    assert r.setdefault("x", a) is a
    assert r.setdefault("x", b) is a
    assert r.pop("x") is a
    assert r.pop("x", 3) == 3
    with pytest.raises(KeyError):
        r.pop("x")
    with pytest.raises(KeyError, match="WeakRegistry is empty"):
        r.popitem()


def test_no_cyclic_garbage():
    """Nothing of ours waits for the collector."""
    with no_cyclic_garbage("WeakRegistry"):
        thing = Thing()
        r: WeakRegistry[str, Any] = WeakRegistry(on_remove=print)
        r.register(name="x")(thing)
        list(r.items()), repr(r), r.copy(), r == {}
        [next(r.keys()), next(r.values()), next(r.items())]
        try:
            r.register(Thing(), "x")
        except ValueError:
            pass
        del thing, r


def test_a_death_is_told_once_whoever_sees_it_first():
    """A callback that comes before the registry's own takes the dead entry out: told then, and not again."""
    heard: list[Any] = []
    r: WeakRegistry[Any, Any] = WeakRegistry(on_remove=lambda *what: heard.append(what))
    thing = Thing()
    r["x"] = thing
    watcher = weakref.ref(thing, lambda _: r.pop("x", None))
    del thing
    assert len(r) == 0
    assert heard == [("x", None, RemovalCause.COLLECTED)]
    assert watcher() is None


def test_update_reads_everything_before_it_stores():
    """What fails in the middle of reading has stored nothing."""
    thing = Thing()

    def pairs():
        yield "x", thing
        raise OSError

    r: WeakRegistry[str, Any] = WeakRegistry()
    with pytest.raises(OSError):
        r.update(pairs())
    assert len(r) == 0
