"""check_leaks and no_leaks: what they accept, what they report, and that they leave the process as they found it."""

from __future__ import annotations

import asyncio
import atexit
import collections
import contextvars
import doctest
import functools
import gc
import io
import re
import sys
import threading
import tracemalloc
import weakref
from array import array
from types import ModuleType

import pytest

import safemem
from safemem import LeakError, check_leaks, no_leaks


class Thing:
    """Something that leaks."""

    def __init__(self):
        self.payload = [0] * 10


@pytest.fixture(name="shop")
def _shop():
    """A module that a program has."""
    module = ModuleType("shop")
    module.things = []
    sys.modules["shop"] = module
    yield module
    del sys.modules["shop"]


def single(report):
    """The one leak of a report."""
    assert len(report.leaks) == 1, str(report)
    return report.leaks[0]


@pytest.mark.parametrize("key", [int, str, lambda number: (number,)])
def test_entries_are_counted(key):
    """How many entries came is told, whatever the collector counts of a dict."""
    table = {}

    def work():
        for _ in range(3):
            table[key(len(table))] = []

    (leak,) = check_leaks(work).leaks
    more, calls = re.search(r"(\d+) more after (\d+) calls", leak.what).groups()
    assert abs(int(more) - 3 * int(calls)) <= 3


def test_growing_dict_of_numbers(shop):
    """What refers to nothing but numbers is not listed by the collector, before Python 3.14; it is followed through its owner."""
    shop.counts = {}

    def visit():
        shop.counts[len(shop.counts)] = 1

    leak = single(check_leaks(visit))
    assert ".counts" in leak.holder


def test_growing_list(shop):
    """Kind, holder, line, memory and number are told."""

    def visit():
        shop.things.append(Thing())

    leak = single(check_leaks(visit))
    assert leak.kind == "growth"
    assert leak.holder.startswith("module shop.things")
    assert leak.holder.endswith("Thing")
    assert leak.where is not None
    assert leak.where.startswith(__file__)
    assert leak.bytes >= leak.count * 100
    assert leak.path is not None
    assert leak.path.edges[0].source == "module shop"


def test_signature_is_stable_and_can_be_ignored(shop):
    """Two checks give the same signature, and what is ignored is not reported."""

    def visit():
        shop.things.append(Thing())

    signature = single(check_leaks(visit)).signature
    assert single(check_leaks(visit)).signature == signature
    assert check_leaks(visit, ignore=[signature]).ok


def test_clean_function_is_called_as_often_as_asked():
    """Calls to warm up, and rounds of one call."""
    counter = iter(range(1000))
    check_leaks(lambda: next(counter) and None, rounds=3, warmup=1)
    assert next(counter) == 4
    check_leaks(lambda: next(counter) and None)
    assert next(counter) == 5 + 2 + 5


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"func": 3}, TypeError, "func must be callable, got 3"),
        ({"rounds": 1}, ValueError, "rounds must be at least 2, got 1"),
        ({"rounds": "5"}, TypeError, "rounds must be an int, got '5'"),
        ({"warmup": -1}, ValueError, "warmup must be at least 0, got -1"),
        ({"ignore": "growth-1"}, TypeError, "ignore must be an iterable of signatures, got 'growth-1'"),
        ({"ignore": [3]}, TypeError, "ignore must hold signatures, which are strings, got 3"),
        ({"cycles": "no"}, ValueError, "cycles must be 'auto', 'always' or 'never', got 'no'"),
    ],
)
def test_bad_input(arguments, error, words):
    """An error names the argument, the rule and the offender, and nothing was called."""
    called = []
    with pytest.raises(error, match="^" + words.replace("(", "\\(")):
        check_leaks(**{"func": lambda: called.append(1), **arguments})
    assert called == []


def test_state_is_restored(shop):
    """Collector, tracemalloc, atexit and frames are as they were, also when the function raises."""

    def visit():
        shop.things.append(Thing())
        if len(shop.things) == 25:
            raise KeyError

    before = gc.get_threshold(), gc.isenabled(), gc.get_debug(), list(gc.callbacks), atexit.register, tracemalloc.is_tracing()
    with pytest.raises(KeyError):
        check_leaks(visit)
    check_leaks(visit)
    assert before == (gc.get_threshold(), gc.isenabled(), gc.get_debug(), list(gc.callbacks), atexit.register, tracemalloc.is_tracing())
    assert gc.garbage == []


