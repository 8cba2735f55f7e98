"""The handle of one connection: switches it off, for good or for a while, and tells what it connects."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from safemem.core._emission import place_of
from safemem.core._ways import Way, name_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from safemem.core import Link, SignalCore

__all__ = ["Connection", "switch_off"]


class Connection:
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
    __slots__ = ("__weakref__", "_code", "_lasti", "_link", "_once", "_priority", "_signal")

    def __init__(self, signal: SignalCore, link: Link) -> None:
        self._signal = weakref.ref(signal)
        self._link = weakref.ref(link)
        self._code = link.code
        self._lasti = link.lasti
        self._priority = link.priority
        ref = link.ref
        self._once = type(ref) is Way and ref.claim is not None

    def disconnect(self) -> bool:
        """End the connection; return whether there was one. The receiver is let go at once, and an emission under way passes it over."""
        link = self._link()
        signal = self._signal()
        return link is not None and signal is not None and switch_off(signal, link)

    @property
    def connected(self) -> bool:
        """Whether the receiver will still be called: False once disconnected, or once signal, receiver, owner or sender is gone."""
        link = self._link()
        return link is not None and self._signal() is not None and link.live()

    @property
    def receiver(self) -> Callable[..., Any] | None:
        """What was connected, or None if the connection has ended."""
        link = self._link()
        return None if link is None or self._signal() is None else link.receiver()

    @property
    def signal(self) -> SignalCore | None:
        """The signal, or None if it is gone."""
        return self._signal()

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
        return self._priority

    @property
    def once(self) -> bool:
        """Whether it ends with the first call."""
        return self._once

    @property
    def where(self) -> str:
        """The source line that made the connection, as `file:line`."""
        return place_of(self._code, self._lasti)

    def _way(self) -> Way | None:
        link = self._link()
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
        # References without a callback are shared by all who ask for one.
        return self._link is other._link if isinstance(other, Connection) else NotImplemented

    def __hash__(self) -> int:
        return hash(id(self._link))

    def __repr__(self) -> str:
        link = self._link()
        receiver = self.receiver
        if link is None or receiver is None:
            return f"<Connection, ended, made at {self.where}>"
        signal = self._signal()
        to = "a signal that is gone" if signal is None else signal._about.title()
        options = f", priority {self._priority}" if self._priority else ""
        return f"<Connection of {name_of(receiver)} to {to}{options}, made at {self.where}>"

    def __reduce__(self) -> Any:
        msg = "a connection cannot be copied or pickled: connect the copy's receiver to the copy's signal"
        raise TypeError(msg)


class Blocking:
    """The context manager of `Connection.block()`."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        connection = self._connection
        link, signal = connection._link(), connection._signal()
        if link is None or signal is None:
            return
        with signal._lock:
            if link.kept is not None:
                link.kept = (link.kept[0] + 1, link.kept[1])
            elif link.func is not None:
                link.kept = (1, link.func)
                link.func = None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        connection = self._connection
        link, signal = connection._link(), connection._signal()
        if link is None or signal is None:
            return
        with signal._lock:
            if link.kept is None:  # disconnected meanwhile
                return
            count, func = link.kept
            if count > 1:
                link.kept = (count - 1, func)
            else:
                link.func, link.kept = func, None


def switch_off(signal: SignalCore, link: Link) -> bool:
    """Switch a link off for good; return whether it was live. It leaves the signal with the next change or emission."""
    with signal._lock:
        func, kept = link.func, link.kept
        link.func = link.kept = None
    ref = link.ref
    if func is None and kept is None:
        return False
    if type(ref) is Way:
        live = ref() is not None
        ref.let_go()
        return live
    return ref is None or ref() is not None
