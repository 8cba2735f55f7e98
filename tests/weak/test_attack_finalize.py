"""What an attack on finalisers and weak callbacks broke."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import safemem
from safemem import DeadCallbackError, weak_callback

TREE = Path(safemem.__file__).resolve().parent.parent


def run(code: str) -> str:
    """Run a program and return what it prints; it complains of nothing."""
    program = f"import sys\nsys.path.insert(0, {str(TREE)!r})\nfrom safemem import finalize\nclass Thing: pass\n{code}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_very_many_finalisers_at_exit():
    """Fifty thousand objects that live until exit: their finalisers are run in far less than minutes, the newest first."""
    code = "things = [Thing() for _ in range(50_000)]\nran = []\n"
    code += "finalize(things[0], lambda: print(ran == sorted(ran, reverse=True), len(ran)))\n"
    code += "for number, thing in enumerate(things): finalize(thing, ran.append, number)\n"
    assert run(code) == "True 50000\n"


def test_what_finalisers_change_at_exit_counts():
    """One that is made at exit comes next; one whose atexit is taken back, or that is detached or called meanwhile, does not run then."""
    code = """
things = [Thing() for _ in range(9)]
first = finalize(things[0], print, "first")
taken_back, detached, called = [finalize(thing, print, word) for thing, word in zip(things[1:], ["taken back", "detached", "called"])]
def change():
    print("change")
    taken_back.atexit = False
    detached.detach()
    called()
    finalize(things[5], lambda: (print("new"), finalize(things[6], print, "newer")))
finalize(things[4], print, "before change")
finalize(things[4], change)
"""
    assert run(code).split("\n")[:6] == ["change", "called", "new", "newer", "before change", "first"]


class Odd:
    """What to do instead, that cannot be compared with anything."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise LookupError

    def __call__(self, *args: Any) -> Any:
        return args


def test_what_to_do_for_the_dead_is_never_compared():
    """on_dead may be a callable that is equal to nothing, and a wrong one is named without being compared either."""

    class Thing:
        def work(self, number: int) -> None: ...

    thing = Thing()
    callback = weak_callback(thing.work, on_dead=Odd())
    ignoring = weak_callback(thing.work)
    raising = weak_callback(thing.work, on_dead="raise")
    del thing
    assert callback(3) == (3,)
    assert ignoring(3) is None
    with pytest.raises(DeadCallbackError):
        raising(3)
    for wrong in ([], 3, b"raise", Odd.__dict__):
        with pytest.raises(TypeError, match="on_dead must be 'ignore', 'raise' or a callable"):
            weak_callback(print, on_dead=wrong)  # type: ignore[call-overload] # pyright: ignore[reportCallIssue, reportArgumentType]
