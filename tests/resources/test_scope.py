"""ResourceScope and AsyncResourceScope: whatever can be closed is closed, once, and no error hides another."""

from __future__ import annotations

import asyncio
import gc
import io
import mmap
import multiprocessing
import os
import pickle
import socket
import subprocess
import sys
import tempfile
import warnings
import weakref
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from helpers.aio import in_loop
from helpers.closables import Closable
from helpers.collect import Thing, freed_by_count, no_cyclic_garbage
from helpers.forks import forks, in_child
from helpers.isolate import assert_clean, run_code
from helpers.recorder import unraisable
from helpers.threads import run_threads

from safemem.resources.managed import managed
from safemem.resources.scope import AsyncResourceScope, ResourceScope


def test_scope_closes_in_reverse_order():
    """The last that came is closed first, whichever way it came."""
    told = []

    @contextmanager
    def context():
        yield "entered"
        told.append("context")

    with ResourceScope() as scope:
        scope.adopt(Closable("first", told))
        assert scope.enter_context(context()) == "entered"
        scope.callback(told.append, "callback")
        scope.adopt(Closable("last", told))
    assert told == ["last", "callback", "context", "first"]
    assert scope.live() == []


def test_live_and_detach():
    """live() says what a scope holds; detach() hands one of them back, open."""
    told = []
    first, second = Closable("first", told), Closable("second", told)
    with ResourceScope() as scope:
        scope.adopt(first)
        file = scope.enter_context(io.StringIO())
        scope.callback(told.append, "callback")
        scope.adopt(second)
        assert scope.live() == [first, file, told.append, second]
        assert scope.detach(first) is first
        assert scope.detach(file) is file
        assert len(scope.live()) == 2
        with pytest.raises(ValueError, match="obj must be something that the scope holds"):
            scope.detach(first)
        with pytest.raises(ValueError, match="must not be held by the scope already"):
            scope.adopt(second)
    assert told == ["second", "callback"]
    assert not file.closed


def test_adopts_what_can_be_closed(tmp_path):
    """Files, sockets, mappings, processes, pools, executors, temporary directories: all are ended."""
    sleeper = [sys.executable, "-c", "import time; print(flush=True); time.sleep(60)"]
    with ResourceScope() as scope:
        file = scope.adopt(open(tmp_path / "file", "w"))
        left, right = socket.socketpair()
        scope.adopt(left)
        scope.adopt(right)
        mapping = scope.adopt(mmap.mmap(-1, 4096))
        process = scope.adopt(subprocess.Popen(sleeper, stdout=subprocess.PIPE))
        done = scope.adopt(subprocess.Popen([sys.executable, "-c", ""]))
        done.wait()
        threads = scope.adopt(ThreadPoolExecutor(1))
        assert threads.submit(int, "3").result() == 3
        executor = scope.adopt(ProcessPoolExecutor(1))
        directory = scope.adopt(tempfile.TemporaryDirectory(dir=tmp_path))
        unstarted = scope.adopt(multiprocessing.get_context("spawn").Process(target=int))
    assert file.closed
    assert left.fileno() == right.fileno() == -1
    assert mapping.closed
    assert process.returncode is not None
    assert process.stdout.closed
    for ended in (threads, executor):
        with pytest.raises(RuntimeError):
            ended.submit(int)
    assert not os.path.exists(directory.name)
    assert unstarted.pid is None


def test_a_process_that_will_not_end(monkeypatch):
    """One that ignores being told to end is killed after a while."""
    from safemem.resources import closing

    monkeypatch.setattr(closing, "PATIENCE", 0.2)
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    with ResourceScope() as scope:
        process = scope.adopt(subprocess.Popen([sys.executable, "-c", stubborn], stdout=subprocess.PIPE))
        process.stdout.readline()
    assert process.returncode == -9


def test_adopt_bad_input():
    """What has no closing method is refused at once, and not held."""
    with ResourceScope() as scope:
        for wrong in (3, None, object()):
            with pytest.raises(TypeError, match="obj must have one of the methods"):
                scope.adopt(wrong)
        with pytest.raises(TypeError, match="must have a method 'shut'"):
            scope.adopt(io.StringIO(), close="shut")
        assert scope.live() == []


def test_errors_of_adopted_objects():
    """All are closed; the first error is raised, the others are its notes; one of the block stays and gets all of them."""
    told = []
    with pytest.raises(OSError, match="second") as seen, ResourceScope() as scope:
        scope.adopt(Closable("third", told))
        scope.adopt(Closable("first", told, OSError("first")))
        scope.adopt(Closable("second", told, OSError("second")))
    assert told == ["second", "first", "third"]
    assert [note.rsplit(": ", 1)[1] for note in seen.value.__notes__] == ["first"]
    with pytest.raises(KeyError) as seen, ResourceScope() as scope:
        scope.adopt(Closable(error=OSError("one")))
        scope.adopt(Closable(error=OSError("two")))
        raise KeyError
    assert [note.rsplit(": ", 1)[1] for note in seen.value.__notes__] == ["two", "one"]


@pytest.mark.parametrize("kind", [ResourceScope, AsyncResourceScope])
def test_dropped_scope(kind):
    """What a dropped scope holds is closed, with a warning that names the place; an empty one is silent."""
    told = []
    scope = kind()
    line = sys._getframe().f_lineno - 1
    scope.adopt(Closable("a", told))
    scope.adopt(Closable("b", told, OSError("stuck")))
    with warnings.catch_warnings(record=True) as seen, unraisable() as caught:
        warnings.simplefilter("always")
        del scope
        kind()
        gc.collect()
    assert told == ["b", "a"]
    assert [(each.category, each.filename, each.lineno) for each in seen] == [(ResourceWarning, __file__, line)]
    assert "with 2 open" in str(seen[0].message)
    assert [str(error) for error in caught] == ["stuck"]


