"""What a flight brings to those who take part in it: a value, a failure, or nothing, and then an heir.

Lists of flights compare them by identity. A key's `__eq__` runs only in order to look for flights of the same hash, in the middle of nothing.
An exception leads by its traceback to frames and from there to their variables: a variable that refers to a flight, or to an exception,
is deleted before its frame ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from types import TracebackType
    from typing import NoReturn, TypeVar

    from safemem.caches.circles import Run

    F = TypeVar("F", bound="Flight")  # a bound in quotes is compiled when it is met, for a millisecond

__all__ = ["NOTHING", "Failure", "Flight", "find", "raise_again", "remove"]

NOTHING: Final = object()


class Flight:
    """One run of a function, for those who take part in it; nobody else refers to it for long.

    The heir of one that was interrupted, or withdrew for another, is the first of `heirs`: the flight of the first of those who waited to get there. The others take what
    that one brings, even if it has landed before they had their turn.
    """

    __slots__ = ("digest", "failure", "heirs", "key", "run", "value")

    def __init__(self, key: object, digest: int, run: Run) -> None:
        self.key = key
        self.digest = digest
        self.run = run
        self.value: Any = NOTHING
        self.failure: Failure | None = None
        self.heirs: list[Any] = []


class Failure:
    """An exception as it was when the function had failed."""

    __slots__ = ("context", "error", "traceback")

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.traceback: TracebackType | None = error.__traceback__
        self.context = error.__context__


def find(flights: list[F], key: object, digest: int) -> F | None:
    """Return the first flight of a key that is under way, and take out what is left of those that ended strangely or stayed in a parent."""
    for flight in [*flights]:
        if flight.digest == digest and (flight.key is key or flight.key == key) and flight.run.goes_on():
            return flight
        if not flight.run.goes_on():
            remove(flights, flight)
    return None


def remove(flights: list[F], flight: F) -> None:
    """Take a flight out of a list, if it is in."""
    try:
        flights.remove(flight)
    except ValueError:  # somebody else was faster
        pass


def raise_again(failure: Failure) -> NoReturn:
    """Raise the exception as it was at first, however often it has been raised since."""
    error = failure.error
    try:
        raise error.with_traceback(failure.traceback)
    finally:
        error.__context__ = failure.context  # not what this one of its many callers was handling at the time
        del error, failure
