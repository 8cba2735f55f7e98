"""The hot protocol of a signal, in plain Python: the reference for the compiled one, and complete.

All that an emission reads is `_links`, a tuple of links in calling order that is replaced and never changed, and `_special`. An emission
takes no lock: it walks the tuple it found. A link that was switched off meanwhile has no function any more and is passed over.

What the public class and its helpers ask of a core beside the public methods, for whoever writes another one: `_links`, `_special`,
`_about`, `_emitter`, `_owners` and `_limit` as attributes, `_add(link)`, `_run(...)` and `_prune()`. `_special` is None, or an object
whose `admit(signal, sender, args, kwargs)` returns the links to be called: none if the signal is muted or paused. A core calls
`self._of(instance)` when it does not find the signal of an instance.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, TypeVar

from safemem.core._failures import blame, failure, remember
from safemem.core._locks import new_lock
from safemem.core._ways import SKIPPED, Way, name_of, rebound

if TYPE_CHECKING:
    import weakref
    from _thread import RLock
    from collections.abc import Callable
    from types import CodeType

__all__ = ["About", "Link", "Origin", "SignalCore", "place_of"]

S = TypeVar("S", bound="SignalCore")

_read_attribute: Final = object.__getattribute__
_locks: Final[dict[str, RLock]] = {}

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


def _alive(links: tuple[Link, ...]) -> list[Link]:
    return [link for link in links if not link.ended and ((ref := link.ref) is None or ref() is not None)]


class SignalCore:
    """A signal without checks, names and comfort."""

    __slots__ = ("__weakref__", "_about", "_emitter", "_limit", "_links", "_owners", "_special")

    _about: About
    _emitter: weakref.ref[Any] | None
    _limit: int
    _links: tuple[Link, ...]
    _owners: Any
    _special: Any

    # One lock for all signals: it is held for a comparison and an assignment, and nothing of anybody else's runs under it.
    _lock: ClassVar[RLock]

    def __new__(cls, *_args: Any, **_options: Any) -> Self:
        if not _locks:
            SignalCore._lock = _locks.setdefault("signals", new_lock())
        self = object.__new__(cls)
        self._emitter = None
        self._limit = 8
        self._links = ()
        self._owners = None
        self._special = None
        return self

    # -- emitting -------------------------------------------------------------------------------------------------------------------

    def emit(self, /, *args: Any, **kwargs: Any) -> None:
        """Call every receiver of no particular sender with these arguments; what they return is not looked at.

        Every receiver is called. The Exceptions of those that fail are raised afterwards as one ExceptionGroup, each with a note that names
        the receiver and the source line that connected it. A BaseException that is no Exception is raised at once; what had failed before
        it is its `__context__`. A coroutine receiver fails with a RuntimeError: it can be called by `aemit()` and `asend()` only.
        """
        special = self._special
        errors: list[Exception] | None = None
        stale = False
        for link in self._links if special is None else special.admit(self, None, args, kwargs):
            func = link.func
            if func is None:
                stale = True
                continue
            ref = link.ref
            try:
                if ref is None:
                    func(*args, **kwargs)
                    continue
                obj = ref()
                if obj is None:
                    stale = True
                    continue
                func(obj, *args, **kwargs)
                obj = None  # a receiver lives no longer than the call because of us
            except Exception as error:  # noqa: BLE001 - raised below, with those of the others
                obj = None
                blame(error, link, self._about.title())
                if errors is None:
                    errors = [error]
                else:
                    errors.append(error)
            except BaseException as error:
                obj = None
                blame(error, link, self._about.title())
                if errors is not None:
                    remember(error, errors, self._about.title())
                    errors = None
                raise
        if stale:
            self._prune()
        if errors is not None:
            try:
                raise failure(self._about.title(), errors, None)
            finally:
                errors = None  # the tracebacks lead to this frame, which must not lead back

    def emit_from(self, sender: Any, /, *args: Any, **kwargs: Any) -> None:
        """As `emit()`, for the receivers of this sender, by identity, and those of no particular one; the sender is not passed to them."""
        errors: list[Exception] = []
        self._run(sender, args, kwargs, None, errors)
        if errors:
            try:
                raise failure(self._about.title(), errors, None)
            finally:
                del errors

    def send(self, /, *args: Any, **kwargs: Any) -> list[tuple[Any, Any]]:
        """As `emit()`, and return what the receivers return: a list of (receiver, result) in calling order.

        If any fails, the results of the others are the attribute `results` of the ExceptionGroup.
        """
        errors: list[Exception] = []
        results: list[tuple[Any, Any]] = []
        self._run(None, args, kwargs, results, errors)
        if errors:
            try:
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
                    blame(error, link, self._about.title())
                    errors.append(error)
                except BaseException as error:
                    blame(error, link, self._about.title())
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
        links = self._links
        count = sum(link.live() for link in links)
        if count < len(links):
            self._prune()
        return count

    def __bool__(self) -> bool:
        return any(link.live() for link in self._links)

    def _add(self, link: Link) -> Any:
        """Put a link in its place; return the memory of `_special`, read in the same step."""
        priority = link.origin[0]
        while True:
            links = self._links
            new: tuple[Link, ...]
            if not links:
                new = (link,)
            elif (last := links[-1]).ended:  # the commonest case of what `_prune` does
                new = (link,) if len(links) == 1 else self._inserted(links, link)
            elif last.origin[0] < priority or len(links) >= self._limit:
                new = self._inserted(links, link)
            else:
                new = links + (link,)  # noqa: RUF005 - (*links, link) makes a list first
            with self._lock:
                if self._links is links:
                    self._links = new
                    special = self._special
                    return None if special is None else special.memory

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
                if self._links is links:
                    self._links = live
            finally:
                self._lock.release()

    # -- one for each instance ------------------------------------------------------------------------------------------------------

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        try:
            owners = self._owners
            handle = _read_attribute(instance, owners._attribute)
            if handle() is instance and handle.home is owners.home:
                return handle.owned
        except AttributeError:
            pass
        return self._of(instance)

    if TYPE_CHECKING:

        def _of(self, instance: Any) -> Any:
            """Return the signal of an instance, made now if this is its first use."""
