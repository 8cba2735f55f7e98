"""Observable: what it costs, that it lets go, and that copies are nobody's business."""

from __future__ import annotations

import copy
import gc
import pickle
import random
import sys
import tracemalloc
import weakref
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace

import pytest
from helpers.collect import Thing, freed_by_count, no_cyclic_garbage
from helpers.forks import forks, in_child
from helpers.listeners import Listener
from helpers.recorder import unraisable
from helpers.threads import run_threads, switching_often

from safemem import Observable


class Plain(Observable):
    x: object = 0
    y: object = 0


class Slotted(Observable):
    __slots__ = ("__weakref__", "x", "y")
    x: object
    y: object

    def __init__(self):
        self.x = self.y = 0


class Bare(Observable):
    """Cannot be weakly referenced: its end is seen by what it held."""

    __slots__ = ("x", "y")
    x: object
    y: object

    def __init__(self):
        self.x = self.y = 0


class Unhashable(Plain):
    """Equal to all of its kind."""

    def __eq__(self, other):
        return isinstance(other, Unhashable)

    __hash__ = None


@dataclass
class Data(Observable):
    x: object = 0
    y: object = 0


@dataclass(slots=True)
class BareData(Observable):
    x: object = 0
    y: object = 0


KINDS = [Plain, Slotted, Bare, Unhashable, Data, BareData]


# -- what it costs --------------------------------------------------------------------------------------------------------------------


def size_of(make):
    """The bytes of one of many."""
    make()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        many = [make() for _ in range(1000)]
        return (tracemalloc.get_traced_memory()[0] - before) / len(many)
    finally:
        tracemalloc.stop()


def test_what_nobody_observes_costs_nothing():
    """Not a pointer an instance, also after others of the class were observed, and after batches."""

    class Usual:
        x: int = 0

        def __init__(self):
            self.x = 1

    class Watched(Observable):
        x: int = 0

        def __init__(self):
            self.x = 1

    def batched():
        obj = Watched()
        with obj.batch():
            obj.x = 2
        return obj

    usual = size_of(Usual)
    assert abs(size_of(Watched) - usual) < 4
    assert abs(size_of(batched) - usual) < 4
    observed = Watched()
    observed.observe("x", print)
    assert abs(size_of(Watched) - usual) < 4
    assert abs(size_of(batched) - usual) < 4
    assert sys.getsizeof(Slotted()) == sys.getsizeof(type("Usual", (), {"__slots__": ("__weakref__", "x", "y")})())


def test_a_class_that_nobody_observes_is_as_it_was():
    """Attributes are written by the interpreter alone; reading always is."""

    class Base(Observable):
        x: int = 0

    class Sub(Base):
        pass

    class Other(Base):
        pass

    assert Base.__setattr__ is object.__setattr__
    Sub().observe("x", print)
    for cls in (Base, Other, Observable):
        assert cls.__setattr__ is object.__setattr__
        assert cls.__delattr__ is object.__delattr__
    assert Sub.__setattr__ is not object.__setattr__
    assert Sub.__getattribute__ is object.__getattribute__
    assert "x" not in vars(Sub)
    before = Sub.__setattr__
    Sub().observe("x", print)
    assert Sub.__setattr__ is before


def test_a_class_is_let_go():
    """With its hooks, and with all that was known of it."""

    def make():
        class Passing(Observable):
            x: int = 0

        obj = Passing()
        obj.observe("x", print)
        return weakref.ref(Passing)

    watch = make()
    gc.collect()
    assert watch() is None or not getattr(sys, "_is_gil_enabled", lambda: True)()


# -- letting go -----------------------------------------------------------------------------------------------------------------------


