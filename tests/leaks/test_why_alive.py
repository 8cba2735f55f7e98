"""why_alive: every way to hold an object is named, and nothing stays behind."""

from __future__ import annotations

import atexit
import contextvars
import ctypes
import functools
import gc
import logging
import sys
import threading
import weakref
from types import ModuleType, SimpleNamespace

import pytest

from safemem import why_alive


class Thing:
    """Something that is held."""


@pytest.fixture(name="shop")
def _shop():
    """A module that a program has."""
    module = ModuleType("shop")
    sys.modules["shop"] = module
    yield module
    del sys.modules["shop"]


def released(make):
    """Run a function that returns an object, and return the object by a weak reference alone."""
    return weakref.ref(make())


def test_attribute_of_a_module(shop):
    """The path begins at the module and goes on by attributes, keys and places."""
    shop.sessions = {"ab": [SimpleNamespace(user=Thing())]}
    user = shop.sessions["ab"][0].user
    path = why_alive(user)
    assert path.holder == "module shop.sessions['ab'][0].user"
    assert [edge.label for edge in path.edges] == [".sessions", "['ab']", "[0]", ".user"]
    assert str(path).splitlines()[0] == "module shop"
    assert "n3 -> n4" in path.to_dot()


def test_class_attribute(shop):
    """A class is found where it was defined, however it was reached."""

    class Registry:
        members = [Thing()]

    Registry.__module__, Registry.__qualname__ = "shop", "Registry"
    shop.Registry = Registry
    assert why_alive(Registry.members[0]).holder == "module shop.Registry.members[0]"


def test_closure_variable(shop):
    """The function and its variable are named."""

    def make():
        secret = Thing()
        shop.handler = lambda: secret
        return secret

    assert "closure variable 'secret'" in why_alive(released(make)()).holder


def test_default_and_attribute_of_a_function(shop):
    """Defaults are named by their parameter, attributes by their name."""

    def render(context=Thing(), *, theme=Thing()): ...  # noqa: B008 - one object for all calls

    render.cache = Thing()
    shop.render = render
    assert "default of parameter 'context'" in why_alive(render.__defaults__[0]).holder
    assert "default of parameter 'theme'" in why_alive(render.__kwdefaults__["theme"]).holder
    assert why_alive(render.cache).holder.endswith(".render.cache")


def test_bound_method(shop):
    """The method is named, and that it holds its object."""
    shop.callbacks = [Thing().__init_subclass__, SimpleNamespace]

    class Window:
        def close(self): ...

    shop.callbacks.append(Window().close)
    assert "method test_bound_method.<locals>.Window.close.__self__" in why_alive(shop.callbacks[2].__self__).holder


def test_lru_cache(shop):
    """An instance in the key of a cached call is told as that."""

    class Repo:
        @functools.cache  # noqa: B019 - it leaks
        def heads(self):
            return 1

    shop.Repo = Repo

    def make():
        repo = Repo()
        repo.heads()
        return repo

    assert "heads -> the arguments of a cached call" in why_alive(released(make)()).holder


def test_local_of_a_running_function():
    """A variable of a function that runs holds, though no object refers to it."""
    kept = [Thing()]
    holder = why_alive(kept[0]).holder
    assert holder == "running function test_local_of_a_running_function -> local 'kept'[0]"


def test_module_comes_before_a_local(shop):
    """What lasts is named, not what ends with the function."""
    shop.thing = thing = Thing()
    assert why_alive(thing).holder == "module shop.thing"


def test_local_of_another_thread():
    """The thread is named, the function, and the variable."""
    ready, done, found = threading.Event(), threading.Event(), []

    def work():
        payload = Thing()
        found.append(weakref.ref(payload))
        ready.set()
        done.wait(60)

    thread = threading.Thread(target=work, name="worker 7")
    thread.start()
    ready.wait(60)
    holder = why_alive(found[0]()).holder
    done.set()
    thread.join()
    assert holder.startswith("thread 'worker 7': running function")
    assert holder.endswith("local 'payload'")


