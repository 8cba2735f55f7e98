"""What a signal has beside its links when it is more than plain: muted, paused, replayed or waited for; and the mark of a declaration."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, NoReturn

from safemem.observers.ways import Way

if TYPE_CHECKING:
    from collections import deque

    from safemem.observers.holding import Hold
    from safemem.observers.links import Link
    from safemem.observers.listeners import SignalCore

__all__ = ["Declared", "Memory", "Special", "call_link", "release", "special_of"]


class Declared:
    """Stands where the state of a signal would be, in one that only declares that each instance has its own."""

    __slots__ = ("_title",)

    memory = None

    def __init__(self, title: str) -> None:
        self._title = title

    def refuse(self) -> NoReturn:
        """Raise the error for the use of a declaration."""
        msg = f"{self._title} is a declaration, each instance has a signal of its own: use that of an instance, not that of the class"
        raise TypeError(msg)

    def admit(self, *_emission: Any) -> NoReturn:
        """Raise the error for an emission."""
        self.refuse()


class Memory:
    """The last emissions of a signal with replay: of all, and of each sender. Never changed, only replaced."""

    __slots__ = ("last", "of")

    def __init__(self, last: Any, of: dict[int, tuple[weakref.ref[Any], Any]]) -> None:
        self.last = last
        self.of = of

    def after(self, sender: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Memory:
        """Return what is remembered after one more emission."""
        last = (None, args, kwargs)  # whose it was matters to nobody who hears of all
        if sender is None:
            return Memory(last, self.of)
        of = self.of
        if type(sender).__weakrefoffset__:  # else nobody can be connected to it
            # What is remembered of a sender must not keep it: it stands for itself among the arguments.
            kept = (tuple([_HERSELF if item is sender else item for item in args]), kwargs)
            of = {number: entry for number, entry in of.items() if entry[0]() is not None}
            of[id(sender)] = (weakref.ref(sender), kept)
        return Memory(last, of)

    def recall(self, link: Link) -> tuple[Any, tuple[Any, ...], dict[str, Any]] | None:
        """Return the last emission that was for this link, as sender and arguments."""
        way = link.ref if type(link.ref) is Way else None
        if way is None or way.sender is None:
            return self.last  # type: ignore[no-any-return]
        sender = way.sender()
        ref, kept = self.of.get(id(sender), (None, None))
        if sender is None or ref is None or ref() is not sender:
            return None
        return sender, tuple([sender if item is _HERSELF else item for item in kept[0]]), kept[1]  # type: ignore[index]


_HERSELF = object()


class Special:
    """The state of a signal that is more than plain. An emission asks it for the links to be called."""

    __slots__ = ("memory", "muted", "pauses", "waiters")

    def __init__(self, memory: Memory | None = None) -> None:
        self.memory = memory
        self.muted = 0
        self.pauses: tuple[Hold, ...] = ()
        self.waiters: deque[Any] | None = None

    def admit(self, signal: SignalCore, sender: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Link, ...]:
        """Return the links to be called by an emission: none if the signal is muted, or paused, which keeps the emission for later."""
        if self.muted:
            return ()
        pauses = self.pauses
        if pauses:
            pauses[-1].add(signal, sender, args, kwargs)
            return ()
        links = signal._links
        if self.memory is not None:
            links = self._memorise(signal, sender, args, kwargs)
        waiters = self.waiters
        if waiters:
            for _ in range(len(waiters)):
                try:
                    waiter = waiters.popleft()
                except IndexError:  # another thread
                    break
                waiter.wake(args)
        return links

    def _memorise(self, signal: SignalCore, sender: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Link, ...]:
        """Remember an emission and return the links there are, in one step: who is connected before gets it, who is after has it replayed."""
        while True:
            former = self.memory
            if former is None:  # not reached: a signal does not stop remembering
                return signal._links
            memory = former.after(sender, args, kwargs)
            with signal._lock:
                if self.memory is former:
                    self.memory = memory
                    return signal._links

    def idle(self) -> bool:
        """Whether the signal is plain."""
        return self.memory is None and not self.muted and not self.pauses and not self.waiters


def special_of(signal: SignalCore) -> Special:
    """Return the state of a signal, made if it has none; under the lock, as whoever changes it must be."""
    special = signal._special
    if special is None:
        special = signal._special = Special()
    return special  # type: ignore[no-any-return]


def release(signal: SignalCore) -> None:
    """Make the signal plain again if nothing is special any more; under the lock."""
    special = signal._special
    if special is not None and special.idle():
        signal._special = None


def call_link(link: Link, sender: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Call one receiver, unless it is a coroutine function, which cannot be called here."""
    func, ref = link.func, link.ref
    if func is None:
        return
    if ref is None:
        func(*args, **kwargs)
    elif type(ref) is Way:
        if not ref.awaited:
            ref.run(sender, args, kwargs)
    else:
        obj = ref()
        if obj is not None:
            func(obj, *args, **kwargs)
