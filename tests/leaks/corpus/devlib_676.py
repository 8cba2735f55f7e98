"""ARM-software/devlib, issue 676: `atexit.register(self.close)` keeps every connection."""

from __future__ import annotations

import atexit

KINDS = ["listener"]
HOLDER = ["atexit", "close"]
FIX = ["finalize", "unregister"]


class SshConnection:
    def __init__(self) -> None:
        self.buffer = bytearray(500)
        atexit.register(self.close)

    def close(self) -> None:
        self.buffer.clear()
        atexit.unregister(self.close)


def leak() -> None:
    SshConnection()


def mended() -> None:
    SshConnection().close()
