"""run_isolated: one call in a fresh child process, whose memory goes back to the system."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from safemem.errors import SafememError
from safemem.resources.isolated import ARENA, HEADER, START
from safemem.resources.shipping import Shipment, pack

if sys.platform != "win32":
    from select import POLLIN, poll
else:  # the call is refused before it would wait for descriptors
    POLLIN = 1
    poll: Any = None

if TYPE_CHECKING:
    import asyncio
    import subprocess
    from collections.abc import Callable

__all__ = ["IsolationError", "arun_isolated", "run_isolated"]

P = ParamSpec("P")
R = TypeVar("R")

CHUNK: Final = 1 << 20
_CHILDREN: Final = sys.platform != "win32"  # whether a child can be handed what it needs
_LIMITS: Final = sys.platform == "linux"  # whether a limit on memory is kept
BLINK: Final = 0.05  # seconds between two looks at a child, on a system that cannot tell


class IsolationError(SafememError, RuntimeError):
    """A call of `run_isolated()` that has neither a result nor an exception that could be handed over.

    `exitcode` says how the child ended, the negative number of a signal included; it is None if the child ended as it should.

    >>> IsolationError("the child died", -9).exitcode
    -9
    """

    __module__ = "safemem"

    def __init__(self, message: str, exitcode: int | None = None) -> None:
        super().__init__(message)
        self.exitcode = exitcode


class _ChildTraceback(Exception):  # noqa: N818 - shown as the cause of what it is the traceback of
    """The traceback of an exception in the child, as text."""

    def __str__(self) -> str:
        return f'\n"""\n{self.args[0]}"""'


def run_isolated(func: Callable[..., R], /, *args: Any, memory_limit: int | None = None, timeout: float | None = None, **kwargs: Any) -> R:
    """Call a function in a fresh interpreter and return its result; whatever it took, and leaked, goes back to the system.

    >>> import math
    >>> run_isolated(math.factorial, 5)
    120
    >>> run_isolated(lambda size: len(bytearray(size)), 1 << 33, memory_limit=1 << 28)
    Traceback (most recent call last):
    MemoryError: <lambda> took more than memory_limit=268435456 bytes beyond its start

    * The child is a new interpreter, not a fork: threads and locks of this process do not matter. Starting it takes some tens of milliseconds,
      and what `func` needs is imported anew.
    * Arguments and result are pickled. Functions without an importable name (lambdas, closures, functions of `__main__` or an interactive
      session) are sent with their code, their closure and the globals they use, as copies. Classes of `__main__` need its file, which is
      imported for them without what is below `if __name__ == "__main__":`.
    * The child reads nothing from stdin; stdout and stderr are those of this process. It is ended if this process dies, and if the wait for it is
      interrupted. Its exit handlers run before the call returns.
    * May be called from many threads, each waiting for its own child.

    Args:
        func: What is called.
        args: Its arguments.
        memory_limit: How many bytes of address space the call may take beyond what the child has at its start. Threads of the child take some too:
            their stacks count whole. Linux only.
        timeout: Seconds for everything, from start to end of the child.
        kwargs: Its keyword arguments; for one that is called `timeout` or `memory_limit`, take a `functools.partial`.

    Raises:
        Exception: What `func` raised, with the child's traceback as text for its cause.
        MemoryError: The call needed more than `memory_limit`.
        TimeoutError: It took longer than `timeout`; the child was killed.
        TypeError: What cannot be pickled, argument or result.
        IsolationError: The child died (`exitcode` says how), left by `sys.exit()`, or raised what cannot be pickled.
        NotImplementedError: Windows; `memory_limit` elsewhere than on Linux.

    """
    return _Call(func, args, kwargs, memory_limit, timeout).run()  # type: ignore[no-any-return]


async def arun_isolated(
    func: Callable[..., R],
    /,
    *args: Any,
    memory_limit: int | None = None,
    timeout: float | None = None,  # noqa: ASYNC109 - the child is killed, not only the wait for it cut short
    **kwargs: Any,
) -> R:
    """Do what `run_isolated()` does without blocking the loop; a thread of the default executor waits for the child.

    Cancelling kills the child, and returns when it is gone.

    >>> import asyncio, math
    >>> asyncio.run(arun_isolated(math.gcd, 12, 18))
    6
    """
    import asyncio

    call = _Call(func, args, kwargs, memory_limit, timeout)
    running = asyncio.get_running_loop().run_in_executor(None, call.run)
    try:
        await asyncio.wait([running])  # which, cancelled, lets it go on; shield() would tell the loop how it ended
        return running.result()  # type: ignore[no-any-return]
    except asyncio.CancelledError:
        running.add_done_callback(_see)
        if call.kill():  # else it still waits for a thread, and will find that it is not wanted
            await asyncio.wait([running])
        raise
    finally:
        del running  # it holds the exception, whose traceback leads to this frame


def _see(done: asyncio.Future[Any]) -> None:
    """Look at an outcome: nobody is to be told that nobody asked for it."""
    if not done.cancelled():
        done.exception()


run_isolated.__module__ = "safemem"
arun_isolated.__module__ = "safemem"


class _Call:
    """One call and its child."""

    def __init__(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], memory_limit: Any, timeout: Any) -> None:
        import threading

        _check(func, memory_limit, timeout)
        self.name = getattr(func, "__qualname__", None) or repr(func)
        self.memory_limit: int | None = memory_limit
        self.timeout: float | None = timeout
        self.deadline: float | None = None
        self.order = self._order(func, args, kwargs)
        self.begun = False
        self.killed = False
        self.lock = threading.Lock()
        self.process: subprocess.Popen[bytes] | None = None

    def _order(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
        """Return what the child reads."""
        try:
            shipment = pack((func, args, kwargs))
        except (TypeError, ValueError, AttributeError, pickle.PicklingError, RecursionError) as error:
            msg = f"func and its arguments must be such that they can be pickled, got {self.name}: {type(error).__name__}: {error}"
            raise TypeError(msg) from error
        order = {
            "argv": sys.argv,
            "arena": os.environ.get(ARENA),
            "call": shipment.data,
            "files": shipment.files,
            "main": _main(shipment),
            "memory_limit": self.memory_limit,
        }
        return pickle.dumps(sys.path) + pickle.dumps(order)

    def run(self) -> Any:
        """Start the child, wait for its answer and its end, and return or raise what it says."""
        with self.lock:
            if self.killed:
                raise self._died(None)
            self.begun = True
        if self.timeout is not None:
            self.deadline = time.monotonic() + self.timeout
        with ExitStack() as held:
            answers = self._start(held)
            assert self.process is not None
            data = self._read(answers, self.process)
            code = self._wait(self.process)
        result, error = (None, self._died(code)) if data is None else self._unpack(data)
        if error is None:
            return result
        try:
            raise error
        finally:
            del error  # its traceback leads to this frame

    def _start(self, held: ExitStack) -> int:
        """Start the child; return the descriptor to read its answer from. What is held is released when the call is over."""
        import subprocess
        import tempfile

        with ExitStack() as ours:  # what only the child needs
            request = ours.enter_context(tempfile.TemporaryFile())
            request.write(self.order)
            request.seek(0)
            answers, child_answers = os.pipe()
            held.callback(os.close, answers)
            ours.callback(os.close, child_answers)
            child_lifeline, lifeline = os.pipe()
            held.callback(os.close, lifeline)
            ours.callback(os.close, child_lifeline)
            theirs = (request.fileno(), child_answers, child_lifeline)
            command = [sys.executable, *_flags(), "-c", START, *map(str, theirs)]
            with self.lock:
                if self.killed:
                    raise self._died(None)
                self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=theirs, env=self._environment())  # noqa: S603 - our own interpreter
            held.callback(_end, self.process)
        return answers

    def _environment(self) -> dict[str, str] | None:
        """Return the child's environment, if it is not this process's."""
        if self.memory_limit is None or ARENA in os.environ:
            return None
        return {**os.environ, ARENA: "0"}

    def _read(self, answers: int, process: subprocess.Popen[bytes]) -> bytearray | None:
        """Read the answer; None if the child ended without one. Whoever else holds the pipe's other end does not matter."""
        poller = poll()
        poller.register(answers, POLLIN)
        with ExitStack() as held:
            watch: Callable[[int], int] | None = getattr(os, "pidfd_open", None)
            if watch is not None:
                pidfd = watch(process.pid)
                held.callback(os.close, pidfd)
                poller.register(pidfd, POLLIN)
            data = bytearray()
            while True:
                left = self._left(process)
                pause = left if watch else BLINK if left is None else min(left, BLINK)
                ready = [fd for fd, _ in poller.poll(None if pause is None else pause * 1000)]
                if answers in ready:
                    chunk = os.read(answers, CHUNK)
                    data += chunk
                    if len(data) >= HEADER and len(data) - HEADER >= int.from_bytes(data[:HEADER], "little"):
                        return data
                    if not chunk:
                        return None
                elif process.poll() is not None:
                    return None

    def _left(self, process: subprocess.Popen[bytes]) -> float | None:
        """Return the seconds left; kill the child if there are none."""
        if self.deadline is None:
            return None
        left = self.deadline - time.monotonic()
        if left > 0:
            return left
        process.kill()
        msg = f"{self.name} took longer than timeout={self.timeout} s"
        raise TimeoutError(msg)

    def _wait(self, process: subprocess.Popen[bytes]) -> int:
        import subprocess

        while True:
            try:
                return process.wait(self._left(process))
            except subprocess.TimeoutExpired:
                continue

    def kill(self) -> bool:
        """End the child at once, or never start it; return whether run() has begun, and so has to be waited for."""
        with self.lock:
            self.killed = True
            if self.process is not None:
                self.process.kill()
            return self.begun

    def _died(self, code: int | None) -> IsolationError:
        if code is None or code >= 0:
            how = "was never started" if code is None else f"ended with status {code}"
        else:
            known = {each.value: each.name for each in signal.Signals}
            how = f"was killed by {known.get(-code, f'signal {-code}')}"
        return IsolationError(f"the child that ran {self.name} {how}, and gave no answer", code)

    def _unpack(self, data: bytearray) -> tuple[Any, BaseException | None]:
        """Return the result, or what is to be raised."""
        try:
            answer = pickle.loads(memoryview(data)[HEADER:])  # noqa: S301 - from the child
        except Exception as error:  # noqa: BLE001 - unpickling runs code of the user's
            return None, IsolationError(f"the answer of {self.name} cannot be unpickled: {type(error).__name__}: {error}")
        kind, value, *text = answer
        if kind == "result":
            return value, None
        if kind == "unpicklable":
            return None, TypeError(f"{self.name} must return something that can be pickled, got {value}")
        return None, self._error(kind, value, text)

    def _error(self, kind: str, value: Any, text: list[str]) -> BaseException:
        if kind == "memory":
            error: BaseException = MemoryError(f"{self.name} took more than memory_limit={self.memory_limit} bytes beyond its start")
            text = [value]
        elif kind == "error":
            error = value
        else:
            said = "was left by" if kind == "ended" else "raised what cannot be pickled:"
            error = IsolationError(f"{self.name} {said} {value}")
        error.__cause__ = _ChildTraceback(*text)
        return error


