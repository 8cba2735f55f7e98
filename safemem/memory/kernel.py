"""Files of the kernel, read again and again at the price of one system call."""

from __future__ import annotations

import os
import sys

__all__ = ["KernelFile", "number_after", "read_bytes", "read_text"]

_SIZE = 16384  # what is read here is a page or two


class _Descriptor:
    """An open descriptor that is closed with its last user, who may be another thread in the middle of reading."""

    __slots__ = ("fd", "process")

    def __init__(self, path: str) -> None:
        self.fd = -1
        self.process = os.getpid()
        self.fd = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))

    def __del__(self) -> None:
        if self.fd >= 0:
            try:
                os.close(self.fd)
            except OSError:  # somebody closed all descriptors; there is nobody to tell
                pass


if sys.platform != "win32":

    def _read(fd: int) -> bytes:
        return os.pread(fd, _SIZE, 0)

else:

    def _read(fd: int) -> bytes:
        """There is no such file."""
        raise OSError(fd)


class KernelFile:
    """A file of /proc or /sys that is opened once, and read from its beginning each time; from any thread.

    A forked child opens it anew: a descriptor of /proc/self goes on telling of the process that opened it. One whose group or file went away,
    or whose descriptor somebody else closed, is opened anew as well.
    """

    __slots__ = ("_open", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self._open: _Descriptor | None = None

    def read(self) -> bytes:
        """Return what the file says now, empty if it cannot be read."""
        opened = self._open
        if opened is not None and opened.process == os.getpid():
            try:
                return _read(opened.fd)
            except OSError:
                pass
        try:
            self._open = opened = _Descriptor(self.path)
            return _read(opened.fd)
        except OSError:
            self._open = None
            return b""

    def number(self) -> int | None:
        """Return the number that the file consists of, None if it says anything else (`max`) or nothing."""
        text = self.read().strip()
        return int(text) if text.isdigit() else None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.path!r})"


def number_after(name: bytes, text: bytes) -> int | None:
    r"""Return the number that follows a name at the beginning of a line, None if there is none.

    >>> number_after(b"VmData:", b"Name:\tpython VmData:" + bytes([10]) + b"VmData:\t12 kB")
    12
    """
    start = 0 if text.startswith(name) else text.find(b"\n" + name) + 1
    if start == 0 and not text.startswith(name):
        return None
    words = text[start + len(name) : start + len(name) + 40].split(None, 1)
    return int(words[0]) if words and words[0].isdigit() else None


def read_bytes(path: str) -> bytes:
    """Return what a file says, empty if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def read_text(path: str) -> str:
    """Return what a file says; what is no UTF-8 is kept as file names keep it."""
    return read_bytes(path).decode(errors="surrogateescape")