def use(kind):
    """An instance that has been through everything, and what one of its observers holds."""
    obj, listener, held = kind(), Listener(), Thing()
    obj.observe("x", listener.hear)
    obj.observe("y", listener.fail)
    obj.observe("x", lambda *told, held=held: held)
    obj.observe("x", listener.hear, once=True, priority=2)
    obj.observe("x", lambda *told: listener, owner=listener)
    obj.x = 1
    with obj.batch():
        obj.x = 2
    with pytest.raises(ExceptionGroup):
        obj.y = 2
    with pytest.raises(ExceptionGroup), obj.batch():
        obj.y = 3
        obj.x = 3
    with pytest.raises(AttributeError):
        obj.observe("z", print)
    del obj.x
    obj.x = 4
    return obj, weakref.ref(held)


@pytest.mark.parametrize("kind", KINDS)
def test_an_instance_with_observers_dies_by_reference_count(kind):
    """And lets go of its observers."""
    obj, held = use(kind)
    with freed_by_count() as watched:
        watched.append(held)
        if kind not in {Bare, BareData}:
            watched.append(weakref.ref(obj))
        del obj


@pytest.mark.parametrize("kind", KINDS)
def test_no_cyclic_garbage(kind):
    """Of any operation, on success and on error."""
    use(kind)
    with no_cyclic_garbage():
        use(kind)


def test_no_cyclic_garbage_of_rounds():
    """Nor of observers that assign, fail, and never end."""

    class Meddler:
        def hear(self, name, old, new):
            if new < 5:
                self.obj().x = new + 1
            raise ValueError(new)

        def up(self, name, old, new):
            self.obj().y = new + 1

    def run():
        obj, meddler = Plain(), Meddler()
        meddler.obj = weakref.ref(obj)
        obj.observe("x", meddler.hear)
        obj.observe("y", meddler.up)
        for number in range(3):
            with pytest.raises(ExceptionGroup):
                obj.x = -number - 1
            with pytest.raises(RecursionError):
                obj.y = -number - 1
            with pytest.raises(ExceptionGroup), obj.batch():
                obj.y = obj.x = -number - 10

    run()
    with no_cyclic_garbage():
        run()


def test_old_values_are_not_kept():
    """What was assigned away is gone, observed or not, in a batch or after it."""
    obj = Plain()
    obj.observe("x", lambda *told: None)
    with freed_by_count() as watched:
        obj.x = Thing()
        watched.append(weakref.ref(obj.x))
        obj.x = None
    with freed_by_count() as watched:
        with obj.batch():
            obj.x = Thing()
            watched.append(weakref.ref(obj.x))
            obj.x = Thing()
            assert watched[0]() is None
            obj.x = None


def test_an_abandoned_batch_pins_nothing():
    """A context manager that was entered and never left."""
    for observed in (False, True):
        obj = Plain()
        if observed:
            obj.observe("x", print)
        with freed_by_count() as watched:
            batch = obj.batch()
            batch.__enter__()
            obj.x = 1
            watched.append(weakref.ref(obj))
            del batch, obj


def test_addresses_that_come_again():
    """An instance at the place of a dead one has none of its observers."""
    for kind in KINDS:
        listener = Listener()
        for _ in range(100):
            obj = kind()
            obj.x = 1
            obj.observe("x", listener.hear)
            del obj
        assert listener.heard == []


def test_an_object_that_changes_its_class():
    """An instance without weak references is heard of as one of its new class too, and what comes to its address has none of its observers."""

    class One(Observable):
        __slots__ = ("x",)
        x: int

    class Other(Observable):
        __slots__ = ("x",)
        x: int

    heard = []
    thing = Thing()
    gone = weakref.ref(thing)
    changing = One()
    changing.observe("x", lambda *change, thing=thing: heard.append(change[1:]))
    del thing
    changing.__class__ = Other
    changing.x = 1
    assert heard == [(Observable.MISSING, 1)]
    del changing
    assert gone() is None


