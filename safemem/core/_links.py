"""Connections as a signal has them, and what it is called: what both cores walk over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safemem.core._ways import Way, name_of, rebound

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType

__all__ = ["About", "Link", "Origin", "place_of"]

# Of a connection: priority, code and instruction that made it, and what it is to be called in messages.
Origin = tuple[int, "CodeType", int, "About"]


class About:
    """What a signal is called and how it was made: shared by a declaration and the signals of all instances."""

    __slots__ = ("attribute", "doc", "name", "owner", "replay")

    def __init__(self, name: str | None, doc: str | None, *, replay: bool) -> None:
        self.name = name
        self.doc = doc
        self.replay = replay
        self.owner: str | None = None  # the class whose attribute it is
        self.attribute: str | None = None

    def title(self) -> str:
        """Return what to call the signal in a message."""
        name = self.name or self.attribute
        if name is None:
            return "a signal without a name"
        return f"signal {name!r}" if self.owner is None else f"signal {self.owner}.{name}"


class Link:
    """One connection, as the signal has it: `func(*args)` is called, or `func(ref(), *args)` if there is a reference and it is alive.

    `func` is None while the link is switched off: for good if `ended`, else it is blocked and `kept` is `(count, func)`.
    """

    __slots__ = ("__weakref__", "ended", "func", "kept", "origin", "ref")

    def __init__(self, func: Callable[..., Any] | None, ref: Any, origin: Origin) -> None:
        self.func = func
        self.ref = ref
        self.origin = origin
        self.kept: tuple[int, Callable[..., Any]] | None = None
        self.ended = False

    def live(self) -> bool:
        """Whether the receiver may ever be called again."""
        ref = self.ref
        return not self.ended and (ref is None or ref() is not None)

    def end(self) -> bool:
        """Switch the link off for good, and let go of the receiver; return whether it was live. The signal drops it later."""
        ref = self.ref
        live = not self.ended and (ref is None or ref() is not None)
        self.ended = True
        self.func = self.kept = None
        if type(ref) is Way:
            ref.let_go()
        return live

    def target(self) -> Any:
        """Return what is called, without the object of a bound method."""
        ref, kept = self.ref, self.kept
        return ref.target() if type(ref) is Way else self.func or (None if kept is None else kept[1])

    def receiver(self) -> Any:
        """Return what was connected, or None if it is dead or disconnected."""
        ref = self.ref
        if self.ended or type(ref) is Way:
            return None if self.ended else ref.receiver()
        func = self.target()
        obj = None if ref is None else ref()
        return func if ref is None else None if obj is None else rebound(func, obj)

    def describe(self) -> str:
        """Return in words what was connected, and where."""
        target = self.target()
        return f"{'a receiver' if target is None else name_of(target)}, connected at {place_of(self.origin)}"


def place_of(origin: Origin) -> str:
    """Return the source line of a connection, as `file:line`."""
    _, code, at, _ = origin  # that of the instruction is found when asked for
    line = next((line for start, end, line in code.co_lines() if start <= at < end), None)
    return f"{code.co_filename}:{line or code.co_firstlineno}"