def make_cycle():
    """Leave a cycle of two."""
    first, second = Thing(), Thing()
    first.other, second.other = second, first


def test_cycles_by_choice():
    """Cycles without a resource are reported if asked for, or if the collector is off."""
    assert check_leaks(make_cycle).ok
    assert single(check_leaks(make_cycle, cycles="always")).holder == "Thing.other -> Thing.other -> the same Thing"
    gc.disable()
    try:
        assert single(check_leaks(make_cycle)).kind == "cycle"
        assert check_leaks(make_cycle, cycles="never").ok
    finally:
        gc.enable()


def test_cycle_with_a_finaliser():
    """A cycle with a `__del__` matters: its finaliser runs late."""

    class Connection:
        def __del__(self): ...

    def connect():
        connection = Connection()
        connection.me = connection

    leak = single(check_leaks(connect))
    assert leak.kind == "cycle"
    assert "WeakAttr" in leak.fix


def test_unbounded_cache_of_a_method():
    """The method is named, and what to use instead."""

    class Repo:
        @functools.cache  # noqa: B019
        def heads(self):
            return 1

    leak = single(check_leaks(lambda: Repo().heads()))
    assert leak.kind == "cache"
    assert "Repo" in leak.holder
    assert "safemem.cached" in leak.fix


def test_growing_text_and_replaced_containers(shop):
    """What is replaced by something larger in the same place leaks as well."""
    shop.text = ""
    shop.state = {}

    def write():
        shop.text += "x" * 40

    def reduce():
        shop.state = {**shop.state, str(len(shop.state)): 1}

    assert single(check_leaks(write)).holder.startswith("module shop.text")
    assert single(check_leaks(reduce)).holder.startswith("module shop.state")


def test_buffers(shop):
    """Files in memory and arrays grow without referring to anything."""
    shop.text, shop.numbers = io.StringIO(), array("d")
    assert single(check_leaks(lambda: shop.text.write("line"))).holder.startswith("module shop.text")
    assert single(check_leaks(lambda: shop.numbers.append(1.0))).holder.startswith("module shop.numbers")


def test_chain(shop):
    """Objects that each hold the one before are told as a chain."""
    shop.head = None

    def push():
        thing = Thing()
        thing.before = shop.head
        shop.head = thing

    leak = single(check_leaks(push))
    assert leak.holder.startswith("module shop.head")
    assert "the one before" in leak.holder


def test_wrapped_again_and_again(shop):
    """A function that is wrapped in every call."""
    shop.dumps = len

    def patch():
        original = shop.dumps
        shop.dumps = lambda value: original(value)

    leak = single(check_leaks(patch))
    assert leak.kind == "closure"
    assert leak.holder.startswith("module shop.dumps")


def test_coroutine_function(shop):
    """A coroutine function is run by a loop of its own; one that is clean is clean."""

    async def visit():
        await asyncio.sleep(0)
        shop.things.append(Thing())

    async def work():
        await asyncio.gather(*(asyncio.sleep(0) for _ in range(3)))

    assert single(check_leaks(visit)).holder.startswith("module shop.things")
    assert check_leaks(work).ok


def test_block_that_leaves_a_file_open(tmp_path):
    """One run of a block: what is open at its end."""
    path = tmp_path / "log"
    with pytest.raises(LeakError) as caught, no_leaks():
        file = path.open("w")
    file.close()
    assert [leak.kind for leak in caught.value.report.leaks] == ["file"]
    assert isinstance(caught.value, AssertionError)
    with no_leaks(), path.open():
        pass


def test_block_that_leaves_a_cycle():
    """Cycles of the program's own classes count."""
    with pytest.raises(LeakError, match="reference cycle"), no_leaks():
        make_cycle()
    with no_leaks(cycles="never"):
        make_cycle()


def test_block_that_raises():
    """It is not judged on top."""
    with pytest.raises(ZeroDivisionError), no_leaks():
        make_cycle()
        1 / 0
    gc.collect()


def test_blocks_may_be_nested():
    """The inner one tells, the outer one goes on."""
    with no_leaks():
        with pytest.raises(LeakError), no_leaks():
            make_cycle()
        gc.collect()


def test_decorator(shop):
    """Each call of the function is a check; the result is that of the last call."""

    @no_leaks(rounds=3)
    def clean(number):
        return number + 1

    @no_leaks
    def leaky(thing):
        shop.things.append([thing])

    assert clean(2) == 3
    with pytest.raises(LeakError, match="module shop.things"):
        leaky(1)


