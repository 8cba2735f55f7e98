"""The guardian from the side of those it watches: found or started when there is first something to clean up.

One process watches a family: the first that makes something starts it, its children find it. It has no parent among them that could wait for it,
belongs to no session or process group of theirs, and ends when all of them have ended and nothing is left. What it does is what a sweep does.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import signal
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from safemem._compat import FIRST_PROCESS
from safemem.resources.lease import family

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

assert sys.platform != "win32"  # there is nothing to guard, and nobody imports this

__all__ = ["watch"]

_ACKNOWLEDGED_IN: Final = 2.0  # seconds
_STARTED_IN: Final = 15.0  # seconds
_LOOK_EVERY: Final = 0.05  # seconds after which it is missed at the earliest if it was killed
_CALM: Final = 60.0  # seconds: the longest pause after attempts to start one, and for how long it must live for the next pause to be short
_GENERATIONS: Final = 16
_BACKLOG: Final = 4096  # processes that come at once
_LOWEST: Final = 10  # descriptors that are passed on are above those they become

# Paths are in the environment, not on the command line, where whoever kills all that runs from some directory would find them.
_ROOM: Final = "SAFEMEM_GUARDIAN_ROOM"
_PROGRAM: Final = f"""\
import os, sys, types
room = os.environ["{_ROOM}"]
for name, path in (("safemem", os.path.dirname(room)), ("safemem.resources", room)):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [path]
from safemem.resources._guard import main
main()
"""


class _State:
    """What this process knows of its guardian."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.busy = False  # under the lock
        self.connection = -1
        self.user = -1  # whose things it can remove
        self.directories: set[str] = set()
        self.look_again = 0.0
        self.started = -_CALM
        self.pause = _LOOK_EVERY  # until another attempt
        self.thread = 0  # which of them is at it
        self.opening: tuple[int, ...] = ()  # what it has open meanwhile

    def hang_up(self) -> None:
        """Give up a guardian that died, or cannot remove what this process makes now."""
        if self.connection >= 0:
            os.close(self.connection)
        self.connection = -1
        self.directories = set()


_state = _State()
_watching_forks = False


def watch(directory: str) -> None:
    """See to it that what this process makes in a directory under names of ours is removed when it is dead.

    Does nothing where that cannot be: the next start or a sweep will do it then. Takes 15 ms or so the first time in a family of processes, 0.2 ms
    the first time in another process of it, 1 us after that. `SAFEMEM_GUARDIAN=off` in the environment makes it do nothing.
    """
    global _watching_forks  # noqa: PLW0603 - importing changes nothing
    state = _state
    if directory in state.directories and time.monotonic() < state.look_again and state.user == os.geteuid():
        return
    if os.environ.get("SAFEMEM_GUARDIAN", "").lower() == "off":
        return
    if not _watching_forks:
        _watching_forks = True
        os.register_at_fork(after_in_child=_forget)
    with state.lock:
        if (
            not state.busy
        ):  # else called by a finaliser or a signal handler in the middle of this: a sweep has to do for what that makes now
            state.busy = True
            try:
                _watch(state, directory)
            finally:
                state.busy = False


def _watch(state: _State, directory: str) -> None:
    now = time.monotonic()
    if state.user != os.geteuid():
        state.hang_up()  # what was made as that user is cleaned up when it is let go
        state.user, state.started = os.geteuid(), -_CALM
    elif state.connection >= 0 and now >= state.look_again and not _alive(state.connection):
        state.hang_up()
    state.look_again = now + _LOOK_EVERY
    if state.connection < 0:
        if now < state.started + state.pause:
            return
        state.pause = _LOOK_EVERY if now >= state.started + _CALM else min(4 * state.pause, _CALM)
        state.started = now
        state.connection = _reach(state)
    if state.connection >= 0 and directory not in state.directories:
        with suppress(OSError):
            _send(state.connection, b"D" + os.fsencode(directory).hex().encode() + b"\n")
            state.directories.add(directory)


def _reach(state: _State) -> int:
    """Return a connection to the guardian that there is, or to a new one; -1 if there is none to be had, and things go on without."""
    state.thread = threading.get_ident()
    found: socket.socket | None = None
    try:
        # The second attempt is for when there was one, which was about to end.
        found = _join(state) or _start(state) or _start(state)
    except OSError:
        pass
    finally:
        state.thread, state.opening = 0, ()
    if found is None:
        return -1
    if state is not _state:  # forked meanwhile, by a signal handler: it is the parent's
        found.close()
        return -1
    return found.detach()  # a socket object would warn when the interpreter ends


def _forget() -> None:
    """In a forked child: its parent's end must not wait for it, and it comes to the guardian by itself if it has something to guard."""
    global _state
    state, _state = _state, _State()
    if state.thread != threading.get_ident():  # another thread was just about to reach one
        for fd in state.opening:
            with suppress(OSError):
                os.close(fd)
    state.hang_up()


