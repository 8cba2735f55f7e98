"""run_isolated: a result, an exception or a clear word about how the child ended; and nothing of it stays."""

from __future__ import annotations

import asyncio
import functools
import math
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from helpers.aio import in_loop, turns
from helpers.collect import no_cyclic_garbage
from helpers.forks import forks
from helpers.isolate import assert_clean, run_code
from helpers.threads import run_threads, until

from safemem._compat import GIL_DISABLED
from safemem.resources.isolate import IsolationError, arun_isolated, run_isolated

pytestmark = pytest.mark.skipif(os.name != "posix", reason="run_isolated needs POSIX, and says so")
linux = pytest.mark.skipif(sys.platform != "linux", reason="memory_limit needs Linux, and says so")

MIB = 1 << 20
STATE = ["the parent's"]


class Odd(Exception):
    """Cannot be made from its own arguments."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(one)


class Point:
    """Something of this module, which the child can only find by its file."""

    def __init__(self, x: int) -> None:
        self.x = x

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Point) and other.x == self.x

    __hash__ = None


def shifted(point: Point, by: int = 1) -> Point:
    return Point(point.x + by)


def fail(text: str) -> None:
    raise LookupError(text)


def fail_oddly() -> None:
    raise Odd(1, 2)


def change_state() -> tuple[list[str], int]:
    STATE.append("the child's")
    return STATE, os.getpid()


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


def children() -> set[int]:
    """The processes that this one has started and not reaped."""
    path = f"/proc/self/task/{threading.get_native_id()}/children"
    if not os.path.exists(path):
        return set()
    with open(path) as file:
        return set(map(int, file.read().split()))


@pytest.fixture(autouse=True)
def _nothing_stays():
    """No call leaves a descriptor or a child behind, however it ends."""
    before = descriptors(), children()
    yield
    assert (descriptors(), children()) == before


def test_result():
    """The result comes back; what the child changes stays there."""
    assert run_isolated(math.factorial, 20) == math.factorial(20)
    assert run_isolated(shifted, Point(3), by=4) == Point(7)
    state, pid = run_isolated(change_state)
    assert state == ["the parent's", "the child's"]
    assert pid != os.getpid()
    assert STATE == ["the parent's"]


def test_functions_without_a_name():
    """Lambdas, closures, recursive local functions and partials of them go with their code and what they use."""
    factor = 3

    def multiply(x: int) -> int:
        return factor * x

    def count_down(n: int) -> int:
        return 0 if n == 0 else 1 + count_down(n - 1)

    def reads_global() -> float:
        return math.pi + len(STATE)

    def with_defaults(a=7, *, b=2):
        return a + b

    def all_of_them(partial, point):
        inner = [inner(2) for inner in (lambda x: x + factor,)]
        return [multiply(5), count_down(50), reads_global(), with_defaults(), partial(), inner, shifted(point)]

    expected = [15, 50, math.pi + 1, 9, 21, [5], Point(2)]
    assert run_isolated(all_of_them, functools.partial(multiply, 7), Point(1)) == expected
    assert run_isolated(sorted, [3, 1, 2], key=lambda x: -x) == [3, 2, 1]


def test_exception_with_its_traceback():
    """It is raised as it is; the child's traceback is its cause, and shown."""
    with pytest.raises(LookupError, match="^'?not there'?$") as seen:
        run_isolated(fail, "not there")
    text = str(seen.value.__cause__)
    assert "in fail" in text
    assert "raise LookupError(text)" in text
    assert "isolated.py" not in text


def test_exception_that_cannot_be_pickled():
    """One that cannot be made again, or holds what cannot go, is named, with its traceback."""

    def hold_a_lock():
        import threading

        raise ValueError(threading.Lock())

    for func, name in ((fail_oddly, "Odd: 1"), (hold_a_lock, "ValueError: <unlocked")):
        with pytest.raises(IsolationError, match=name) as seen:
            run_isolated(func)
        assert "Traceback" in str(seen.value.__cause__)
        assert seen.value.exitcode is None


def test_what_cannot_be_pickled():
    """Arguments are refused before a child is started, results are named."""
    with pytest.raises(TypeError, match="func and its arguments must be such that they can be pickled, got len"):
        run_isolated(len, threading.Lock())
    lock = threading.Lock()
    with pytest.raises(TypeError, match="must be such that they can be pickled"):
        run_isolated(lambda: lock)
    with pytest.raises(TypeError, match="must return something that can be pickled, got generator"):
        run_isolated(lambda: (x for x in ()))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_death_by_signal(number):
    """How the child died is said, with its name and number."""
    with pytest.raises(IsolationError, match=f"was killed by {number.name}, and gave no answer") as seen:
        run_isolated(lambda signum: os.kill(os.getpid(), signum), int(number))
    assert seen.value.exitcode == -number


@pytest.mark.parametrize("status", [0, 3])
def test_exit_without_an_answer(status):
    """os._exit() is an end without an answer, whatever the status."""
    with pytest.raises(IsolationError, match=f"ended with status {status}") as seen:
        run_isolated(os._exit, status)
    assert seen.value.exitcode == status


