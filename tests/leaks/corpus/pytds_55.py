"""denisenkom/pytds, issue 55: connection and cursor refer to each other, and both have a `__del__`."""

from __future__ import annotations

KINDS = ["cycle"]
HOLDER = ["Connection", "_active_cursor", "Cursor"]
FIX = ["WeakAttr", "Disposable"]


class Cursor:
    def __init__(self, connection: "Connection | None") -> None:
        self.connection = connection

    def __del__(self) -> None:
        self.rows = 0


class Connection:
    def __init__(self) -> None:
        self._active_cursor: Cursor | None = None

    def __del__(self) -> None:
        self.autocommit = False


def leak() -> None:
    connection = Connection()
    connection._active_cursor = Cursor(connection)


def mended() -> None:
    connection = Connection()
    connection._active_cursor = Cursor(None)