def test_a_finaliser_that_assigns():
    """An observed instance that assigns in its `__del__` tells of it, and a class that has one keeps it."""
    heard = []

    class Dying(Plain):
        def __del__(self):
            self.x = "end"

    class BareDying(Bare):
        __slots__ = ()

        def __del__(self):
            self.x = "end"

    class BareInheriting(BareDying):
        __slots__ = ()

    for kind in (Dying, BareDying, BareInheriting):
        obj = kind()
        obj.observe("x", lambda name, old, new: heard.append(new))
        with unraisable() as caught:
            del obj
        assert caught == []
    assert heard == ["end"] * 3


def test_a_finalised_object_without_weak_references_is_refused():
    """Nobody would say when it is gone for good."""
    saved = []

    class Lazarus(Bare):
        __slots__ = ()

        def __del__(self):
            saved.append(self)

    obj = Lazarus()
    obj.observe("x", print)
    del obj
    obj = saved.pop()
    obj.x = "nobody hears"
    with pytest.raises(TypeError, match="an object that has been finalised can be observed only if it can be weakly referenced"):
        obj.observe("x", print)


# -- copies ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batched", [False, True])
def test_copies_have_no_observers(kind, batched):
    """Whatever makes them, also in a batch; they can be observed in their own right."""
    obj, listener, other = kind(), Listener(), Listener()
    obj.observe("x", listener.hear)
    with obj.batch() if batched else nullcontext():
        copies = [copy.copy(obj), copy.deepcopy(obj)]
        copies += [pickle.loads(pickle.dumps(obj, protocol)) for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)]
        if kind in {Data, BareData}:
            copies.append(replace(obj))
            assert asdict(obj) == {"x": 0, "y": 0}
        for one in copies:
            assert type(one) is kind
            one.x = 1
            one.observe("x", other.hear)
            one.x = 2
    assert listener.heard == []
    assert other.heard == [("x", 1, 2)] * len(copies)


def test_equality_of_dataclasses_is_as_it_was():
    """An observed instance is equal to one that is not."""
    one, two = Data(1, 2), Data(1, 2)
    one.observe("x", print)
    assert one == two
    assert repr(one) == repr(two)


# -- threads and forks ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_eight_threads_and_the_collector(kind):
    """Observing, assigning, batching and dropping, the first use of a class included: no error anywhere."""
    shared = kind()

    def work(number):
        dice = random.Random(number)
        for _ in range(150):
            cls = type("Fresh", (kind,), {"__slots__": ()}) if dice.random() < 0.1 else kind
            obj, listener = cls(), Listener()
            if hasattr(obj, "__dict__") and dice.random() < 0.3:
                obj.me = obj  # only the collector frees it
            for one in (obj, shared):
                one.observe("x", listener.hear)
                one.observe("y", lambda *told: None, owner=listener, once=True)
                with one.batch():
                    one.x, one.y = number, listener
                one.x = dice.random()
            assert len([told for told in listener.heard if told[2] is obj.x]) == 1
            del obj, one, listener

    threshold = gc.get_threshold()
    gc.set_threshold(50)
    try:
        with unraisable() as caught, switching_often(1e-5):
            run_threads(8, work)
    finally:
        gc.set_threshold(*threshold)
    assert caught == []
    listener = Listener()
    shared.observe("x", listener.hear)
    shared.x = "last"
    assert listener.heard[-1][2] == "last"


def test_threads_that_observe_a_class_first():
    """It is hooked once, and every change is told once."""

    class Fresh(Observable):
        x: int = 0

    heard = []

    def work(number):
        obj = Fresh()
        obj.observe("x", lambda name, old, new: heard.append(new))
        obj.x = number + 1

    with switching_often():
        run_threads(8, work)
    assert sorted(heard) == list(range(1, 9))


@forks
def test_a_forked_child_goes_on():
    """It has the observers of its parent, and may observe more."""
    obj, listener = Plain(), Listener()
    obj.observe("x", listener.hear)

    def child():
        obj.x = 1
        Plain().observe("x", listener.hear)
        with obj.batch():
            obj.x = 2
        assert [told[2] for told in listener.heard] == [1, 2]

    assert in_child(child) == 0
    assert listener.heard == []
