"""finalize: what it refuses, forks, errors, and the end of the interpreter."""

from __future__ import annotations

import gc
import pickle
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from helpers.forks import forks, in_child

import safemem
from safemem import CycleWarning, finalize

TREE = Path(safemem.__file__).resolve().parent.parent


class Thing:
    def close(self, *_: object) -> None: ...


def run(code: str) -> tuple[str, str]:
    """Run a program; return what it prints, and what it complains of."""
    program = f"import sys\nsys.path.insert(0, {str(TREE)!r})\n{code}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def test_what_would_keep_the_object_alive_is_refused():
    """A bound method, a partial of one, the object among the arguments; the message says what to write."""
    thing = Thing()
    for func, args, kwargs in (
        (thing.close, (), {}),
        (partial(thing.close, 1), (), {}),
        (partial(print, thing), (), {}),
        (print, (thing,), {}),
        (print, (), {"file": thing}),
        (Thing.close, (thing,), {}),
    ):
        with pytest.raises(TypeError, match=r"keeps the Thing object alive .*finalize\(obj, os.close, obj.fd\)"):
            finalize(thing, func, *args, **kwargs)
    with pytest.warns(CycleWarning, match="its closure, as variable 'thing'"):
        finalize(thing, lambda: thing).detach()
    with pytest.raises(TypeError, match="obj must be .* type int: add '__weakref__'"):
        finalize(3, print)
    with pytest.raises(TypeError, match="func must be callable, got 3"):
        finalize(thing, 3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="cannot be copied or pickled"):
        pickle.dumps(finalize(thing, len, []))


def test_it_runs_once_when_the_object_dies():
    """By reference count and by the collector; errors go to sys.unraisablehook."""
    ran: list[int] = []
    thing = Thing()
    first = finalize(thing, ran.append, 1)
    assert "for 'Thing' at" in repr(first)
    del thing
    assert (ran, first.alive, first(), first.atexit) == ([1], False, None, False)
    assert repr(first).endswith("; dead>")
    cyclic = Thing()
    cyclic.me = cyclic  # type: ignore[attr-defined]
    finalize(cyclic, ran.append, 2)
    del cyclic
    gc.collect()
    assert ran == [1, 2]


def test_an_error_at_death_is_unraisable(monkeypatch):
    """No innocent code sees it; the error of an explicit call reaches its caller."""
    seen: list[object] = []
    monkeypatch.setattr("sys.unraisablehook", lambda info: seen.append(info.exc_type))
    thing = Thing()
    finalize(thing, int, "x")
    del thing
    assert seen == [ValueError]
    thing = Thing()
    with pytest.raises(ValueError):
        finalize(thing, int, "x")()


@forks
def test_a_child_runs_nothing_of_its_parent():
    """Neither at the object's death nor by a call; what the child attaches itself works."""
    ran: list[int] = []
    things = [Thing()]
    attached = finalize(things[0], ran.append, 1)

    def child() -> None:
        assert not attached.alive
        assert attached() is attached.peek() is attached.detach() is None
        things.clear()
        assert ran == []
        thing = Thing()
        finalize(thing, ran.append, 2)
        del thing
        assert ran == [2]

    assert in_child(child) == 0
    assert attached.alive
    things.clear()
    assert ran == [1]


def test_exit_runs_the_rest_the_newest_first():
    """What comes up meanwhile too, and an error stops nobody; atexit=False is left out."""
    out, err = run("""
from safemem import finalize
class A: pass
a = A()
def error():
    late = finalize(a, print, "late")
    print("error"); 1/0
finalize(a, print, "first"); finalize(a, print, "never").atexit = False
finalize(a, error); finalize(a, print, "last")
""")
    assert out.split() == ["last", "error", "late", "first"]
    assert "ZeroDivisionError" in err


def test_one_that_is_made_late_still_works():
    """After the exit handlers of weakref and of this package have run, and for what dies with the modules."""
    out, err = run("""
import atexit
class A: pass
def late():
    a = A()
    finalize(a, print, "made late")
    del a
    global kept
    kept = A()
    finalize(kept, print, "dies with the modules")
atexit.register(late)
import weakref
from safemem import finalize
b = A()
weakref.finalize(b, print, "theirs"); finalize(b, print, "ours")
""")
    assert sorted(out.splitlines()) == ["dies with the modules", "made late", "ours", "theirs"]
    assert err == ""


@forks
def test_a_child_that_exits_runs_only_its_own():
    """Exit handlers are inherited, finalisers are not."""
    out, err = run("""
import os, sys
from safemem import finalize
class A: pass
a = A()
finalize(a, print, "parent")
pid = os.fork()
if pid == 0:
    finalize(a, print, "child")
    sys.exit()
os.waitpid(pid, 0)
""")
    assert out.split() == ["child", "parent"]
    assert err == ""


def test_an_exit_with_everything_in_use_is_silent():
    """Containers with members, callbacks, and objects that use them in their finalisers."""
    out, err = run("""
from safemem import *
class A:
    def m(self): pass
    def __del__(self): d.get(self); s.discard(self); len(r); c()
d, s, r = WeakIdentityDict(), WeakIdentitySet(), WeakRegistry(on_remove=lambda *what: None)
things = [A() for _ in range(50)]
c = weak_callback(things[0].m)
for number, thing in enumerate(things):
    d[thing] = thing if number % 2 else number; s.add(thing); r[number] = thing; thing.me = thing
""")
    assert (out, err) == ("", "")
