"""on_signals: an orderly exit, and then death by the same signal."""

from __future__ import annotations

import os
import signal
import threading

import pytest
from helpers.collect import no_cyclic_garbage
from helpers.isolate import run_code
from helpers.threads import run_threads

from safemem.resources.signals import SignalExit, on_signals

pytestmark = pytest.mark.skipif(os.name != "posix", reason="other systems know no such signals")

START = """
import atexit, os, signal, sys, time
from safemem.resources.managed import managed
from safemem.resources.signals import on_signals
atexit.register(print, "exit handler")
def wait(signum):
    os.kill(os.getpid(), signum)
    time.sleep(30)
"""


@pytest.fixture(autouse=True)
def _handlers_as_before():
    """No test may leave a handler behind."""
    watched = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
    before = [signal.getsignal(each) for each in watched]
    yield
    assert [signal.getsignal(each) for each in watched] == before


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGQUIT", "SIGINT", "SIGUSR1"])
def test_orderly_exit_then_the_same_death(name):
    """Blocks are left, what is open is closed, exit handlers run, output is flushed, and the status is that of the signal."""
    code = (
        f"on_signals({name!r})\nopened = managed('resource', close=lambda s: print(s, 'closed'))\n"
        f"try: wait(signal.{name})\nfinally: print('block left')"
    )
    done = run_code(START + code)
    assert done.returncode == -getattr(signal, name)
    assert done.stdout.splitlines() == ["block left", "resource closed", "exit handler"]
    assert not done.stderr


def test_without_it_nothing_is_closed():
    """Importing changes nothing: the program dies on the spot."""
    done = run_code(START + "opened = managed('x', close=print)\nwait(signal.SIGTERM)")
    assert done.returncode == -signal.SIGTERM
    assert not done.stdout


def test_nested_uses():
    """Handlers stay until the last use ends, in whatever order."""
    default = signal.getsignal(signal.SIGTERM)
    outer = on_signals("SIGTERM")
    ours = signal.getsignal(signal.SIGTERM)
    inner = on_signals("TERM", signal.SIGHUP, int(signal.SIGTERM))
    assert inner.signals == (signal.SIGTERM, signal.SIGHUP)
    outer.close()
    assert signal.getsignal(signal.SIGTERM) is signal.getsignal(signal.SIGHUP) is ours
    inner.close()
    inner.close()
    assert signal.getsignal(signal.SIGTERM) is default
    assert ours is not default


def test_raises_in_the_main_thread():
    """What comes is a SystemExit that knows its signal, raised in the block, also if another thread sent it."""
    with pytest.raises(SystemExit) as seen, on_signals("SIGUSR1"):
        threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGUSR1)).start()
        while True:
            threading.Event().wait(0.01)
    assert type(seen.value) is SignalExit
    assert (seen.value.signum, seen.value.code) == (signal.SIGUSR1, 128 + signal.SIGUSR1)
    import sys

    sys.__dict__.pop("_safemem_death")  # this process goes on, and is to end as usual


def test_other_handlers_come_back():
    """A handler of the user's is put back; one that was set meanwhile is left."""
    mine, newer = (lambda *_: None), (lambda *_: None)
    before = signal.signal(signal.SIGUSR1, mine)
    try:
        with on_signals("SIGUSR1"):
            assert signal.getsignal(signal.SIGUSR1) is not mine
        assert signal.getsignal(signal.SIGUSR1) is mine
        with on_signals("SIGUSR1"):
            signal.signal(signal.SIGUSR1, newer)
        assert signal.getsignal(signal.SIGUSR1) is newer
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_ignored_stays_ignored():
    """A program under nohup outlives its terminal."""
    done = run_code(START + "signal.signal(signal.SIGHUP, signal.SIG_IGN)\non_signals('SIGHUP')\nos.kill(os.getpid(), 1)\nprint('alive')")
    assert (done.returncode, done.stdout.splitlines()) == (0, ["alive", "exit handler"])


def test_second_signal_raises_again():
    """What takes too long in closing is cut short by another signal; the last one is what the process dies of."""
    code = "on_signals('TERM', 'HUP')\ntry: wait(15)\nfinally:\n  try: wait(1)\n  finally: print('left')"
    done = run_code(START + code)
    assert (done.returncode, done.stdout.splitlines(), done.stderr) == (-1, ["left", "exit handler"], "")


def test_asyncio():
    """Under asyncio.run() tasks are cancelled, blocks are left, and the death is the same."""
    code = """
import asyncio
async def main():
    try:
        async with managed("resource", close=lambda s: print(s, "closed")):
            asyncio.get_running_loop().call_later(0.05, os.kill, os.getpid(), signal.SIGTERM)
            await asyncio.sleep(30)
    finally:
        print("task left")
on_signals("SIGTERM")
asyncio.run(main())
"""
    done = run_code(START + code)
    assert done.returncode == -signal.SIGTERM
    assert done.stdout.splitlines() == ["resource closed", "task left", "exit handler"]


def test_forked_child_and_pool_worker():
    """A forked child ends the same way; a worker of multiprocessing leaves its blocks and says 128 + signal."""
    code = """
import warnings; warnings.simplefilter("ignore")
import multiprocessing
on_signals("SIGTERM")
def work():
    try: wait(signal.SIGTERM)
    finally: print("worker left", flush=True)
worker = multiprocessing.get_context("fork").Process(target=work)
worker.start(); worker.join()
print(worker.exitcode, flush=True)
pid = os.fork()
if not pid:
    wait(signal.SIGTERM)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    done = run_code(START + code)
    assert done.returncode == 0
    assert done.stdout.splitlines() == ["worker left", "143", "exit handler", "-15", "exit handler"]


@pytest.mark.parametrize(
    ("signals", "error", "message"),
    [
        ((), ValueError, "signals must be at least one"),
        (("SIGTERM", "SIGKILL"), ValueError, "handler in Python can do something about, got 'SIGKILL'"),
        ((signal.SIGSEGV,), ValueError, "can do something about"),
        (("SIGNONE",), ValueError, "signals must be signals of this system, got 'SIGNONE'"),
        ((0,), ValueError, "signals of this system, got 0"),
        ((None,), TypeError, "signals must be names or numbers, got None"),
        ((True,), TypeError, "got True"),
        ((15.0,), TypeError, "got 15.0"),
    ],
)
def test_bad_input(signals, error, message):
    """It is refused at once, and no handler is set, not even for the good ones."""
    with pytest.raises(error, match=message):
        on_signals(*signals)


def test_main_thread_only():
    """Another thread is told why it cannot, for closing too."""

    def work(_number):
        with pytest.raises(ValueError, match="main thread"):
            on_signals("SIGTERM")
        with pytest.raises(ValueError, match="main thread"):
            active.close()

    with on_signals("SIGTERM") as active:
        run_threads(1, work)
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    assert repr(active) == "on_signals('SIGTERM')"


def test_no_cyclic_garbage():
    """Setting, undoing and refusing leave nothing to the collector."""
    with no_cyclic_garbage("on_signals"):
        on_signals("SIGTERM").close()
        try:
            on_signals("SIGNONE")
        except ValueError:
            pass
