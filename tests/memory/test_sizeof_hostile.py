"""`sizeof` runs no code of what it measures, needs no recursion, and does not wait: objects that bite, deep and endless structures, changing ones."""

from __future__ import annotations

import gc
import sys
import threading
import types
import weakref
from collections import OrderedDict, deque

import pytest
from helpers.collect import classes_are_collected, no_cyclic_garbage
from helpers.threads import run_threads, switching_often
from hypothesis import given, settings
from hypothesis import strategies as st

from safemem._compat import GIL_DISABLED
from safemem.memory.sizeof import sizeof

calls: list[str] = []


def bite(name):
    """A method that tells that it was called."""

    def method(*_args, **_kwargs):
        calls.append(name)
        raise SystemError(name)

    return method


NAMES = """__getattribute__ __getattr__ __setattr__ __len__ __iter__ __next__ __contains__ __getitem__ __reversed__ __bool__ __hash__ __eq__ __repr__ __str__
__sizeof__ __reduce_ex__ __dir__ __index__ __int__ __float__ __call__ __instancecheck__ __subclasscheck__ __format__ __lt__ __length_hint__ __copy__
__deepcopy__ __buffer__ __array__ __enter__ __get__ keys values items""".split()
METHODS = {name: bite(name) for name in NAMES}


class Meta(type):
    """A class whose classes bite as well."""

    __hash__ = bite("hash of the class")
    __eq__ = bite("eq of the class")
    __getattribute__ = bite("attribute of the class")
    __instancecheck__ = bite("isinstance")
    __subclasscheck__ = bite("issubclass")
    __len__ = bite("len of the class")
    mro = type.mro


class FalseClass:
    """Something that says it is something else."""

    __class__ = property(bite("__class__"))
    __dict__ = property(bite("__dict__"))
    __slots__ = ("x",)


def hostile(*bases: type, metaclass: type = type) -> type:
    """A class that bites wherever it is touched, except while an instance is made."""
    return types.new_class("Hostile", bases, {"metaclass": metaclass}, lambda body: body.update(METHODS))


MADE = {
    "object": lambda: object.__new__(hostile()),
    "with attributes": lambda: (obj := object.__new__(hostile()), object.__setattr__(obj, "x", bytes(3000)))[0],
    "list": lambda: list.__new__(hostile(list)),
    "dict": lambda: dict.__new__(hostile(dict)),
    "set": lambda: set.__new__(hostile(set)),
    "tuple": lambda: tuple.__new__(hostile(tuple), (1000, 2000)),
    "str": lambda: str.__new__(hostile(str), "abc" * 100),
    "int": lambda: int.__new__(hostile(int), 10**50),
    "deque": lambda: deque.__new__(hostile(deque)),
    "ordered": lambda: OrderedDict.__new__(hostile(OrderedDict)),
    "metaclass": lambda: object.__new__(hostile(metaclass=Meta)),
    "class": lambda: hostile(metaclass=Meta),
    "false class": FalseClass,
    "exception": lambda: BaseException.__new__(hostile(Exception)),
}


@pytest.mark.parametrize("kind", MADE)
@pytest.mark.parametrize("exact", [False, True])
def test_no_code_is_run(kind, exact):
    """Alone, in containers, as a key's value, and many at once."""
    made = [MADE[kind]() for _ in range(40)]
    calls.clear()
    assert sizeof(made[0], exact=exact) > 0
    assert sizeof(made, exact=exact) >= sys.getsizeof(made)
    assert sizeof({"a": made[0], "b": (made[1], [made[2]])}, exact=exact) > 0
    assert calls == []


@pytest.mark.parametrize("kind", [list, dict, set, deque, tuple])
def test_large_hostile_containers(kind):
    """Samples are drawn past what the class says."""
    items = dict.fromkeys(range(1000, 6000), b"x" * 100) if kind is dict else range(1000, 6000)
    made = kind.__new__(hostile(kind), items)
    if kind is not tuple:
        kind.__init__(made, items)
    calls.clear()
    assert sizeof(made) > 5000 * 30
    assert calls == []


@pytest.mark.parametrize("exact", [False, True])
def test_depth(exact):
    """Nothing is recursive."""
    deep: object = None
    for _ in range(100_000):
        deep = [deep]
    assert sizeof(deep, exact=exact) > (100_000 * 60 if exact else 1000)
    del deep


def test_cycles():
    """Of all kinds, through classes and closures too."""

    class Ring:
        def __init__(self):
            self.me = self
            self.method = self.__init__
            self.closure = lambda: self
            self.all = {"self": self, "items": [self, {"again": self}]}

    ring = Ring()
    assert 0 < sizeof(ring) == sizeof(ring, exact=True) < 3000
    ring.__dict__.clear()


def test_boundary():
    """Classes, modules, functions, frames, loggers, threads, members of enums: not a part of what refers to them, and alone as large as they are."""
    import enum
    import logging

    class Color(enum.Enum):
        RED = "red" * 1000

    class Holder:
        __slots__ = ("what",)

    holder = Holder()
    holder.what = None
    empty = sizeof(holder)
    try:
        raise ValueError
    except ValueError as error:
        frame = error.__traceback__.tb_frame
    for what in (
        sys,
        Holder,
        test_boundary,
        test_boundary.__code__,
        Color.RED,
        logging.getLogger("x"),
        threading.current_thread(),
        frame,
        len,
    ):
        holder.what = what
        assert sizeof(holder) - empty <= (200 if what is len else 0)
        assert sizeof(holder, exact=True) - empty <= (200 if what is len else 0)
        assert what is len or sizeof(what) == sizeof(what, exact=True) == sys.getsizeof(what)
    del frame