def _alive(connection: int) -> bool:
    """Whether the guardian has not hung up; it says nothing but at first."""
    poll = select.poll()
    poll.register(connection, 0)
    return not poll.poll(0)


def _send(connection: int, line: bytes) -> None:
    import socket

    guardian = socket.socket(fileno=connection)
    try:
        guardian.send(line, socket.MSG_DONTWAIT)  # Python lets no SIGPIPE in
    finally:
        guardian.detach()


def _hello() -> bytes:
    return b"L" + family().encode().hex().encode() + b"\n"


def _join(state: _State) -> socket.socket | None:
    """Come to the guardian that one of the family started, if there is one."""
    if sys.platform == "linux":
        for address in dict.fromkeys(_addresses()):
            connection = _connect(state, address)
            if connection is not None:
                return connection
    return None


def _connect(state: _State, address: str) -> socket.socket | None:
    import socket

    from safemem.resources._guard import peer

    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    state.opening = (connection.fileno(),)
    try:
        connection.settimeout(_ACKNOWLEDGED_IN)
        connection.connect(address)
        pid, uid = peer(connection)
        if uid == os.geteuid() and pid > 0:
            connection.sendall(_hello())
            if connection.recv(1) == b"\n":
                return connection
    except OSError:
        pass
    connection.close()
    return None


def _addresses() -> Iterator[str]:
    """Yield where a guardian of the family may listen, first where one of this process's would."""
    yield _address(_head())
    pid = os.getpid()
    for _ in range(_GENERATIONS):
        if pid <= 0:
            return
        yield _address(pid)
        pid = _parent(pid)


def _address(pid: int) -> str:
    """Return the abstract address of the guardian of a family; processes in other containers see other directories, and shall not meet."""
    place = os.stat("/dev/shm" if os.path.isdir("/dev/shm") else "/")  # noqa: S108 - not used for files
    return f"\0safemem-1-{os.geteuid()}-{pid}-{place.st_dev:x}-{place.st_ino:x}"


def _head() -> int:
    """Return the process after which the family is called: the one that multiprocessing or a fork made this one from."""
    children = sys.modules.get("multiprocessing.process")
    parent = None if children is None else children.parent_process()
    return FIRST_PROCESS if parent is None or os.getpid() != FIRST_PROCESS else parent.pid


def _parent(pid: int) -> int:
    if pid == os.getpid():
        return os.getppid()
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0


def _start(state: _State) -> socket.socket | None:
    """Start a guardian; return this process's way to it, or None if another process of the family was faster but cannot be reached.

    Raises:
        OSError: it could not be started, or ended at once.
    """
    import socket

    if not sys.executable or getattr(sys, "frozen", False) or not os.path.isfile(__file__):
        return None
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with listener:
        if sys.platform == "linux":
            try:
                listener.bind(_address(_head()))
                listener.listen(_BACKLOG)
            except OSError:
                return _connect(state, _address(_head()))
        ours, its = socket.socketpair()
        try:
            with its:
                state.opening = (listener.fileno(), ours.fileno(), its.fileno())
                pid = _spawn(its.fileno(), listener.fileno())
            _await(ours, pid)
        except BaseException:
            ours.close()
            raise
    return ours


def _spawn(control: int, listener: int) -> int:
    """Start its program, which leaves for a process of its own; return the one that is to be waited for."""
    from safemem.resources import _guard

    arguments = [sys.executable, "-I", "-S", "-c", _PROGRAM, "safemem-guardian", family()]
    environment = {**os.environ, _ROOM: os.path.dirname(os.path.abspath(__file__))}
    high: list[int] = []
    try:
        for fd in (control, listener):
            high.append(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _LOWEST))  # noqa: PERF401 - what is there is closed if one fails
        return os.posix_spawn(
            sys.executable,
            arguments,
            environment,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, high[0], _guard.CONTROL),
                (os.POSIX_SPAWN_DUP2, high[1], _guard.LISTENER),
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
            ],
            setsigmask=signal.valid_signals(),  # it never lets any in
        )
    finally:
        for fd in high:
            os.close(fd)


def _await(connection: socket.socket, pid: int) -> None:
    """Wait until it says that it is there: what is made before that would be in nobody's care."""
    there = False
    try:
        connection.settimeout(_STARTED_IN)
        connection.sendall(_hello())
        there = connection.recv(1) == b"\n"
    finally:
        with suppress(ChildProcessError):  # somebody waits for all children, or ignores them
            if not there and os.waitpid(pid, os.WNOHANG) == (0, 0):
                os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    if not there:
        raise OSError(errno.ECHILD, "the guardian ended at once")
