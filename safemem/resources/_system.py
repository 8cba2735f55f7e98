"""What Windows does not have, by the names that POSIX has for it: there, each says at the call that it is missing. Nothing here imports the rest of the package."""

from __future__ import annotations

import os
import sys

__all__ = ["O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "fcntl", "free_bytes", "geteuid", "space"]

if sys.platform != "win32":
    import fcntl
    from os import O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, geteuid

    def free_bytes(fd: int) -> int:
        """Return how much room is left in the file system of an open file."""
        free = os.statvfs(fd)
        return free.f_bavail * free.f_frsize

    def space(found: os.stat_result) -> int:
        """Return how many bytes a file takes."""
        return found.st_blocks * 512

else:
    O_DIRECTORY = O_NOFOLLOW = O_NONBLOCK = 0

    class fcntl:  # noqa: N801 - the name of the module in whose place it stands
        """Locks of files."""

        LOCK_SH = LOCK_EX = LOCK_NB = LOCK_UN = 0

        @staticmethod
        def flock(fd: int, operation: int) -> None:
            """Refuse."""
            msg = f"flock({fd}, {operation}) is not there on Windows"
            raise NotImplementedError(msg)

    def geteuid() -> int:
        """Refuse."""
        msg = "geteuid() is not there on Windows"
        raise NotImplementedError(msg)

    def space(found: os.stat_result) -> int:
        """Return how many bytes a file has."""
        return found.st_size

    def free_bytes(fd: int) -> int:
        """Refuse."""
        msg = f"statvfs({fd}) is not there on Windows"
        raise NotImplementedError(msg)