def test_methods_and_partials_hold_what_they_are_bound_to():
    """A bound method and a partial keep their object: it counts."""
    from functools import partial

    large = [bytes(10_000)]
    assert sizeof(large.append) > 10_000
    assert sizeof(partial(print, large)) > 10_000
    assert sizeof((lambda: large,)) < 200


def test_exception_without_its_frames():
    """An exception counts with its arguments, and not with the frames of the calls it went through."""

    def fail():
        local = bytes(50_000)
        raise ValueError("x" * 1000, local[:10])

    with pytest.raises(ValueError, match="x") as caught:
        fail()
    assert 1000 < sizeof(caught.value) < 5000


@pytest.mark.parametrize("made", [{}, set()], ids=["dict", "set"])
def test_hollow(made):
    """A table that was emptied from its beginning is not searched from its beginning."""
    numbers = range(10**6, 10**6 + 200_000)
    made.update(dict.fromkeys(numbers) if isinstance(made, dict) else numbers)
    for number in [*made][:-50]:
        made.pop(number) if isinstance(made, dict) else made.discard(number)
    assert sizeof(made) == sys.getsizeof(made) + 50 * 100  # a guess: nothing was looked at
    assert sizeof([made, 1000]) > sizeof(made)
    assert sys.getsizeof(made) + 50 * 32 <= sizeof(made, exact=True) <= sys.getsizeof(made) + 50 * 60


def test_classes_are_not_kept():
    """What is known of a class is forgotten with it."""
    if not classes_are_collected():
        return
    cls = type("Passing", (), {"__slots__": ("x",)})
    sizeof([cls()])
    watch = weakref.ref(cls)
    del cls
    gc.collect()
    assert watch() is None


def test_many_classes():
    """A program that makes classes all the time: the address of a dead class may be that of the next."""
    for number in range(6000):
        cls = type("Passing", (), {"__slots__": ("a", "b")} if number % 2 else {})
        obj = cls()
        assert sizeof([obj]) == sizeof([obj], exact=True)


def test_no_garbage():
    """Neither way leaves cycles behind, on success or on error."""

    class Broken:
        def __safemem_size__(self):
            raise KeyError

    found = [{"a": [1000, "x" * 10]} for _ in range(500)]
    with no_cyclic_garbage("sizeof"):
        sizeof(found)
        sizeof(found, exact=True)
        for exact in (False, True):
            with pytest.raises(KeyError):
                sizeof([Broken()], exact=exact)


def test_while_others_change_it():
    """It gives some answer, and no error."""
    shared = {
        "list": list(range(1000)),
        "dict": dict.fromkeys(range(1000)),
        "set": set(range(1000)),
        "deque": deque(range(1000)),
        "objects": [],
    }
    stop = threading.Event()

    def work(number):
        if number:
            for turn in range(10 if GIL_DISABLED else 150):  # without a GIL, looking at an instance waits until all threads stand still
                assert sizeof(shared, exact=turn % 2 == 0) > 1000
            stop.set()
            return
        turn = 0
        while not stop.is_set():
            turn += 1
            shared["dict"][turn * 1000] = turn
            shared["dict"].pop(turn * 1000 - 1000, None)
            shared["set"].add(turn * 1000)
            shared["set"].discard(turn * 1000 - 1000)
            shared["deque"].append(turn)
            shared["deque"].popleft()
            shared["list"][turn % 1000] = [turn]
            shared["objects"] = [types.SimpleNamespace(x=turn)] * (turn % 700)

    with switching_often():
        run_threads(2, work)


PLAIN = st.recursive(
    st.one_of(st.integers(), st.text(max_size=30), st.floats(allow_nan=False), st.binary(max_size=50), st.none(), st.booleans()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=6),
        st.dictionaries(st.text(max_size=8), inner, max_size=6),
        st.tuples(inner, inner),
        st.frozensets(st.integers(), max_size=5),
    ),
    max_leaves=30,
)


def naive(obj: object) -> int:
    """The size of plain data, by recursion."""
    seen: dict[int, object] = {}

    def visit(found: object) -> int:
        if id(found) in seen or found is None or isinstance(found, bool):
            return 0
        seen[id(found)] = found
        inner = [*found, *found.values()] if isinstance(found, dict) else found if isinstance(found, (list, tuple, frozenset)) else ()
        size = 0 if any(found is each for each in ONLY_ONES) else sys.getsizeof(found)
        padding = -size % 8 if type(found) is int and found.bit_length() <= sys.int_info.bits_per_digit else 0
        return size + padding + sum(map(visit, inner))

    return visit(obj)


ONLY_ONES = [*range(-5, 257), *map(chr, range(256)), "", b"", ()]


@settings(max_examples=100, deadline=None)
@given(PLAIN)
def test_model(data):
    """Small data is added up completely, in the estimate too."""
    assert sizeof([data]) == sizeof([data], exact=True) == naive([data])
