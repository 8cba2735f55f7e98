"""Observable: batches, observers that assign, and threads."""

from __future__ import annotations

import asyncio
import threading

import pytest
from helpers.listeners import Listener
from helpers.points import KINDS, Point, SlottedPoint
from helpers.recorder import unraisable
from helpers.threads import run_threads, switching_often

from safemem import Observable
from safemem.observers.hooks import find_watch

MISSING = Observable.MISSING
COUNT = 1500  # assignments of a thread


def observed(kind=Point, names="xyz"):
    """An instance and who listens to its fields."""
    obj, listener = kind(), Listener()
    for name in names:
        obj.observe(name, listener.hear)
    return obj, listener


# -- batches --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_one_call_a_field(kind):
    """With the first old and the last new value, in the order of the first changes; meanwhile nobody is called."""
    obj, listener = observed(kind)
    with obj.batch():
        obj.y = 1
        obj.x = 2
        obj.y = 3
        obj.z = 4
        assert listener.heard == []
    assert listener.heard == [("y", 0, 3), ("x", 0, 2), ("z", MISSING, 4)]
    obj.x = 5
    assert listener.heard[3:] == [("x", 2, 5)]


def test_what_comes_back_is_not_told():
    """Also if it comes back as an equal value, or is gone again."""
    obj, listener = observed()
    with obj.batch():
        obj.x = 1
        obj.x = 0.0
        obj.z = 1
        del obj.z
        obj.y = 1
        del obj.y
    assert listener.heard == []


def test_batches_nest():
    """The end of the outermost counts; one context manager may be entered several times."""
    obj, listener = observed()
    batch = obj.batch()
    with batch:
        obj.x = 1
        with batch, obj.batch():
            obj.x = 2
        assert listener.heard == []
        obj.x = 3
    assert listener.heard == [("x", 0, 3)]


def test_batches_overlap():
    """They may end in any order: what changed is told with the last."""
    obj, listener = observed()
    one, two = obj.batch(), obj.batch()
    one.__enter__()
    two.__enter__()
    obj.x = 1
    one.__exit__(None, None, None)
    assert listener.heard == []
    obj.x = 2
    two.__exit__(None, None, None)
    assert listener.heard == [("x", 0, 2)]


def test_a_batch_is_of_one_instance():
    """Others tell at once."""
    obj, listener = observed()
    other, other_listener = observed()
    with obj.batch():
        other.x = 1
        assert other_listener.heard == [("x", 0, 1)]
    assert listener.heard == []


@pytest.mark.parametrize("kind", KINDS)
def test_observing_in_a_batch(kind):
    """What changes from then on is told at its end, also if nobody had observed before; the batch before that left nothing."""
    obj, listener = kind(), Listener()
    with obj.batch():
        with obj.batch():
            obj.x = 1
        obj.observe("x", listener.hear)
        obj.x = 2
        obj.x = 3
        assert listener.heard == []
    assert listener.heard == [("x", 1, 3)]
    obj.x = 4
    assert listener.heard[1:] == [("x", 3, 4)]


def test_a_batch_of_what_nobody_observes():
    """Leaves nothing in the instance or its class."""

    class Fresh(Observable):
        x: int = 0

    obj = Fresh()
    with obj.batch(), obj.batch():
        obj.x = 1
    assert vars(obj) == {"x": 1}
    assert "__setattr__" not in vars(Fresh)


def test_who_listens_at_the_end_is_told():
    """An observer that left in the meantime is not."""
    obj, stays, leaves = Point(), Listener(), Listener()
    obj.observe("x", stays.hear)
    connection = obj.observe("x", leaves.hear)
    with obj.batch():
        obj.x = 1
        connection.disconnect()
    assert stays.heard == [("x", 0, 1)]
    assert leaves.heard == []


def test_who_comes_after_the_last_one_left_is_not_told():
    """A change is noted for the end of the batch only if somebody listens."""
    obj, listener = Point(), Listener()
    with obj.batch():
        obj.observe("x", listener.fail).disconnect()
        obj.x = 1
        obj.observe("x", listener.hear)
    assert listener.heard == []


def test_a_block_that_fails_tells_too():
    """The fields have changed; what observers raise does not hide the error of the block."""
    obj, listener = observed()
    with unraisable() as caught, pytest.raises(KeyError), obj.batch():
        obj.observe("x", listener.fail)
        obj.x = 1
        raise KeyError
    assert listener.heard == [("x", 0, 1)]
    assert [type(error) for error in caught] == [ExceptionGroup]


