"""What every managed resource is: open until its one close, which the end of the block, being dropped or the exit brings about."""

from __future__ import annotations

import sys
import warnings
import weakref
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from safemem._finalize import finalize, is_dropped

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

__all__ = ["Ending", "Held", "Place", "Resource"]

# Whose frames say nothing about where a resource was made; scopes are also made by contextlib.
_INSIDE: Final = ("safemem.", "contextlib")


class Ending(Enum):
    """How a resource comes to be closed."""

    CLOSED = "closed"  # by close(), or at the clean end of the block
    FAILED = "failed"  # an exception is on its way out of the block
    DROPPED = "dropped"  # collected while open
    EXIT = "exit"  # still open when the program ends


class Place:
    """Where a resource was made: the innermost line outside of this package."""

    __slots__ = ("filename", "line", "module")

    def __init__(self) -> None:
        frame = sys._getframe(1)
        while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(_INSIDE):
            frame = frame.f_back
        self.filename = frame.f_code.co_filename
        self.line = frame.f_lineno
        self.module = frame.f_globals.get("__name__", "<unknown>")

    def warn(self, message: str) -> None:
        """Issue a ResourceWarning that points here, so that filters by module work although this code has long returned."""
        warnings.warn_explicit(message, ResourceWarning, self.filename, self.line, self.module)


class Held:
    """What is closed once: by close(), by what its subclass enters, when dropped, at exit.

    What is to be released must not hold the resource itself: `release(ending)` is called once at most, by whoever comes first, and never
    in a forked child.
    """

    __slots__ = ("__weakref__", "_finalizer")

    def __init__(self, what: str, release: Callable[[Ending], None]) -> None:
        self._finalizer = finalize(self, _abandoned, weakref.ref(self), what, release, Place())

    def close(self) -> None:
        """Close it; once it is closed, or in a forked child, nothing happens."""
        self._end(Ending.CLOSED)

    @property
    def closed(self) -> bool:
        """Whether it is closed; in a forked child it is."""
        return not self._finalizer.alive

    def _check_open(self) -> None:
        if self.closed:
            msg = f"{self!r} is closed"
            raise ValueError(msg)

    def _end(self, ending: Ending) -> None:
        found = self._finalizer.detach()  # a single step: of many threads one finds something
        if found is not None:
            release: Callable[[Ending], None] = found[2][2]
            release(ending)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None:
            self.close()
            return
        try:
            self._end(Ending.FAILED)
        except Exception as another:  # noqa: BLE001 - must not hide the one on its way, which takes it along
            error.add_note(f"while closing {self!r}: {type(another).__name__}: {another}")

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.__exit__(kind, error, trace)  # at once: a cancellation could cut short whatever waits

    def __reduce__(self) -> Any:
        msg = f"{self!r} cannot be copied or pickled: it belongs to the process that opened it"
        raise TypeError(msg)


class Resource(Held):
    """A context manager, also an async one, that can do without a block."""

    __slots__ = ()

    def __enter__(self) -> Self:
        self._check_open()
        return self

    async def __aenter__(self) -> Self:
        return self.__enter__()


def _abandoned(owner: weakref.ref[Held], what: str, release: Callable[[Ending], None], place: Place) -> None:
    """Release what nobody closed; `owner` tells which of the two it was, being dropped or the exit."""
    dropped = is_dropped(owner)
    try:
        release(Ending.DROPPED if dropped else Ending.EXIT)
    finally:
        if dropped:
            place.warn(f"unclosed {what}, opened at {place.filename}:{place.line}, was dropped: close it, or use it in a with block")
