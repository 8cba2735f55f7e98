"""Who listens to a signal, and the long way of an emission: from a sender, or with results."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from safemem.core import EmissionCore, new_lock
from safemem.core._emission import About
from safemem.core._failures import blame, failure, remember
from safemem.observers.ways import SKIPPED, Way, rebound

if TYPE_CHECKING:
    import weakref
    from _thread import RLock

    from safemem.observers.links import Link

__all__ = ["NAMELESS", "SignalCore"]

NAMELESS: Final = About(None, None, replay=False)  # of signals whose __init__ was never run
_locks: Final[dict[str, RLock]] = {}


def _alive(links: tuple[Link, ...]) -> list[Link]:
    return [link for link in links if not link.ended and ((ref := link.ref) is None or ref() is not None)]


class SignalCore(EmissionCore):
    """A signal without checks, names and comfort."""

    __slots__ = ("__weakref__", "_emitter")

    _emitter: weakref.ref[Any] | None

    # One lock for all signals: it is held for a comparison and an assignment, and nothing of anybody else's runs under it.
    _lock: ClassVar[RLock]

    def __new__(cls, *_args: Any, **_options: Any) -> Self:
        """Make it whole, whatever a subclass does in `__init__`."""
        if not _locks:
            SignalCore._lock = _locks.setdefault("signals", new_lock())
        self = super().__new__(cls)
        self._about = NAMELESS
        self._emitter = None
        return self

    def emit_from(self, sender: Any, /, *args: Any, **kwargs: Any) -> None:
        """As `emit()`, for the receivers of this sender, by identity, and those of no particular one; the sender is not passed to them."""
        errors: list[Exception] = []
        try:
            self._run(sender, args, kwargs, None, errors)
            if errors:
                raise failure(self._about.title(), errors, None)
        finally:
            del errors

    def send(self, /, *args: Any, **kwargs: Any) -> list[tuple[Any, Any]]:
        """As `emit()`, and return what the receivers return: a list of (receiver, result) in calling order.

        If any fails, the results of the others are the attribute `results` of the ExceptionGroup.
        """
        errors: list[Exception] = []
        results: list[tuple[Any, Any]] = []
        try:
            self._run(None, args, kwargs, results, errors)
            if errors:
                raise failure(self._about.title(), errors, results)
        finally:
            del errors
        return results

    def _run(self, sender: Any, args: tuple[Any, ...], kwargs: dict[str, Any], results: list[Any] | None, errors: list[Exception]) -> None:
        """Emit once; what receivers return and raise goes to the two lists."""
        special = self._special
        stale = False
        try:
            for link in self._links if special is None else special.admit(self, sender, args, kwargs):
                func, ref = link.func, link.ref
                receiver: Any = None if func is None else func if ref is None else ref()
                if func is None or receiver is None:
                    stale = True
                    continue
                try:
                    if type(ref) is Way:
                        way, receiver = receiver, receiver.receiver()
                        result = way.run(sender, args, kwargs)
                        if result is SKIPPED:
                            continue
                    elif ref is None:
                        result = func(*args, **kwargs)
                    else:
                        result = func(receiver, *args, **kwargs)
                        if results is not None:
                            receiver = rebound(func, receiver)
                    if results is not None:
                        results.append((receiver, result))
                except Exception as error:  # noqa: BLE001 - the caller raises it, with those of the others
                    blame(error, link, self._about.title(), func)
                    errors.append(error)
                except BaseException as error:
                    blame(error, link, self._about.title(), func)
                    if errors:
                        remember(error, errors, self._about.title())
                    raise
        finally:
            del errors, results  # the tracebacks lead to this frame, which must not lead back
            receiver = result = None
        if stale:
            self._prune()

    # -- listeners ------------------------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        """Return how many receivers are connected and alive."""
        links = self._links
        count: int = sum(link.live() for link in links)
        if count < len(links):
            self._prune()
        return count

    def __bool__(self) -> bool:
        """Whether anybody listens."""
        return any(link.live() for link in self._links)

    def _add(self, link: Link) -> Any:
        """Put a link in its place; return the memory of `_special`, read in the same step."""
        while True:
            links = self._links
            new = self._inserted(links, link)
            with self._lock:
                special = self._special
                if special is None:
                    if self._swap(links, new):
                        return None
                elif self._links is links:  # no call from here on: nothing may be emitted between this and what is remembered
                    self._links = new
                    return special.memory

    def _inserted(self, links: tuple[Link, ...], link: Link) -> tuple[Link, ...]:
        """Return the links that are alive, and one more in its place."""
        live = _alive(links)
        self._limit = 2 * len(live) + 8
        place = bisect_right(live, -link.origin[0], key=lambda other: -other.origin[0])
        live.insert(place, link)
        return tuple(live)

    def _prune(self) -> None:
        """Take out what is dead, unless another thread is at it: nobody waits for this."""
        links = self._links
        live = tuple(_alive(links))
        if len(live) < len(links) and self._lock.acquire(blocking=False):
            try:
                if self._special is None:
                    self._swap(links, live)
                elif self._links is links:
                    self._links = live
            finally:
                self._lock.release()
