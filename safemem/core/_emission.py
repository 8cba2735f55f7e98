"""The hot protocol of a signal, in plain Python: the reference for the compiled one, and complete.

All that an emission reads is `_links`, a tuple of links in calling order that is replaced and never changed, and `_special`. An emission
takes no lock: it walks the tuple it found. A link that was switched off meanwhile has no function any more and is passed over.

A core has `_links`, `_special`, `_about`, `_owners` and `_limit` as attributes, `emit`, `__get__`, and ways to change `_links`: `_append`
for the most frequent case, `_join`, which also makes the link and its handle, and `_swap`. `_special` is None, or an object whose
`admit(signal, sender, args, kwargs)` returns the links to be called: none if the signal is muted or paused. A core calls `self._of(instance)`
when it does not find the signal of an instance, `self._prune()` when it came across links that are not alive, and `self._add(link)` to
put one elsewhere than at the end.
"""

from __future__ import annotations

import sys
import weakref
from sys import getrefcount
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from safemem.core._failures import blame, failure, remember

if TYPE_CHECKING:
    from _thread import RLock
    from collections.abc import Callable
    from types import CodeType, FrameType

__all__ = ["BOUND", "MARKS", "UNUSUAL", "About", "EmissionCore", "LinkCore", "Origin"]

MARKS: Final = sys.version_info >= (3, 12)  # a function may be marked as one that returns a coroutine
UNUSUAL: Final = 0x20 | 0x80 | 0x200  # flags of the code of generator functions, coroutine functions and asynchronous generator functions

# Of a connection: priority, code and instruction that made it, and what it is to be called in messages.
Origin = tuple[int, "CodeType", int, "About"]

_read_attribute: Final = object.__getattribute__


class _Probe:
    def method(self) -> None: ...


def _count_of_object(receiver: Any) -> int:
    obj = receiver.__self__
    return getrefcount(obj)


BOUND: Final = _count_of_object(_Probe().method)  # the count of the object of a method that nobody else holds; versions of Python differ


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


class LinkCore:
    """One connection: `func(*args)` is called, or `func(ref(), *args)` if there is a reference and it is alive.

    `func` is None while the link is switched off: for good if `ended`, else it is blocked and `kept` is `(count, func)`.
    """

    __slots__ = ("ended", "func", "kept", "origin", "ref")

    func: Callable[..., Any] | None
    ref: Any
    origin: Origin
    kept: tuple[int, Callable[..., Any]] | None
    ended: bool

    def __init__(self, func: Callable[..., Any] | None, ref: Any, origin: Origin) -> None:
        self.func = func
        self.ref = ref
        self.origin = origin
        self.kept = None
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
        if ref is not None and type(ref) is not weakref.ref:  # a way, see safemem.observers.ways
            ref.let_go()
        return live

    if TYPE_CHECKING:

        def describe(self, called: Any) -> str:
            """Return in words what was connected, and where; `called` is its function, also that of a link that has ended since."""
            ...


class EmissionCore:
    """The hot protocol of a signal: `emit`, and `__get__` for signals of instances."""

    __slots__ = ("_about", "_limit", "_links", "_owners", "_special")

    _about: About
    _limit: int  # of links: when there are so many, the dead ones are looked for
    _links: tuple[Any, ...]
    _owners: Any
    _special: Any

    def __new__(cls, *_args: Any, **_options: Any) -> Self:
        self = super().__new__(cls)
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
                blame(error, link, self._about.title(), func)
                if errors is None:
                    errors = [error]
                else:
                    errors.append(error)
            except BaseException as error:
                obj = None
                blame(error, link, self._about.title(), func)
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

    # -- listeners ------------------------------------------------------------------------------------------------------------------

    def _append(self, link: LinkCore) -> bool:
        """Put a link last, if nothing is special about the signal and the place is its own; return whether that was done."""
        with self._lock:
            links = self._links
            if len(links) >= self._limit:
                return False
            kept = links
            while kept and kept[-1].ended:  # the commonest case of what `_prune` does
                kept = kept[:-1]
            if kept and kept[-1].origin[0] < link.origin[0]:
                return False
            new = (*kept, link)
            if self._special is None and self._links is links:  # a finaliser or a signal handler may have come in between
                self._links = new
                return True
            return False

    def _join(  # noqa: PLR0917
        self, links: type[Any], handles: type[Any], receiver: Any, free: bool, priority: int, frame: FrameType
    ) -> Any:
        """Connect a function, or a method of one, with nothing that needs a closer look; return the handle, or None: it is something else.

        `links` and `handles` are the classes of both. `free`: a function may hold what it likes.
        """
        func: Any = receiver
        obj: Any = None
        kind: Any = type(receiver)  # pyright: ignore[reportUnknownVariableType]
        if kind is MethodType:
            func, obj = receiver.__func__, receiver.__self__
            if type(func) is not FunctionType or getrefcount(obj) <= BOUND or not type(obj).__weakrefoffset__:
                return None
        elif kind is not FunctionType or not (free or (func.__closure__ is func.__defaults__ is func.__kwdefaults__ is None)):
            return None
        if func.__code__.co_flags & UNUSUAL or (MARKS and func.__dict__):
            return None
        origin = (priority, frame.f_code, frame.f_lasti, self._about)
        link = links(func, None if obj is None else weakref.ref(obj), origin)
        handle = handles(link)  # first: nothing is connected if there is no memory for it
        handle._origin = origin
        if not self._append(link):
            self._add(link)
        return handle

    def _swap(self, old: tuple[Any, ...], new: tuple[Any, ...]) -> bool:
        """Replace the links if they still are the old ones and nothing is special about the signal; return whether that was so.

        `_lock` is held. Where something is special, whoever holds it sets `_links`: no core does.
        """
        if self._special is None and self._links is old:
            self._links = new
            return True
        return False

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
        _lock: ClassVar[RLock]

        def _of(self, instance: Any) -> Any:
            """Return the signal of an instance, made now if this is its first use."""

        def _add(self, link: Any) -> Any:
            """Put a link in its place, wherever that is."""

        def _prune(self) -> None:
            """Take out the links that are not alive."""
