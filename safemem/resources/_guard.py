"""The guardian's own program: a process that outlives those it watches, and then removes what they left.

It reads one socket for each of them; the kernel closes that, however they end. A socket first says which lease it stands for (`L`), then in which
directories there will be something (`D`). At its end, all names of that lease are reclaimed, and again until none is left: a process's socket can
be gone before its locks are, and others may use what it left. Nothing here imports the rest of the package, only the leases.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
import sys
from contextlib import suppress
from typing import Final

from safemem.resources.lease import owned_names, parse_name, reclaim

__all__ = ["main", "peer"]

CONTROL: Final = 0  # the descriptor of the socket of who started it
LISTENER: Final = 1  # that of the one where others of the family come, or /dev/null

_SOON: Final = 0.02  # seconds until it looks again for what is still held
_LATE: Final = 1.0
_ENDING: Final = {signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGQUIT} if sys.platform != "win32" else set()


def peer(connection: socket.socket) -> tuple[int, int]:
    """Return the process and user at the other end of a socket; a process of 0 is one that this one cannot see."""
    if sys.platform != "linux":
        return 0, os.geteuid()
    pid, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return pid, uid


def main() -> None:
    """Leave the family, so that nobody waits for this process or signals it with others, and watch."""
    os.setsid()  # before anybody goes on, who might signal the old group
    if os.fork():
        os._exit(0)  # who started it waits for this
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)
    os.chdir("/")  # keeps no file system busy
    _close_others()
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


class _Watched:
    """One process, or what it left."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.lease = ""
        self.directories: set[str] = set()
        self.text = b""

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
            kind, rest = line[:1], bytes.fromhex(line[1:].decode())
            if kind == b"L":
                self.lease = rest.decode()
                with suppress(OSError):
                    self.connection.send(b"\n")
            elif kind == b"D":
                self.directories.add(os.fsdecode(rest))
        return bool(data)

    def clean(self) -> bool:
        """Remove what nobody uses any more; return whether something is left that somebody does."""
        left = False
        for directory in self.directories:
            for name in list(owned_names(directory)):
                found = parse_name(name)
                if found is not None and found.family == self.lease:
                    try:
                        left = not reclaim(directory, name) or left
                    except OSError:
                        left = True
        return left


class _Guardian:
    def __init__(self) -> None:
        first = socket.socket(fileno=CONTROL)
        first.setblocking(False)
        self.watched = {first.fileno(): _Watched(first)}
        self.left: list[_Watched] = []
        self.listener: socket.socket | None = None
        with suppress(OSError):  # it is none
            self.listener = socket.socket(fileno=LISTENER)
            self.listener.setblocking(False)

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
            self.left = [each for each in self.left if each.clean()]
            delay = min(2 * delay, _LATE) if not events else delay

    def accept(self, poll: select.poll) -> bool:
        """Take in those who have come; return whether there was anybody."""
        came = False
        while self.listener is not None:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                break
            connection.setblocking(False)
            if peer(connection)[1] == os.geteuid():
                self.watched[connection.fileno()] = _Watched(connection)
                poll.register(connection.fileno(), select.POLLIN)
                came = True
        return came