def test_failures_of_a_batch_are_one_group():
    """Of all fields, and everybody is called."""
    obj, listener = observed()
    obj.observe("x", listener.fail)
    obj.observe("y", listener.fail)
    with pytest.raises(ExceptionGroup, match="2 receivers of a batch of Point failed") as caught, obj.batch():
        obj.y = obj.x = obj.z = 1
    assert listener.heard == [("y", 0, 1), ("x", 0, 1), ("z", MISSING, 1)]
    assert "signal Point.y" in caught.value.exceptions[0].__notes__[0]


def test_an_interrupted_delivery_leaves_nothing_behind():
    """A BaseException ends it; later changes are told as ever."""
    obj, listener = Point(), Listener()

    def interrupt(*told):
        raise KeyboardInterrupt

    obj.observe("x", interrupt, once=True)
    obj.observe("y", listener.hear)
    with pytest.raises(KeyboardInterrupt), obj.batch():
        obj.x = obj.y = 1
    assert listener.heard == []
    obj.y = 2
    assert listener.heard == [("y", 1, 2)]


def test_a_batch_in_a_task():
    """It is entered and left like any other context manager, and goes on while the task waits."""

    async def main():
        obj, listener = observed()
        with obj.batch():
            obj.x = 1
            await asyncio.sleep(0)
            obj.x = 2
        assert listener.heard == [("x", 0, 2)]

    asyncio.run(main())


# -- observers that assign ------------------------------------------------------------------------------------------------------------


def test_all_see_an_unbroken_row():
    """What an observer assigns to the same field is told after what it is being told, to those before it and after it."""
    obj, before, after = Point(), Listener(), Listener()

    def clamp(name, old, new):
        if new > 10:
            obj.x = new - 15

    obj.observe("x", before.hear)
    with pytest.warns(match="keeps the Point object alive"):
        obj.observe("x", clamp)
    obj.observe("x", after.hear)
    obj.x = 50
    assert before.heard == after.heard == [("x", 0, 50), ("x", 50, 35), ("x", 35, 20), ("x", 20, 5)]


class Follows(Observable):
    """Observes itself."""

    x: int = 0
    y: int = 0
    heard: int

    def __init__(self):
        self.row = []
        self.observe("x", self.on_x)
        self.observe("y", self.on_y)

    def on_x(self, name, old, new):
        self.row.append((name, old, new))
        self.y = new + 1

    def on_y(self, name, old, new):
        self.row.append((name, old, new))


def test_another_field_is_told_at_once():
    """What follows from a change is there, and told, before the next observer is called."""
    obj = Follows()
    obj.x = 1
    assert obj.row == [("x", 0, 1), ("y", 0, 2)]


def test_two_that_set_each_other_come_to_an_end():
    """It is bounded by equality."""
    one, two = Point(), Point()
    listener = Listener()
    one.observe("x", lambda name, old, new: setattr(two, "x", new))
    two.observe("x", lambda name, old, new: setattr(one, "x", new))
    one.observe("x", listener.hear)
    one.x = 5
    two.x = 6
    assert (one.x, two.x) == (6, 6)
    assert listener.heard == [("x", 0, 5), ("x", 5, 6)]


@pytest.mark.parametrize("through", ["x", "y"])
def test_what_never_ends_is_ended(through):
    """With a RecursionError that names the field; it works afterwards."""
    obj, listener = Point(), Listener()

    class Counter:
        def up(self, name, old, new):
            setattr(obj, "y" if name == "x" == through == "y" else "x", new + 1)

    counter = Counter()
    connections = [obj.observe(name, counter.up) for name in "xy"]
    with pytest.raises(BaseException, match=r"receivers of signal Point\.x assign to it again and again|failed") as caught:
        obj.x = 1
    assert "RecursionError" in repr(caught.value)
    for connection in connections:
        connection.disconnect()
    obj.observe("x", listener.hear)
    value = obj.x
    obj.x = -1
    assert listener.heard == [("x", value, -1)]


def test_what_fails_does_not_keep_the_rest_from_being_told():
    """The failures of all rounds are raised as one group."""
    obj, listener = Point(), Listener()

    class Failing:
        def hear(self, name, old, new):
            if new < 3:
                obj.x = new + 1
            raise ValueError(new)

    failing = Failing()
    obj.observe("x", failing.hear)
    obj.observe("x", listener.hear)
    with pytest.raises(ExceptionGroup, match="3 receivers") as caught:
        obj.x = 1
    assert [error.args[0] for error in caught.value.exceptions] == [1, 2, 3]
    assert listener.heard == [("x", 0, 1), ("x", 1, 2), ("x", 2, 3)]


