"""The hot protocol of a signal, in plain Python: the reference for the compiled one, and complete.

All that an emission reads is `_links`, a tuple of links in calling order that is replaced and never changed, and `_special`. An emission
takes no lock: it walks the tuple it found. A link that was switched off meanwhile has no function any more and is passed over.

What the public class and its helpers ask of a core beside the public methods, for whoever writes another one: `_links`, `_special`,
`_about`, `_emitter`, `_owners` and `_limit` as attributes, `_add(link)`, `_run(...)` and `_prune()`. `_special` is None, or an object
whose `admit(signal, sender, args, kwargs)` returns the links to be called: none if the signal is muted or paused. A core calls
`self._of(instance)` when it does not find the signal of an instance.
"""

from __future__ import annotations

import weakref
from bisect import bisect_right
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from safemem.core._failures import blame, failure, remember
from safemem.core._locks import new_lock
from safemem.core._ways import SKIPPED, Way, name_of, rebound

if TYPE_CHECKING:
    from _thread import RLock
    from collections.abc import Callable
    from types import CodeType, FrameType

__all__ = ["About", "Link", "SignalCore"]

S = TypeVar("S", bound="SignalCore")

_read_attribute: Final = object.__getattribute__
_locks: Final[dict[str, RLock]] = {}


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

    `func` is None while the link is switched off; `kept` then is `(count, func)` if it is only blocked.
    """

    __slots__ = ("__weakref__", "code", "func", "kept", "lasti", "priority", "ref")

    def __init__(self, func: Callable[..., Any] | None, ref: Any, priority: int, frame: FrameType) -> None:
        self.func = func
        self.ref = ref
        self.kept: tuple[int, Callable[..., Any]] | None = None
        self.priority = priority
        self.code = frame.f_code  # the line is found when asked for
        self.lasti = frame.f_lasti

    def live(self) -> bool:
        """Whether the receiver will ever be called again."""
        if self.func is None and self.kept is None:
            return False
        ref = self.ref
        return ref is None or ref() is not None

    def receiver(self) -> Any:
        """Return what was connected, or None if it is dead or disconnected."""
        kept = self.kept
        func: Any = self.func or (None if kept is None else kept[1])
        ref = self.ref
        if ref is None or func is None:
            return func
        if type(ref) is Way:
            return ref.receiver()
        obj = ref()
        return None if obj is None else rebound(func, obj)

    def describe(self) -> str:
        """Return in words what was connected, and where."""
        ref = self.ref
        kept = self.kept
        func: Any = self.func or (None if kept is None else kept[1])
        target = ref._target() if type(ref) is Way else func
        return f"{'a receiver' if target is None else name_of(target)}, connected at {place_of(self.code, self.lasti)}"


def place_of(code: CodeType, lasti: int) -> str:
    """Return `file:line` of an instruction."""
    line = next((line for start, end, line in code.co_lines() if start <= lasti < end), None)
    return f"{code.co_filename}:{line or code.co_firstlineno}"


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

    def __new__(cls: type[S], *_args: Any, **_options: Any) -> S:
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
        errors: list[Exception] | None = []
        self._run(sender, args, kwargs, None, errors)
        if errors:
            try:
                raise failure(self._about.title(), errors, None)
            finally:
                errors = None

    def send(self, /, *args: Any, **kwargs: Any) -> list[tuple[Any, Any]]:
        errors: list[Exception] | None = []
        results: list[tuple[Any, Any]] = []
        self._run(None, args, kwargs, results, errors)
        if errors:
            try:
                raise failure(self._about.title(), errors, results)
            finally:
                errors = None
        return results

    def _run(self, sender: Any, args: tuple[Any, ...], kwargs: dict[str, Any], results: list[Any] | None, errors: list[Exception]) -> None:
        """Emit once; what receivers return and raise goes to the two lists."""
        special = self._special
        stale = False
        try:
            for link in self._links if special is None else special.admit(self, sender, args, kwargs):
                func, ref = link.func, link.ref
                receiver = None if func is None else func if ref is None else ref()
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
        """Put a link in its place; return what `_special` recalls for it, in the same step."""
        while True:
            links = self._links
            if len(links) >= self._limit:
                self._prune()
                links = self._links
                self._limit = 2 * len(links) + 8
            if not links or links[-1].priority >= link.priority:
                new = (*links, link)
            else:
                place = bisect_right(links, -link.priority, key=lambda other: -other.priority)
                new = (*links[:place], link, *links[place:])
            with self._lock:
                if self._links is links:
                    self._links = new
                    special = self._special
                    return None if special is None else special.memory

    def _prune(self) -> None:
        """Take out what is dead, unless another thread is at it: nobody waits for this."""
        links = self._links
        live = tuple([link for link in links if link.live()])
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