def _check(func: Any, memory_limit: Any, timeout: Any) -> None:
    if not callable(func):
        msg = f"func must be callable, got {func!r}"
        raise TypeError(msg)
    for name, value, kinds in (("memory_limit", memory_limit, int), ("timeout", timeout, (int, float))):
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, kinds):
            msg = f"{name} must be a number or None, got {value!r}"
            raise TypeError(msg)
        if not value > 0:
            msg = f"{name} must be > 0, got {value!r}"
            raise ValueError(msg)
    if not _CHILDREN:
        msg = "run_isolated needs POSIX: pipes and files that are handed to a child"
        raise NotImplementedError(msg)
    if memory_limit is not None and not _LIMITS:
        msg = f"memory_limit needs Linux, got {sys.platform}: no other system is known to keep such a limit"
        raise NotImplementedError(msg)
    if getattr(sys, "_safemem_isolating", False):
        msg = (
            "run_isolated must not be called while the main module is imported for a child of it: put the call under"
            ' `if __name__ == "__main__":`'
        )
        raise RuntimeError(msg)


def _main(shipment: Shipment) -> dict[str, Any] | None:
    """Return what the child needs to have this main module's classes."""
    if not shipment.main:
        return None
    from multiprocessing import spawn

    data: dict[str, Any] = dict(spawn.get_preparation_data("isolated"))
    found: dict[str, Any] = {name: data[name] for name in ("init_main_from_name", "init_main_from_path") if name in data}
    if not found:
        msg = "func and its arguments must not refer to classes of a main module without a file: nobody else can import it"
        raise TypeError(msg)
    return found


def _flags() -> list[str]:
    import subprocess

    return list(getattr(subprocess, "_args_from_interpreter_flags", list)())


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
        process.wait()