def test_scope_of_its_own_owner_dies():
    """A scope held by what it is to close is collected with it: the exit's interest keeps nothing alive."""
    told = []

    class Server(Thing):
        __slots__ = ("scope",)

    server = Server()
    server.scope = ResourceScope()
    server.scope.callback(lambda server=server: told.append("stopped"))
    watch = weakref.ref(server)
    del server
    with pytest.warns(ResourceWarning, match="with 1 open"):
        gc.collect()
    gc.collect()
    assert told == ["stopped"]
    assert watch() is None


def test_scope_at_exit():
    """What scopes hold at exit is closed, the newest first, asynchronous things as far as they need not wait."""
    code = """
import asyncio
from safemem.resources.scope import ResourceScope, AsyncResourceScope
class Client:
    async def aclose(self): print("client")
scope = ResourceScope()
scope.callback(print, "first")
scope.callback(print, "second")
later = AsyncResourceScope()
later.adopt(Client())
later.adopt("text", close=print)
"""
    done = run_code(code, "-W", "error")
    assert_clean(done)
    assert done.stdout.split() == ["text", "client", "second", "first"]


def test_scope_at_exit_that_has_to_wait():
    """Nobody can wait at exit: that is reported, and all others are closed."""
    code = """
import asyncio
from safemem.resources.scope import AsyncResourceScope
class Slow:
    async def aclose(self): await asyncio.sleep(0)
scope = AsyncResourceScope()
scope.callback(print, "others")
scope.adopt(Slow())
"""
    done = run_code(code)
    assert done.returncode == 0
    assert done.stdout == "others\n"
    assert "has to wait" in done.stderr


@forks
def test_scope_in_a_child():
    """A forked child closes nothing that was adopted before, in whatever way it ends."""
    thing, own = Closable(), Closable()

    def child():
        with scope:
            scope.adopt(own)
        assert own.told == ["it"]
        assert thing.told == []

    with ResourceScope() as scope:
        scope.adopt(thing)
        assert in_child(child) == 0
    assert thing.told == ["it"]
    code = (
        "import os, sys\nfrom safemem.resources.scope import ResourceScope\ns = ResourceScope()\ns.adopt('x', close=print)\n"
        "pid = os.fork()\nif pid: os.waitpid(pid, 0)\nelse: sys.exit()"
    )
    done = run_code(code)
    assert_clean(done)
    assert done.stdout == "x\n"


@in_loop
async def test_async_scope():
    """Coroutines are awaited, other closing methods called; errors are noted."""
    told = []
    task = asyncio.create_task(asyncio.sleep(60))
    with pytest.raises(KeyError) as seen:
        async with AsyncResourceScope() as scope:
            scope.adopt(Closable("plain", told))
            scope.adopt(Closable("slow", told), close="aclose_slowly")
            scope.adopt(Closable("bad", told, OSError("stuck")), close="aclose_slowly")
            scope.adopt(task)
            process = scope.adopt(await asyncio.create_subprocess_exec(sys.executable, "-c", "import time; time.sleep(60)"))
            assert len(scope.live()) == 5
            raise KeyError
    assert told == ["bad", "slow", "plain"]
    assert "stuck" in seen.value.__notes__[0]
    await asyncio.sleep(0)
    assert task.cancelled()
    assert process.returncode is not None


def test_coroutine_in_a_plain_scope():
    """A plain scope cannot wait, and says so when that turns out."""
    thing = Closable()
    with pytest.raises(TypeError, match="async with"), ResourceScope() as scope:
        scope.adopt(thing, close="aclose_slowly")
        scope.adopt(Closable("other", thing.told))
    assert thing.told == ["other"]


def test_pop_all_and_reuse():
    """pop_all() moves everything to a scope of the same class; a closed scope can be used again."""
    told = []
    with ResourceScope() as scope:
        scope.adopt(Closable("kept", told))
        kept = scope.pop_all()
    assert told == []
    assert type(kept) is ResourceScope
    with scope:
        scope.adopt(Closable("again", told))
    kept.close()
    assert told == ["again", "kept"]


def test_threads_adopt_and_detach():
    """Nothing is lost or closed twice when many threads use a scope."""
    told = []
    with ResourceScope() as scope:

        def work(number):
            for turn in range(50):
                thing = scope.adopt(Closable(f"{number} {turn}", told))
                if turn % 2:
                    scope.detach(thing)

        run_threads(4, work)
        assert len(scope.live()) == 100
    assert len(told) == len(set(told)) == 100


@pytest.mark.parametrize("kind", [ResourceScope, AsyncResourceScope])
def test_scopes_are_not_copied(kind):
    """Two scopes that close the same things would be one too many."""
    with pytest.raises(TypeError, match="cannot be copied or pickled"):
        pickle.dumps(kind())


def test_freed_by_count():
    """A scope, its objects and handles die with their last reference."""
    with freed_by_count() as dead:
        scope = ResourceScope()
        thing = scope.adopt(Closable())
        handle = managed(thing)
        dead += [weakref.ref(scope), weakref.ref(thing), weakref.ref(handle)]
        scope.close()
        handle.close()
        del scope, thing, handle


def test_no_cyclic_garbage():
    """Success and errors leave nothing to the collector."""
    with no_cyclic_garbage("a scope"):
        for error in (None, OSError("stuck")):
            try:
                with ResourceScope() as scope:
                    scope.adopt(Closable(error=error))
                    scope.adopt(Closable(error=error))
            except OSError:
                pass
            try:
                with managed(Closable(error=error)):
                    raise KeyError
            except KeyError:
                pass
        try:
            scope.adopt(3)
        except TypeError:
            pass
        try:
            scope.detach(3)
        except ValueError:
            pass
