"""Signal: what happened is told to whoever wants to hear, and nobody is kept alive, or forgotten, for having listened."""

from __future__ import annotations

import sys
import weakref
from functools import partial
from sys import _getframe, getrefcount
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, overload

from safemem.core._emission import About
from safemem.core._owners import Owners
from safemem.core._weakable import unweakable
from safemem.observers.capture import is_fleeting, warn_of_early_death
from safemem.observers.connection import Connection, connection_of
from safemem.observers.holding import Muting, Pause
from safemem.observers.linking import check_callable, check_options, is_weak, leads_to, link_to
from safemem.observers.links import Link
from safemem.observers.listeners import NAMELESS, SignalCore
from safemem.observers.special import Declared, Memory, Special, call_link
from safemem.observers.waiting import wait_in_task, wait_in_thread

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from types import FrameType
    from typing import Self


__all__ = ["Signal"]

P = ParamSpec("P")
R = TypeVar("R")


def _check(name: str, value: object, kind: type, rule: str) -> None:
    if not isinstance(value, kind):
        msg = f"{name} must be {rule}, got {value!r}"
        raise TypeError(msg)


class Signal(SignalCore, Generic[P]):
    """Something that others can hear of: receivers are connected to it, and called when it is emitted.

    As an attribute of a class it declares a signal for each instance, made when first used; unused it costs an instance nothing. It is
    also good as a global or local variable. `Signal[float]` and `Signal[str, int]` say what it is emitted with, `Signal[[]]` that there
    are no arguments; type checkers then check receivers and emissions.

    * Bound methods are held weakly, by their object: when that is gone they are. All else (functions, lambdas, partials, callable objects,
      methods of builtin objects) is held strongly, and so does not die silently. `connect()` says how to have it otherwise.
    * Receivers are called in the order of their priority, then of their connection. One that is connected during an emission is not called
      in it, one that is disconnected is not called any more. Every receiver is called, whatever the others raise.
    * An emission takes no lock; connecting and disconnecting take one for an instant, and no code of anybody else runs under it. All
      of it can be done from any thread, in a receiver, in a finaliser, and in a forked child.
    * A declaration itself (`Thermometer.changed`) cannot be connected or emitted (TypeError), and the signal of an instance cannot be
      assigned to. Instances with signals must be weakly referenceable; they may be unhashable, and compare as they like. They die with
      their signals, by reference count alone; copying or pickling one copies no listeners.
    * A dataclass declares `changed: ClassVar[Signal[float]] = Signal()`. Without `ClassVar` it is a field: it is compared and shown, and
      with `slots=True` or `dataclasses.replace()` it does not work.

    Args:
        name: what it is called in messages; that of the class attribute if there is one.
        doc: what `help()` says of it.
        replay: remember the last emission, and call each new receiver with it at once. The signal then holds the last arguments, also
            those of the last emission of each living sender, until the next one or `clear()`.

    >>> class Thermometer:
    ...     changed: Signal[float] = Signal()
    >>> class Display:
    ...     def show(self, degrees):
    ...         print(degrees, "degrees")
    >>> thermometer, display = Thermometer(), Display()
    >>> connection = thermometer.changed.connect(display.show)
    >>> thermometer.changed.emit(21.5)
    21.5 degrees
    >>> del display
    >>> len(thermometer.changed)
    0
    """

    __module__ = "safemem"
    __slots__ = ()

    def __init__(self, *, name: str | None = None, doc: str | None = None, replay: bool = False) -> None:
        for option, value in (("name", name), ("doc", doc)):
            if value is not None:
                _check(option, value, str, "a str or None")
        _check("replay", replay, bool, "True or False")
        self._make(About(name, doc, replay=replay))

    def _make(self, about: About) -> None:
        self._about = about
        self._special = Special(Memory(None, {})) if about.replay else None

    # -- as an attribute of a class -------------------------------------------------------------------------------------------------

    def __set_name__(self, owner: type, name: str) -> None:
        if self._owners is not None:  # a second name for the same thing
            return
        if self._about is NAMELESS:
            self._about = About(None, None, replay=False)
        about = self._about
        about.owner, about.attribute = owner.__qualname__, name
        self._owners = Owners(f"@signal {owner.__module__}.{owner.__qualname__}.{name}")
        self._special = Declared(about.title())

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: type | None = None) -> Self: ...
        @overload
        def __get__(self, instance: object, owner: type | None = None) -> Self: ...
        def __get__(self, instance: object, owner: type | None = None) -> Self: ...

    def __set__(self, instance: object, value: Self) -> None:
        if value is not self and value is not self.__get__(instance):  # as a dataclass does, which takes it for a default
            msg = f"{self._about.title()} cannot be replaced, got {value!r}: connect to it, or declare another one"
            raise AttributeError(msg)

    def _of(self, instance: Any) -> Self:
        if not type(instance).__weakrefoffset__:
            raise unweakable("an object with signals", instance)
        if self._owners is None:  # put into the class later
            self.__set_name__(type(instance), self._about.name or "signal")  # pyright: ignore[reportUnknownArgumentType]
        owners: Any = self._owners
        found: Self | None = owners.find(instance)
        if found is not None:
            return found
        signal = SignalCore.__new__(type(self))
        signal._make(self._about)
        if type(self).__dictoffset__:  # of a subclass
            vars(signal).update(vars(self))
        signal._emitter = weakref.ref(instance)
        return owners.give(instance, signal)  # type: ignore[no-any-return]

    def _usable(self) -> None:
        """Raise TypeError if this is a declaration."""
        if type(self._special) is Declared:
            self._special.refuse()

    # -- who listens ----------------------------------------------------------------------------------------------------------------

    def connect(
        self,
        receiver: Callable[P, object],
        *,
        owner: object = None,
        sender: object = None,
        once: bool = False,
        priority: int = 0,
        weak: bool | None = None,
    ) -> Connection:
        """Have `receiver` called with the arguments of every emission from now on; return a handle that may be thrown away.

        A bound method holds its object weakly, and warns with RuntimeWarning if nobody else holds that; anything else is held strongly.
        Connected twice, a receiver is called twice, and each connection ends by itself. A strong receiver that captures the object whose
        signal this is (in a closure, a default, a partial) keeps it alive: `CycleWarning`, which names the variable. Coroutine functions
        are for `aemit()` and `asend()`; whether a receiver is one is decided here.

        Args:
            receiver: any callable but a generator function.
            owner: end the connection when this object is gone. The receiver then lies with it (in its `__dict__` if it has one), so that a
                closure may well refer to its owner.
            sender: call it only for `emit_from(sender)`, by identity; the sender is held weakly.
            once: disconnect it before its first call; it is called once whatever threads do.
            priority: who has a higher one is called earlier.
            weak: True: hold functions and callable objects weakly too; RuntimeWarning if nobody else holds it, so that it is gone at
                once. False: hold bound methods strongly too. None: as said above.
        """
        frame = _getframe(1)
        # What is connected most is connected by the core in one step; the rest, and whatever needs a warning, here.
        if weak is None and owner is None and sender is None and once is False and type(priority) is int and self._special is None:
            connection: Connection | None = self._join(Link, Connection, receiver, self._emitter is None, priority, frame)
            if connection is not None:
                return connection
        count = getrefcount(receiver)
        return self._connect(receiver, count, frame, owner=owner, sender=sender, once=once, priority=priority, weak=weak)

    def _connect(self, receiver: Any, count: int, frame: FrameType, **options: Any) -> Connection:
        self._usable()
        check_options(**options)
        link = link_to(self, receiver, frame, **options)
        if is_weak(link) and is_fleeting(receiver, count, frame):
            warn_of_early_death(receiver, frame)
        memory = self._add(link)
        if memory is not None:
            self._replay(memory, link)
        return connection_of(link)

    def _replay(self, memory: Memory, link: Link) -> None:
        """Call a new receiver with the last emission that was for it; if it fails it is not connected."""
        if self._special is not None and (self._special.muted or self._special.pauses):
            return
        last = memory.recall(link)
        if last is None:
            return
        sender, args, kwargs = last
        try:
            call_link(link, sender, args, kwargs)
        except BaseException:
            link.end()
            raise

    @overload
    def receiver(self, func: Callable[P, R], /) -> Callable[P, R]: ...
    @overload
    def receiver(
        self, /, *, owner: object = None, sender: object = None, once: bool = False, priority: int = 0, weak: bool | None = None
    ) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
    def receiver(
        self,
        func: Any = None,
        /,
        *,
        owner: object = None,
        sender: object = None,
        once: bool = False,
        priority: int = 0,
        weak: bool | None = None,
    ) -> Any:
        """Connect the decorated function and return it; with the options of `connect()`, or without.

        >>> started: Signal[[]] = Signal()
        >>> @started.receiver
        ... def second():
        ...     print("second")
        >>> @started.receiver(priority=1)
        ... def first():
        ...     print("first")
        >>> started.emit()
        first
        second
        """
        decorate = partial(self._decorate, owner=owner, sender=sender, once=once, priority=priority, weak=weak)
        return decorate if func is None else decorate(func, _getframe(1))

    def _decorate(self, func: Any, frame: FrameType | None = None, /, **options: Any) -> Any:
        # What is decorated is bound to its name only afterwards: its reference count says nothing yet.
        self._connect(func, sys.maxsize, frame or _getframe(1), **options)
        return func

    def disconnect(self, receiver: Callable[..., object]) -> bool:
        """End every connection of `receiver`; return whether there was one.

        A bound method is found by its object and function, anything else by identity; nothing is compared by `==`. To end one connection
        of several, or that of a lambda, use what `connect()` returned.
        """
        if self._special is not None:
            self._usable()
        found = False
        for link in self._links:
            if (link.func is receiver and link.ref is None) or leads_to(link, receiver):
                found = link.end() or found
        if not found:
            check_callable(receiver)  # what is not callable is not found either
        return found

    def connections(self) -> tuple[Connection, ...]:
        """Return a handle of each live connection, in calling order: who listens, and which source line connected it."""
        self._usable()
        return tuple([connection_of(link) for link in self._links if link.live()])

    def clear(self) -> None:
        """End all connections, and forget what would be replayed."""
        self._usable()
        memory = Memory(None, {})
        with self._lock:
            while True:
                special = self._special
                if special is not None:
                    links, self._links = self._links, ()
                    if special.memory is not None:
                        special.memory, memory = memory, special.memory  # what was remembered is let go after the lock is
                    break
                if self._swap(links := self._links, ()):
                    break
        for link in links:
            link.end()

    # -- emitting -------------------------------------------------------------------------------------------------------------------

    if TYPE_CHECKING:  # the core's, with the types of the arguments

        def emit(self, /, *args: P.args, **kwargs: P.kwargs) -> None: ...  # noqa: D102
        def emit_from(self, sender: object, /, *args: P.args, **kwargs: P.kwargs) -> None: ...  # noqa: D102
        def send(self, /, *args: P.args, **kwargs: P.kwargs) -> list[tuple[Callable[P, Any], Any]]: ...  # noqa: D102

    async def aemit(self, /, *args: P.args, **kwargs: P.kwargs) -> None:
        """As `emit()`, for asyncio: coroutine receivers are awaited too, concurrently.

        Plain receivers are called in order, on the way a task is made of each coroutine receiver, and then all of those are awaited. No
        task is left behind: if this is cancelled, or a receiver raises a BaseException that is no Exception, the others are cancelled and
        their end awaited before that is raised.
        """
        from safemem.observers.gathering import emit

        await emit(self, None, args, kwargs, None)

    async def asend(self, /, *args: P.args, **kwargs: P.kwargs) -> list[tuple[Callable[P, Any], Any]]:
        """As `aemit()`, but return what the receivers return, as `send()` does.

        >>> import asyncio
        >>> asked: Signal[int] = Signal()
        >>> @asked.receiver
        ... async def double(number):
        ...     return 2 * number
        >>> [result for receiver, result in asyncio.run(asked.asend(21))]
        [42]
        """
        from safemem.observers.gathering import emit

        results: list[tuple[Callable[P, Any], Any]] = []
        await emit(self, None, args, kwargs, results)
        return results

    # -- silence --------------------------------------------------------------------------------------------------------------------

    def muted(self) -> AbstractContextManager[None]:
        """Return a context manager in which emissions are lost: nobody is called, woken or told later.

        It nests, several may overlap and end in any order, in any threads.

        >>> changed: Signal[int] = Signal()
        >>> connection = changed.connect(print)
        >>> with changed.muted():
        ...     changed.emit(1)
        >>> changed.emit(2)
        2
        """
        self._usable()
        return Muting(self)

    def paused(
        self, *, limit: int | None = None, reducer: Callable[[tuple[Any, ...], tuple[Any, ...]], tuple[Any, ...]] | None = None
    ) -> Pause:
        """Return a context manager in which emissions are kept; they are delivered after it, in order, to those who listen then.

        It nests, several may overlap and end in any order, in any threads: an emission is delivered when the last pause that had begun
        before it is over. It is delivered too if the block ends with an exception; what receivers raise then goes to `sys.unraisablehook`,
        else it is raised as one ExceptionGroup. In an `async with` it is delivered as by `aemit()`. What is delivered while the signal is
        muted is lost. `send()` returns an empty list while paused.

        Args:
            limit: keep this many emissions at most, the newest; `dropped` of the context manager counts those lost. None: all.
            reducer: combine an emission with the one kept before it, if that is of the same sender: called with both tuples of positional
                arguments, the older first, in the thread that emits; returns the tuple to keep. Of keyword arguments the newest count.

        >>> changed: Signal[int] = Signal()
        >>> connection = changed.connect(print)
        >>> with changed.paused(reducer=lambda old, new: (old[0] + new[0],)):
        ...     changed.emit(1)
        ...     changed.emit(2)
        3
        """
        self._usable()
        return Pause(self, limit, reducer)

    # -- waiting --------------------------------------------------------------------------------------------------------------------

    def wait(self, timeout: float | None = None) -> tuple[Any, ...]:
        """Block this thread until the signal is emitted in another one, by whatever sender; return the positional arguments.

        TimeoutError after `timeout` seconds. Threads that wait are woken before receivers are called.
        """
        self._usable()
        return wait_in_thread(self, timeout)

    async def next(self) -> tuple[Any, ...]:
        """Wait, in a task of asyncio, until the signal is emitted, in any thread and by whatever sender; return the positional arguments."""
        self._usable()
        return await wait_in_task(self)

    # -- what it is -----------------------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str | None:
        """What it is called, as was said when it was made, else like the class attribute; None if neither."""
        return self._about.name or self._about.attribute

    @property
    def doc(self) -> str | None:
        """What was said when it was made."""
        return self._about.doc

    def __repr__(self) -> str:
        title = self._about.title().removeprefix("signal ").replace("a signal without", "without")
        if type(self._special) is Declared:
            return f"<{type(self).__name__} {title}, declaration>"
        emitter = None if self._emitter is None else self._emitter()
        of = (
            ""
            if self._emitter is None
            else " of nobody any more"
            if emitter is None
            else f" of {type(emitter).__name__} at {id(emitter):#x}"
        )
        count = len(self)
        return f"<{type(self).__name__} {title}{of}, {count} receiver{'' if count == 1 else 's'}>"

    def __reduce__(self) -> tuple[Any, ...]:
        # What a copy or a pickle is: a signal of the same name that nobody listens to.
        attributes = vars(self) if type(self).__dictoffset__ else None
        return _made, (type(self),), (self._about.name, self._about.doc, self._about.replay, attributes)

    def __setstate__(self, state: tuple[str | None, str | None, bool, dict[str, Any] | None]) -> None:
        self._make(About(state[0], state[1], replay=state[2]))
        if state[3]:
            vars(self).update(state[3])


def _made(kind: type[Signal[...]]) -> Signal[...]:
    """Return a new signal, without calling __new__ and __init__, which a subclass may have changed."""
    return SignalCore.__new__(kind)


class _Doc:
    """The docstring of the class for the class, and that of a signal for the signal, so that help() shows what was said of it."""

    def __init__(self, text: str | None) -> None:
        self._text = text

    def __get__(self, signal: Signal[...] | None, owner: type | None = None) -> str | None:
        return self._text if signal is None or signal.doc is None else signal.doc


setattr(Signal, "__doc__", _Doc(Signal.__doc__))  # noqa: B010 - the type of the attribute is str, for type checkers