def test_sys_exit_does_not_end_the_caller():
    """SystemExit and the like are the child's own affair."""
    with pytest.raises(IsolationError, match="was left by SystemExit: 3"):
        run_isolated(sys.exit, 3)

    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(IsolationError, match="was left by KeyboardInterrupt"):
        run_isolated(interrupt)


@linux
def test_memory_limit():
    """What goes beyond it is a MemoryError, what stays below passes; the limit counts from the child's start."""

    def take(size):
        return len(bytearray(size))

    assert run_isolated(take, 50 * MIB, memory_limit=100 * MIB) == 50 * MIB
    with pytest.raises(MemoryError, match=f"take took more than memory_limit={100 * MIB} bytes beyond its start") as seen:
        run_isolated(take, 150 * MIB, memory_limit=100 * MIB)
    assert "in take" in str(seen.value.__cause__)
    with pytest.raises(MemoryError):
        run_isolated(lambda: [bytes(MIB) for _ in range(300)], memory_limit=100 * MIB)


@linux
def test_large_result_below_the_limit():
    """Packing the result does not count."""
    assert len(run_isolated(bytes, 60 * MIB, memory_limit=100 * MIB)) == 60 * MIB


@linux
def test_memory_is_back():
    """What the child took is not in this process afterwards."""

    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    before = resident()
    assert run_isolated(lambda: len([bytes(MIB) for _ in range(300)])) == 300
    assert resident() - before < 50 * MIB


def test_timeout():
    """The child is killed when the time is over, while it works and while it ends."""
    for func in (lambda: __import__("time").sleep(60), lambda: __import__("atexit").register(__import__("time").sleep, 60) and None):
        with pytest.raises(TimeoutError, match="took longer than timeout=0.7 s"):
            run_isolated(func, timeout=0.7)
    assert run_isolated(abs, -1, timeout=60) == 1


def test_larger_than_a_pipe():
    """Arguments, results and errors of many megabytes pass."""
    data = os.urandom(20 * MIB)
    assert run_isolated(bytes, data) == data

    def fail_at_length():
        raise ValueError("x" * MIB)

    with pytest.raises(ValueError, match="xxx") as seen:
        run_isolated(fail_at_length)
    assert len(str(seen.value)) == MIB


def test_output_goes_where_the_parents_goes(capfd):
    """What the child prints is printed, its stdin is empty, and its exit handlers run."""

    def talk():
        import atexit
        import sys

        atexit.register(print, "exit handler")
        print("out", sys.stdin.read() == "")
        print("err", file=sys.stderr)

    run_isolated(talk)
    assert capfd.readouterr() == ("out True\nexit handler\n", "err\n")


def test_grandchild_that_holds_the_pipe():
    """A process that the child leaves behind does not hold up the caller."""

    def leave_one():
        import os
        import time

        pid = os.fork()
        if not pid:
            time.sleep(30)
            os._exit(0)
        return pid

    pid = run_isolated(leave_one)
    os.kill(pid, signal.SIGKILL)

    def leave_one_and_die():
        import os
        import time

        if not os.fork():
            time.sleep(3)
            os._exit(0)
        os._exit(4)

    start = time.monotonic()
    with pytest.raises(IsolationError, match="status 4"):
        run_isolated(leave_one_and_die)
    assert time.monotonic() - start < 3  # not a measure: else it would have waited for the grandchild


def test_threads_do_not_matter():
    """Many threads call at the same time, while another one holds a lock that the child needs."""
    results = {}
    with __import__("logging")._lock:
        run_threads(4, lambda number: results.update({number: run_isolated(pow, number, 2)}))
    assert results == {0: 0, 1: 1, 2: 4, 3: 9}


def test_main_module(tmp_path):
    """Functions of the main module need no guard; its classes need its file, and a missing guard is told."""
    guarded = (
        "from safemem.resources.isolate import run_isolated\n"
        "class Thing:\n    def __init__(self, x): self.x = x\n"
        "def double(thing): return Thing(thing.x * 2)\n"
        "def plain(x): return x + 1\n"
    )
    script = tmp_path / "script.py"
    script.write_text(guarded + "print(run_isolated(plain, 1))\n")
    assert run_code(f"import runpy; runpy.run_path({str(script)!r}, run_name='__main__')").stdout == "2\n"
    done = run_code(guarded + "print(run_isolated(plain, 1))\nrun_isolated(double, Thing(1))")
    assert done.stdout == "2\n"
    assert "classes of a main module without a file" in done.stderr
    import subprocess
    from pathlib import Path

    import safemem

    environment = {**os.environ, "PYTHONPATH": str(Path(safemem.__file__).parent.parent)}

    def run(text):
        script.write_text(text)
        return subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60, env=environment, check=False)

    done = run(guarded + "if __name__ == '__main__': print(run_isolated(double, Thing(4)).x)")
    assert (done.stdout, done.stderr) == ("8\n", "")
    done = run(guarded + "print(run_isolated(double, Thing(4)).x)")
    assert "put the call under" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((3,), {}, TypeError, "func must be callable, got 3"),
        ((len,), {"timeout": "1"}, TypeError, "timeout must be a number or None, got '1'"),
        ((len,), {"timeout": True}, TypeError, "timeout must be a number"),
        ((len,), {"timeout": 0}, ValueError, "timeout must be > 0, got 0"),
        ((len,), {"timeout": math.nan}, ValueError, "timeout must be > 0, got nan"),
        ((len,), {"memory_limit": 1.5}, TypeError, "memory_limit must be a number or None, got 1.5"),
        ((len,), {"memory_limit": -1}, ValueError, "memory_limit must be > 0, got -1"),
    ],
)
def test_bad_input(arguments, options, error, message):
    """It is refused at once."""
    with pytest.raises(error, match=message):
        run_isolated(*arguments, **options)


