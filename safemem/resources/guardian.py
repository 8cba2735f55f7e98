"""The guardian from the side of those it watches: found or started when there is first something to clean up.

One process watches a family: the first that makes something starts it, its children find it. It has no parent among them that could wait for it,
belongs to no session or process group of theirs, and ends when all of them have ended and nothing is left. What it does is what a sweep does.
"""

from __future__ import annotations

import os
import select
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from safemem._compat import FIRST_PROCESS
from safemem.resources.lease import family

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

__all__ = ["watch"]

_TRIES: Final = 3
_ACKNOWLEDGED_IN: Final = 2.0  # seconds
_LOOK_EVERY: Final = 0.05  # seconds after which it is missed at the earliest if it was killed
_GENERATIONS: Final = 16
_LOWEST: Final = 10  # descriptors that are passed on are above those they become

_PROGRAM: Final = """\
import sys, types
for name, path in (("safemem", sys.argv[1]), ("safemem.resources", sys.argv[2])):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [path]
from safemem.resources._guard import main
main()
"""


class _State:
    """What this process knows of its guardian."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.connection = -1
        self.directories: set[str] = set()
        self.tries = 0
        self.look_again = 0.0


_state: _State | None = None


def watch(directory: str) -> None:
    """See to it that what this process makes in a directory under names of ours is removed when it is dead.

    Does nothing where that cannot be: the next start or a sweep will do it then. Takes 15 ms or so the first time in a family of processes, 0.2 ms
    the first time in another process of it, 1 us after that. `SAFEMEM_GUARDIAN=off` in the environment makes it do nothing.
    """
    global _state  # noqa: PLW0603 - importing changes nothing, so it is made when it is first needed
    if _state is not None and directory in _state.directories and time.monotonic() < _state.look_again:
        return
    if os.environ.get("SAFEMEM_GUARDIAN", "").lower() == "off" or sys.platform == "win32":
        return
    if _state is None:
        os.register_at_fork(after_in_child=_forget)
        _state = _State()
    with _state.lock:
        _watch(_state, directory)


def _watch(state: _State, directory: str) -> None:
    now = time.monotonic()
    if state.connection >= 0 and now >= state.look_again and not _alive(state.connection):
        os.close(state.connection)
        state.connection = -1
    state.look_again = now + _LOOK_EVERY
    if state.connection < 0:
        if state.tries >= _TRIES:
            return
        state.tries += 1
        state.directories = set()
        try:
            found = _join() or _start()
        except OSError:  # it is a help, and what is to be done goes on without
            return
        if found is None:
            return
        state.connection = found.detach()  # a socket object would warn when the interpreter ends
    if directory not in state.directories:
        with suppress(OSError):
            _send(state.connection, b"D" + os.fsencode(directory).hex().encode() + b"\n")
            state.directories.add(directory)


def _forget() -> None:
    """In a forked child: its parent's end must not wait for it, and it comes to the guardian by itself if it has something to guard."""
    global _state  # noqa: PLW0603 - as above
    if _state is not None:
        if _state.connection >= 0:
            os.close(_state.connection)
        _state = _State()


def _alive(connection: int) -> bool:
    """Whether the guardian has not hung up; it says nothing but at first."""
    poll = select.poll()
    poll.register(connection, 0)
    return not poll.poll(0)


def _send(connection: int, line: bytes) -> None:
    import socket

    guardian = socket.socket(fileno=connection)
    try:
        guardian.send(line, socket.MSG_NOSIGNAL)
    finally:
        guardian.detach()


def _hello() -> bytes:
    return b"L" + family().encode().hex().encode() + b"\n"


def _join() -> socket.socket | None:
    """Come to the guardian that one of the family started, if there is one."""
    if sys.platform != "linux":
        return None
    for address in dict.fromkeys(_addresses()):
        connection = _connect(address)
        if connection is not None:
            return connection
    return None


def _connect(address: str) -> socket.socket | None:
    import socket

    from safemem.resources._guard import peer

    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
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


def _start() -> socket.socket | None:
    """Start a guardian; return this process's way to it, or None if another process of the family was faster but cannot be reached."""
    import socket

    if not sys.executable or getattr(sys, "frozen", False) or not os.path.isfile(__file__):
        return None
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with listener:
        if sys.platform == "linux":
            try:
                listener.bind(_address(_head()))
                listener.listen(128)
            except OSError:
                return _connect(_address(_head()))
        ours, its = socket.socketpair()
        with its:
            try:
                ours.sendall(_hello())
                _spawn(its.fileno(), listener.fileno())
            except BaseException:
                ours.close()
                raise
    return ours


def _spawn(control: int, listener: int) -> None:
    """Start its program, and wait until that has left for a process of its own."""
    from safemem.resources import _guard

    room = os.path.dirname(os.path.abspath(__file__))
    arguments = [sys.executable, "-I", "-S", "-c", _PROGRAM, os.path.dirname(room), room, "safemem-guardian", family()]
    high: list[int] = []
    try:
        for fd in (control, listener):
            high.append(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _LOWEST))  # noqa: PERF401 - what is there is closed if one fails
        pid = os.posix_spawn(
            sys.executable,
            arguments,
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, high[0], _guard.CONTROL),
                (os.POSIX_SPAWN_DUP2, high[1], _guard.LISTENER),
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
            ],
            setsigmask=_guard._ENDING,  # until it ignores them
        )
    finally:
        for fd in high:
            os.close(fd)
    with suppress(ChildProcessError):  # somebody waits for all children, or ignores them
        os.waitpid(pid, 0)