def test_assigning_while_a_batch_is_told():
    """A field whose turn is still to come is told once, with what it is then; one that was told is told again."""
    obj, order = Point(), []

    class Meddler:
        def hear(self, name, old, new):
            order.append((name, old, new))
            if name == "x" and new < 5:
                obj.y = 10
                obj.x = 5
                with obj.batch():
                    obj.z = 1

    meddler = Meddler()
    for name in "xyz":
        obj.observe(name, meddler.hear)
    with obj.batch():
        obj.x = 1
        obj.y = 1
    assert sorted(order) == [("x", 0, 1), ("x", 1, 5), ("y", 0, 10), ("z", MISSING, 1)]
    assert order.index(("x", 0, 1)) < order.index(("x", 1, 5))


def test_a_batch_that_begins_while_another_is_told():
    """What was not told yet waits for its end."""
    obj, listener, batch = Point(), Listener(), None

    class Opener:
        def hear(self, name, old, new):
            batch.__enter__()

    opener, batch = Opener(), obj.batch()
    obj.observe("x", opener.hear)
    obj.observe("y", listener.hear)
    with obj.batch():
        obj.x = obj.y = 1
    assert listener.heard == []
    obj.y = 2
    batch.__exit__(None, None, None)
    assert listener.heard == [("y", 0, 2)]


@pytest.mark.parametrize("noted", [False, True])
def test_a_batch_that_ends_during_an_assignment(noted):
    """In another thread, just before or after the assignment was noted: it is told once, by one of the two."""
    obj, listener = observed()
    batch = obj.batch()

    class Notes(dict):
        def setdefault(self, name, old):
            if noted:
                super().setdefault(name, old)
            thread = threading.Thread(target=batch.__exit__, args=(None, None, None))
            thread.start()
            thread.join()
            return super().setdefault(name, old) if not noted else None

    find_watch(obj).first = Notes()
    batch.__enter__()
    obj.x = 1
    assert listener.heard == [("x", 0, 1)]
    obj.x = 2
    assert listener.heard == [("x", 0, 1), ("x", 1, 2)]


def test_a_change_of_mind_in_a_comparison():
    """`==` of a value may assign to the field too: both are told."""
    obj, listener = observed()

    class Odd:
        def __eq__(self, other):
            obj.x = 7
            return False

        __hash__ = None

    odd = Odd()
    vars(obj)["x"] = odd
    obj.x = 1
    assert obj.x == 7
    assert sorted((old is odd, new) for _, old, new in listener.heard) == [(False, 7), (True, 1)]


# -- threads --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_threads_with_a_field_each(kind):
    """Eight threads assign to one instance, in and out of batches: what a field is in the end was told."""
    names = [f"field{number}" for number in range(8)]
    fields = {"__annotations__": dict.fromkeys(names, int)}
    many = type(
        "Many", (Observable,), fields if kind is Point else {"__slots__": (*names, *(["__weakref__"] * (kind is SlottedPoint))), **fields}
    )
    obj = many()
    heard = {name: [] for name in names}
    for name in names:
        obj.observe(name, lambda name, old, new: heard[name].append((old, new)))

    def work(number):
        name = names[number]
        for value in range(COUNT):
            if value % 7 == 0:
                with obj.batch():
                    setattr(obj, name, value)
                    setattr(obj, name, -value)
            setattr(obj, name, value)

    with switching_often():
        run_threads(8, work)
    for name in names:
        assert getattr(obj, name) == COUNT - 1
        assert sum(old is MISSING for old, new in heard[name]) == 1
        assert COUNT - 1 in {new for old, new in heard[name]}
        assert all(old != new for old, new in heard[name])


def test_threads_on_one_field():
    """Each change is told by the thread that made it, and the batches of several threads lose nothing in the end."""
    obj, listener = observed()

    def work(number):
        for value in range(COUNT):
            with obj.batch():
                obj.x = (number, value)
            obj.y = (number, value)

    with switching_often():
        run_threads(6, work)
    with obj.batch():
        obj.x = obj.y = "end"
    assert {told[2] for told in listener.heard[-2:]} == {"end"}
    told = {new for name, _, new in listener.heard if name == "y"}
    assert {(number, COUNT - 1) for number in range(6)} & told