@in_loop
async def test_async():
    """Results, errors, limits and many at once, without blocking the loop."""
    assert await asyncio.gather(*(arun_isolated(pow, n, 2) for n in range(3))) == [0, 1, 4]
    with pytest.raises(LookupError, match="there"):
        await arun_isolated(fail, "there")
    with pytest.raises(TimeoutError):
        await arun_isolated(time.sleep, 60, timeout=0.3)
    with pytest.raises(TypeError, match="func must be callable"):
        await arun_isolated(3)


@pytest.mark.skipif(GIL_DISABLED, reason="without a GIL, what another thread made and left is freed by the collector, cycle or not")
@in_loop
async def test_no_cyclic_garbage_async():
    """The same for the asynchronous one."""
    with no_cyclic_garbage("arun_isolated"):
        assert await arun_isolated(abs, -1) == 1
        try:
            await arun_isolated(fail, "x")
        except LookupError:
            pass
        await turns()  # the loop remembers what it ran last


@in_loop
async def test_cancelling_kills_the_child(tmp_path):
    """When the cancelled call returns, the child is gone."""
    file = tmp_path / "pid"

    def tell_and_sleep(path):
        import os
        import time

        with open(f"{path}.new", "w") as out:
            out.write(str(os.getpid()))
        os.rename(f"{path}.new", path)
        time.sleep(60)

    task = asyncio.create_task(arun_isolated(tell_and_sleep, str(file)))
    await asyncio.to_thread(until, file.exists)
    pid = int(file.read_text())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@in_loop
async def test_cancelling_what_has_not_begun():
    """A call that still waits for a thread is given up at once, and never starts a child."""
    loop, begun, go_on = asyncio.get_running_loop(), threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        loop.set_default_executor(pool)
        pool.submit(lambda: (begun.set(), go_on.wait(60)))
        await turns()
        begun.wait(60)
        task = asyncio.create_task(arun_isolated(os.getpid))
        await turns()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not go_on.is_set()
        before = children()
        go_on.set()
        await asyncio.get_running_loop().run_in_executor(None, int)  # it was its turn before this
        assert children() == before


@forks
def test_interrupt_while_waiting():
    """An exception that a signal handler raises comes out of the call, and the child is gone."""

    class Enough(Exception):
        pass

    def enough(*_):
        raise Enough

    others = children()
    before = signal.signal(signal.SIGALRM, enough)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(Enough):
            run_isolated(time.sleep, 60)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert children() == others


def test_child_that_closes_everything():
    """A function that closes what is not its own gives no answer, and that is said."""
    with pytest.raises(IsolationError, match="ended with status 1, and gave no answer"):
        run_isolated(os.closerange, 0, 1000)


@in_loop
@linux
async def test_memory_limit_async():
    """The limit holds there, too."""
    with pytest.raises(MemoryError):
        await arun_isolated(bytearray, 200 * MIB, memory_limit=50 * MIB)


def test_child_ends_with_its_parent(tmp_path):
    """If this process is killed, nobody is left computing an answer."""
    file = tmp_path / "pid"
    code = f"""
import os, signal, threading, time
from safemem.resources.isolate import run_isolated
def sleep(parent):
    import os, time, signal
    open({str(file)!r}, "w").write(str(os.getpid()))
    os.kill(parent, signal.SIGKILL)
    time.sleep(60)
run_isolated(sleep, os.getpid())
"""
    assert run_code(code).returncode == -signal.SIGKILL
    pid = int(file.read_text())

    def gone():
        try:
            with open(f"/proc/{pid}/stat") as stat:
                return stat.read().rsplit(")", 1)[1].split()[0] == "Z"
        except (FileNotFoundError, ProcessLookupError):
            return True

    until(gone)


def test_no_cyclic_garbage():
    """Success and errors leave nothing to the collector."""
    with no_cyclic_garbage("run_isolated"):
        assert run_isolated(abs, -1) == 1
        for call in ((fail, "x"), (os._exit, 1), (3,)):
            try:
                run_isolated(*call)
            except (LookupError, IsolationError, TypeError):
                pass


def test_nothing_heavy_before_it_is_needed():
    """Importing it starts nothing and imports no machinery of processes."""
    done = run_code(
        "import sys\nbefore = set(sys.modules)\nimport safemem.resources.isolate\n"
        "assert not {'subprocess', 'multiprocessing', 'tempfile', 'asyncio'} & (set(sys.modules) - before)"
    )
    assert_clean(done)