def test_decorated_coroutine_function(shop):
    """A coroutine function stays one, and is checked in the loop that runs it."""

    @no_leaks(rounds=3)
    async def leaky():
        shop.things.append(Thing())

    with pytest.raises(LeakError, match="module shop.things"):
        asyncio.run(leaky())


def test_generator_function_is_refused():
    """Its body runs after the call."""

    def generate():
        yield

    with pytest.raises(TypeError, match="is a generator function"):
        no_leaks(generate)


def _programs():
    """Programs that do not leak, though something in them grows for a while."""
    numbers = iter(range(10**9))
    warm, bounded, saw, latest = {}, {}, [], collections.deque(maxlen=500)
    pool, seen = [], collections.Counter()

    def warms_a_cache():
        warm.setdefault(next(numbers) % 5, [1])

    def fills_a_bounded_cache():
        bounded[next(numbers)] = object()
        if len(bounded) > 100:
            del bounded[next(iter(bounded))]

    @functools.lru_cache(maxsize=10_000)
    def cached(number):
        return [number]

    def fills_an_lru_cache():
        cached(next(numbers))

    def saw_tooth():
        saw.append(object())
        if len(saw) > 90:
            saw.clear()

    def fills_a_deque():
        latest.append(object())

    def takes_from_a_pool():
        pool.append(pool.pop() if pool else Thing())

    def counts():
        seen[next(numbers) % 20] += 1

    def starts_a_thread():
        thread = threading.Thread(target=make_cycle)
        thread.start()
        thread.join()

    def makes_a_class():
        type("Passing", (), {})()

    def serves():
        async def main():
            server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
            async with server:
                _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
                writer.close()
                await writer.wait_closed()

        asyncio.run(main())

    found = [warms_a_cache, fills_a_bounded_cache, fills_an_lru_cache, saw_tooth, fills_a_deque, takes_from_a_pool, counts, starts_a_thread]
    return [*found, makes_a_class, serves]


@pytest.mark.parametrize("program", _programs(), ids=lambda program: program.__name__)
def test_clean_program(program):
    """No false alarm."""
    report = check_leaks(program)
    assert report.ok, str(report)


@pytest.mark.parametrize("name", ["Audit", "check_leaks", "no_leaks", "watch", "watch_class", "why_alive"])
def test_examples_of_docstrings(name):
    """What a docstring shows is so."""
    obj = getattr(safemem, name)
    names = {**vars(safemem), name: obj, "__name__": "__main__"}
    failed = [
        doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test).failed
        for test in doctest.DocTestFinder(recurse=False).find(obj, name, module=False, globs=names)
    ]
    assert failed == [0]


trail = contextvars.ContextVar("trail", default=())


def test_variable_of_the_context_that_holds_ever_more():
    """A tuple that is set anew, one longer, is found although no object grows."""
    token = trail.set(())
    try:
        leak = single(check_leaks(lambda: trail.set((*trail.get(), Thing()))))
    finally:
        trail.reset(token)
    assert (leak.kind, leak.holder) == ("growth", "context variable 'trail'")
    assert "reset" in leak.fix


def test_variable_of_the_context_that_is_set_and_reset():
    """What is as large as before is no leak, nor is what has grown once."""

    def visit():
        token = trail.set((*trail.get(), Thing()))
        trail.reset(token)

    assert check_leaks(visit).ok
    assert check_leaks(lambda: trail.set((1, 2, 3))).ok


def test_weak_keys_that_their_own_values_keep(shop):
    """A WeakKeyDictionary whose values refer to the keys never lets go, and the advice is about that."""
    shop.known = weakref.WeakKeyDictionary()

    def visit():
        thing = Thing()
        shop.known[thing] = [thing]

    leak = single(check_leaks(visit))
    assert leak.holder.startswith("module shop.known.data")
    assert "refer to their keys" in leak.fix


def test_stream_that_is_its_own_weak_key(shop):
    """What a C object hides, the decoder of a stream, is no leak besides the stream."""
    shop.known = weakref.WeakKeyDictionary()

    def visit():
        stream = io.TextIOWrapper(io.BytesIO(b"text"), encoding="utf-8")
        stream.read()
        shop.known[stream] = stream

    leak = single(check_leaks(visit))
    assert leak.holder.startswith("module shop.known.data")
