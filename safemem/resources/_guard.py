"""The guardian's own program: a process that outlives those it watches, and then removes what they left.

It reads one socket for each of them; the kernel closes that, however they end. A socket first says which lease it stands for (`L`), then in which
directories there will be something (`D`). At its end, all names of that lease are reclaimed, and again until none is left: a process's socket can
be gone before its locks are, and others may use what it left. Nothing here imports the rest of the package, only the leases.

Nothing but SIGKILL ends it before that: no signal is let in, what it is told is not trusted, and a failure is met by another try.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from safemem.resources.lease import is_held, owned_names, parse_name, reclaim

if TYPE_CHECKING:
    from collections.abc import Iterator

assert sys.platform != "win32"  # there is nothing to guard, and nobody imports this

__all__ = ["main", "peer"]

CONTROL: Final = 0  # the descriptor of the socket of who started it
LISTENER: Final = 1  # that of the one where others of the family come, or /dev/null

_SOON: Final = 0.02  # seconds until it looks again for what is still held
_LATE: Final = 1.0
_LOOKS: Final = 2  # in a row, that must find nothing: a directory is not read in one step, and others change it meanwhile
_FAILURES: Final = 100  # in a row, after which what cannot be removed is left to a sweep


def peer(connection: socket.socket) -> tuple[int, int]:
    """Return the process and user at the other end of a socket; a process of 0 is one that this one cannot see."""
    if sys.platform == "linux":
        pid, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
        return pid, uid
    else:  # noqa: RET505 - for type checkers, which look at one of the two
        return 0, os.geteuid()


def main() -> None:
    """Leave the family, so that nobody waits for this process or signals it with others, and watch."""
    os.setsid()  # before anybody goes on, who might signal the old group
    if os.fork():
        os._exit(0)  # who started it waits for this
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # as it was started with
    os.chdir("/")  # keeps no file system busy
    _close_others()
    _raise_limits()
    _Guardian().watch()


def _close_others() -> None:
    """Close what was inherited without having been meant: somebody may wait for its end."""
    try:
        numbers = [int(name) for name in os.listdir("/dev/fd")]
    except OSError:
        numbers = list(range(os.sysconf("SC_OPEN_MAX")))
    for number in numbers:
        if number > 2:
            with suppress(OSError):
                os.close(number)


def _raise_limits() -> None:
    """Take what the system allows: the limits that the family chose for itself were not meant for what cleans up after it."""
    import resource

    for kind in (resource.RLIMIT_CPU, resource.RLIMIT_NOFILE, resource.RLIMIT_AS, resource.RLIMIT_DATA):
        with suppress(OSError, ValueError):
            hard = resource.getrlimit(kind)[1]
            resource.setrlimit(kind, (hard, hard))


class _Watched:
    """One process, or what it left."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.lease = ""
        self.directories: set[str] = set()
        self.text = b""
        self.looks = 0  # in a row, that found nothing
        self.failures = 0  # in a row

    def read(self) -> bool:
        """Read what there is; return whether there may be more some time."""
        try:
            data = self.connection.recv(65536)
        except BlockingIOError:
            return True
        except OSError:
            data = b""
        *lines, self.text = (self.text + data).split(b"\n")
        for line in lines:
            with suppress(ValueError):  # nothing of ours wrote that
                self.take_in(line[:1], bytes.fromhex(line[1:].decode()))
        return bool(data)

    def take_in(self, kind: bytes, rest: bytes) -> None:
        """Take in what it says."""
        if kind == b"L":
            self.lease = rest.decode()
            with suppress(OSError):
                self.connection.send(b"\n")
        elif kind == b"D":
            self.directories.add(os.fsdecode(rest))

    def is_done(self) -> bool:
        """Remove what nobody uses any more; return whether nothing is left that somebody does, or that can still be removed."""
        left, failed = self.clean()
        self.looks = 0 if left or failed else self.looks + 1
        self.failures = self.failures + 1 if failed and not left else 0
        return self.looks >= _LOOKS or self.failures >= _FAILURES

    def clean(self) -> tuple[bool, bool]:
        """Remove what nobody uses any more; return whether something is left that somebody does, and whether something failed."""
        left = failed = False
        for directory, name in self.names():
            try:
                if name is None:
                    failed = True
                elif not reclaim(directory, name):
                    left = is_held(directory, name) is not None or left
            except Exception:  # noqa: BLE001 - no descriptor, no memory: not now, but perhaps in a moment
                failed = True
        return left, failed

    def names(self) -> Iterator[tuple[str, str | None]]:
        """Yield what there is of that lease, and None for a directory that cannot be read now."""
        for directory in self.directories:
            try:
                names = list(owned_names(directory))
            except OSError:
                yield directory, None
                continue
            except ValueError:  # no path at all
                continue
            for name in names:
                found = parse_name(name)
                if found is not None and found.family == self.lease:
                    yield directory, name


class _Guardian:
    def __init__(self) -> None:
        first = socket.socket(fileno=CONTROL)
        first.setblocking(False)
        self.watched = {first.fileno(): _Watched(first)}
        self.left: list[_Watched] = []
        self.listener: socket.socket | None = None
        with suppress(OSError):  # it is none
            listener = socket.socket(fileno=LISTENER)
            if listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                listener.setblocking(False)
                self.listener = listener

    def watch(self) -> None:
        """Watch until all are gone, and all that they left."""
        poll = select.poll()
        poll.register(CONTROL, select.POLLIN)
        if self.listener is not None:
            poll.register(LISTENER, select.POLLIN)
        delay = _SOON
        while self.watched or self.left or self.accept(poll):
            events = poll.poll(delay * 1000 if self.left else None)
            for number, _ in events:
                if number == LISTENER:
                    self.accept(poll)
                elif not self.watched[number].read():
                    poll.unregister(number)
                    gone = self.watched.pop(number)
                    gone.connection.close()
                    self.left.append(gone)
                    delay = _SOON
            self.left = [each for each in self.left if not each.is_done()]
            delay = min(2 * delay, _LATE) if not events else delay

    def accept(self, poll: select.poll) -> bool:
        """Take in those who have come; return whether there was anybody."""
        came = False
        while self.listener is not None:
            try:
                connection, _ = self.listener.accept()
            except BlockingIOError:
                break
            except OSError:  # no descriptor; who wants in waits
                time.sleep(_SOON)
                break
            connection.setblocking(False)
            if peer(connection)[1] == os.geteuid():
                self.watched[connection.fileno()] = _Watched(connection)
                poll.register(connection.fileno(), select.POLLIN)
                came = True
        return came