def test_thread_local(shop):
    """An attribute of a threading.local is named."""
    shop.local = threading.local()
    shop.local.seen = [Thing()]
    assert why_alive(shop.local.seen[0]).holder == "module shop.local -> attribute .seen of one thread[0]"


def test_context_variable():
    """The variable of the context is named."""
    variable = contextvars.ContextVar("request")
    token = variable.set([Thing()])
    assert "context variable 'request'[0]" in why_alive(variable.get()[0]).holder or "local 'token'" in why_alive(variable.get()[0]).holder
    variable.reset(token)


def test_frame_of_a_stored_exception(shop):
    """From the exception by its traceback to the function, and to the variable in it."""

    def fail():
        payload = Thing()
        shop.payload = weakref.ref(payload)
        raise ValueError

    try:
        fail()
    except ValueError as error:
        shop.error = error
    holder = why_alive(shop.payload()).holder
    assert holder.startswith("module shop.error.__traceback__")
    assert "frame of" in holder
    assert holder.endswith("local 'payload'")


def test_suspended_generator(shop):
    """The local of a generator that waits is named."""

    def generate():
        held = Thing()
        shop.held = weakref.ref(held)
        yield

    shop.generator = generate()
    next(shop.generator)
    assert why_alive(shop.held()).holder == "module shop.generator -> local 'held'"


def test_logging_handler():
    """A handler is found at its logger."""
    handler = logging.NullHandler()
    logger = logging.getLogger("safemem.test.why")
    logger.addHandler(handler)
    reference = weakref.ref(handler)
    del handler
    assert why_alive(reference()).holder.endswith("loggerDict['safemem.test.why'].handlers[0]")
    logger.handlers.clear()


def test_finalizer_registry():
    """What a finaliser's arguments keep is told."""
    made = weakref.finalize(Thing, print, Thing())
    reference = weakref.ref(made.peek()[2][0])
    assert "finalize._registry" in why_alive(reference()).holder
    made.detach()


def test_exit_handler():
    """atexit has a table that no object refers to; what is in it is told all the same."""

    def make():
        connection = Thing()

        def close():
            return connection

        atexit.register(close)
        made.append(close)
        return connection

    made: list[object] = []
    reference = released(make)
    close = made.pop()
    holder = why_alive(reference()).holder
    atexit.unregister(close)
    assert "closure variable 'connection'" in holder


def test_reference_that_nobody_has():
    """A reference that native code took and lost is told as that."""

    def lose():
        thing = Thing()
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))
        return thing

    reference = released(lose)
    holder = why_alive(reference()).holder
    ctypes.pythonapi.Py_DecRef(ctypes.py_object(reference()))
    assert "native code" in holder


def test_cycle_that_waits_for_the_collector():
    """An object that only a cycle holds is said to wait for the collector."""

    def make():
        thing = Thing()
        thing.me = thing
        return thing

    gc.disable()
    try:
        reference = released(make)
        holder = why_alive(reference()).holder
        assert "waits for the collector" in holder
    finally:
        gc.enable()


def test_path_keeps_nothing(shop):
    """A path is made of text."""
    shop.thing = Thing()
    path = why_alive(shop.thing)
    reference = weakref.ref(shop.thing)
    shop.thing = None
    assert reference() is None
    assert path


def test_leaves_no_references_in_frames():
    """The variables of the running functions are free when they are deleted: nothing was left in the frames."""
    first = Thing()
    other = Thing()
    reference = weakref.ref(other)
    why_alive(first)
    del other
    alive = reference() is not None
    assert not alive


def test_makes_no_cycles(shop):
    """Nothing is left for the collector."""
    shop.thing = Thing()
    why_alive(shop.thing)
    gc.collect()
    gc.disable()
    try:
        why_alive(shop.thing)
        assert gc.collect() == 0
    finally:
        gc.enable()
