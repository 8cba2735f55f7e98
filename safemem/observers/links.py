"""Connections as a signal has them: what the core knows of one, and what is asked about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safemem.core import LinkCore
from safemem.observers.ways import Way, name_of, rebound

if TYPE_CHECKING:
    from safemem.core._emission import Origin

__all__ = ["Link", "place_of"]


class Link(LinkCore):
    """One connection, as the signal has it: `func(*args)` is called, or `func(ref(), *args)` if there is a reference and it is alive.

    `func` is None while the link is switched off: for good if `ended`, else it is blocked and `kept` is `(count, func)`.
    """

    __slots__ = ("__weakref__",)

    def target(self) -> Any:
        """Return what is called, without the object of a bound method; None if it has ended."""
        ref, func = self.ref, self.func
        if type(ref) is Way:
            return ref.target()
        if func is None and (kept := self.kept) is not None:  # blocked
            return kept[1]
        return self.func if func is None else func  # it may have come back just now

    def receiver(self) -> Any:
        """Return what was connected, or None if it is dead or disconnected."""
        ref = self.ref
        if self.ended or type(ref) is Way:
            return None if self.ended else ref.receiver()
        func = self.target()
        if func is None or ref is None:  # the former: another thread has ended it just now
            return func
        obj = ref()
        return None if obj is None else rebound(func, obj)

    def describe(self, called: Any) -> str:
        """Return in words what was connected, and where; `called` is its function, also that of a link that has ended since."""
        ref = self.ref
        name = ref.name() if type(ref) is Way else name_of(called, ref)
        return f"{name}, connected at {place_of(self.origin)}"


def place_of(origin: Origin) -> str:
    """Return the source line of a connection, as `file:line`."""
    _, code, at, _ = origin  # that of the instruction is found when asked for
    line = next((line for start, end, line in code.co_lines() if start <= at < end), None)
    return f"{code.co_filename}:{line or code.co_firstlineno}"
