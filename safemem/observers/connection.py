"""The handle of one connection: switches it off, for good or for a while, and tells what it connects."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from safemem.core._emission import About
from safemem.observers.links import Link, place_of
from safemem.observers.listeners import SignalCore
from safemem.observers.ways import Way, name_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from safemem.core._emission import Origin

__all__ = ["Connection", "connection_of"]


class Connection(weakref.ref[Link]):
    """One receiver connected to one signal; what `Signal.connect()` returns, and may be thrown away.

    It keeps neither the signal alive nor the receiver. `disconnect()` ends it, as does the end of a `with` block, and as often as one
    likes. Each connection is one of its own: if a receiver was connected twice, ending one leaves the other. Safe to use from any thread.

    >>> from safemem import Signal
    >>> done = Signal(name="done")
    >>> with done.connect(print) as connection:
    ...     done.emit("heard")
    heard
    >>> done.emit("not heard")
    >>> connection.connected
    False
    """

    __module__ = "safemem"
    __slots__ = ("__weakref__", "_origin")

    # It is a weak reference to its link, which the signal alone holds, so that it ends with it. Whoever makes one sets the origin, which is
    # cheaper than to have it done here.
    _origin: Origin

    def disconnect(self) -> bool:
        """End the connection; return whether there was one. The receiver is let go at once, and an emission under way passes it over."""
        link = self()
        return link is not None and link.end()

    @property
    def connected(self) -> bool:
        """Whether the receiver will still be called; False once disconnected, or once signal, receiver, owner or sender is gone."""
        link = self()
        return link is not None and link.live()

    @property
    def receiver(self) -> Callable[..., Any] | None:
        """What was connected, or None if the connection has ended."""
        link = self()
        return None if link is None else link.receiver()

    @property
    def sender(self) -> Any:
        """The object whose emissions alone are heard, or None if there is no particular one or it is gone."""
        way = self._way()
        return None if way is None or way.sender is None else way.sender()

    @property
    def owner(self) -> Any:
        """The object given as `owner=`, or None if there was none or it is gone."""
        way = self._way()
        return None if way is None or way.owner is None else way.owner()

    @property
    def priority(self) -> int:
        """The priority it was made with."""
        return self._origin[0]

    @property
    def once(self) -> bool:
        """Whether it ends with the first call; False also once it has ended."""
        way = self._way()
        return way is not None and way.claim is not None

    @property
    def where(self) -> str:
        """The file and line of the source that made the connection, with a colon between."""
        return place_of(self._origin)

    def _way(self) -> Way | None:
        link = self()
        return link.ref if link is not None and type(link.ref) is Way else None

    def block(self) -> Blocking:
        """Return a context manager in which the receiver is not called; nests, and may be entered in several threads.

        >>> from safemem import Signal
        >>> changed = Signal()
        >>> connection = changed.connect(print)
        >>> with connection.block():
        ...     changed.emit("nobody hears")
        >>> changed.emit("hears")
        hears
        """
        return Blocking(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.disconnect()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Connection):
            return NotImplemented
        link = self()
        return self is other or (link is not None and link is other())

    def __hash__(self) -> int:
        _, code, instruction, about = self._origin
        return hash((id(code), instruction, id(about)))  # the same for all handles of one connection, also when that has ended

    def __repr__(self) -> str:
        receiver = self.receiver
        title = self._origin[3].title()
        if receiver is None:
            return f"<Connection to {title}, ended, made at {self.where}>"
        options = f", priority {self.priority}" if self.priority else ""
        return f"<Connection of {name_of(receiver)} to {title}{options}, made at {self.where}>"

    def __reduce__(self) -> tuple[Any, ...]:
        # What has a connection as an attribute may be copied or pickled: the copy listens to nothing, so its connection has ended.
        return _ended, ()


def connection_of(link: Link) -> Connection:
    """Return a handle of a link."""
    connection = Connection(link)
    connection._origin = link.origin
    return connection


def _ended() -> Connection:
    return connection_of(Link(None, None, (0, _ended.__code__, 0, About(None, None, replay=False))))


class Blocking:
    """The context manager of `Connection.block()`."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        link = self._connection()
        if link is None:
            return
        with SignalCore._lock:
            kept, func = link.kept, link.func  # either may be gone the next moment: disconnecting takes no lock
            if kept is not None:
                link.kept = (kept[0] + 1, kept[1])
            elif func is not None:
                link.kept = (1, func)
                link.func = None
        _heed_end(link)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        link = self._connection()
        if link is None:
            return
        with SignalCore._lock:
            kept = link.kept
            if kept is None:  # disconnected meanwhile
                return
            count, func = kept
            if count > 1:
                link.kept = (count - 1, func)
            else:
                link.func, link.kept = func, None
        _heed_end(link)


def _heed_end(link: Link) -> None:
    if link.ended:  # just now, by another thread
        link.func = link.kept = None
