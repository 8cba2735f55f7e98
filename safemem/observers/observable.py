"""Observable: objects whose fields can be watched, at no cost until somebody does."""

from __future__ import annotations

from sys import _getframe, getrefcount
from types import MethodType
from typing import TYPE_CHECKING, Any, ClassVar, Final

from safemem.core import report_unraisable
from safemem.observers.capture import warn_if_captured
from safemem.observers.fields import fields_of
from safemem.observers.hooks import find_watch, give_watch, hook
from safemem.observers.linking import check_callable, check_options, is_awaited
from safemem.observers.watching import MISSING, Absent, FieldSignal, Watch
from safemem.weak.identity import WeakIdentityDict

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from types import TracebackType

    from safemem.core._emission import About
    from safemem.observers.connection import Connection

__all__ = ["Observable"]

# The watches of instances that are in a batch and have not been observed yet.
_unobserved: Final[dict[str, WeakIdentityDict[Any, Watch]]] = {}


def _batches() -> WeakIdentityDict[Any, Watch]:
    batches = _unobserved.get("batches")
    return _unobserved.setdefault("batches", WeakIdentityDict()) if batches is None else batches


class Observable:
    """A base class: others can have themselves told when a field of an instance changes.

    Fields are the public annotated attributes of the class and its bases, in plain classes, dataclasses, classes of attrs, and classes with
    `__slots__`. Not fields are names with an underscore in front, what is annotated ClassVar, Final or InitVar, and properties and other
    descriptors, signals among them. Annotations are not evaluated.

    * A change is told when it has been done, if the old value is not the new one and not equal to it either; if `==` raises or gives
      an array, it is a change. Observers that fail undo nothing: all of them are called, and the assignment raises one ExceptionGroup.
    * `Observable.MISSING` stands for the value of a field that has none: the old one at the first assignment, the new one after `del`. A default
      of the class counts as a value. What happens in `__init__` nobody hears of, unless it is after an `observe()` there.
    * An observer may assign to the same field. That is told after all observers have been told of the former change, in the same thread, so that
      each of them sees an unbroken row of old and new values. It ends when nothing changes any more, or with a RecursionError after 1000 rounds.
    * No lock is held while values are compared or observers run. Each thread tells of what it assigned itself. If several assign to
      one field at once, the order of their calls is not defined, and two may have the same old value; guard such a field with a lock of your own.
    * What an instance has of its observers dies with it, and no copy or pickle of it has any. It may be unhashable and compare as it likes.
    * An instance that is not observed holds nothing, and a class none of whose instances was ever observed works as if this was not its base.
      With the first `observe()` of an instance its class is given a `__setattr__` and a `__delattr__`, which call what it had: assigning to any
      attribute of any of its instances takes a Python call more from then on, and where it is told, the time to compare and call. Reading takes
      what it took. (Classes with `__slots__` and no `"__weakref__"` among them are given a `__del__` too: better have one, or `weakref_slot=True`.)
    * What is written past `__setattr__` is not seen: by `object.__setattr__()` or `super().__setattr__()`, in `vars(obj)`, or in the object that is the
      value. Instances of a frozen class never change, and so their observers are never called.

    >>> class Account(Observable):
    ...     owner: str
    ...     balance: int = 0
    >>> account = Account()
    >>> connection = account.observe("balance", print)
    >>> account.balance = 5
    balance 0 5
    >>> account.balance = 5
    >>> with account.batch():
    ...     account.balance += 1
    ...     account.balance += 1
    balance 5 7
    """

    __module__ = "safemem"
    __slots__ = ()

    MISSING: ClassVar[Absent] = MISSING

    def observe(
        self,
        name: str,
        receiver: Callable[[str, Any, Any], object],
        *,
        owner: object = None,
        once: bool = False,
        priority: int = 0,
        weak: bool | None = None,
    ) -> Connection:
        """Have `receiver(name, old, new)` called after every change of a field; return a handle that may be thrown away.

        As with `Signal.connect()`, a bound method holds its object weakly and anything else is held strongly; a strong receiver that captures
        this instance warns with `CycleWarning`. A coroutine function is refused, as no assignment could await it.

        Args:
            name: of the field. AttributeError, which names the fields there are, if it is none of them.
            receiver: any other callable.
            owner: end the connection when this object is gone.
            once: end it before its first call.
            priority: who has a higher one is called earlier.
            weak: True: hold functions and callable objects weakly too; False: hold bound methods strongly too; None: as said above.
        """
        about = _about(self, name)
        check_callable(receiver)
        check_options(owner, None, once, priority, weak)
        if is_awaited(receiver):
            msg = f"receiver must not be a coroutine function, which an assignment cannot await, got {receiver!r}"
            raise TypeError(msg)
        count, frame = getrefcount(receiver), _getframe(1)
        signal = _signal(self, name, about)
        if signal._emitter is None and not isinstance(receiver, MethodType):  # else it is the signal that warns
            warn_if_captured(receiver, self, frame)
        return signal._connect(receiver, count, frame, owner=owner, sender=None, once=once, priority=priority, weak=weak)

    def batch(self) -> AbstractContextManager[None]:
        """Return a context manager after which observers are told of all that changed meanwhile, with one call a field.

        They get the value that the field had when it first changed and the one it has in the end, in the order of the first changes, and are
        not called if these are equal. The batch is that of this instance, for assignments in whatever thread; batches nest and
        overlap, and the thread that ends the last one tells. What changed is told too if the block ends with an exception: then what observers
        raise goes to `sys.unraisablehook`, else it is raised as one ExceptionGroup for all fields.

        >>> class Point(Observable):
        ...     x: int = 0
        ...     y: int = 0
        >>> point = Point()
        >>> for name in "xy":
        ...     connection = point.observe(name, print)
        >>> with point.batch():
        ...     point.y = 3
        ...     point.x = 4
        ...     point.y = 5
        y 0 5
        x 0 4
        """
        return _Batch(self)


class _Batch:
    """The context manager of `Observable.batch()`."""

    __slots__ = ("_entered", "_obj")

    def __init__(self, obj: Any) -> None:
        self._obj = obj
        self._entered: list[Watch] = []

    def __enter__(self) -> None:
        obj = self._obj
        watch = find_watch(obj)
        if watch is None:  # what nobody observes yet is given nothing for good
            watch = _batches().setdefault(obj, Watch()) if type(obj).__weakrefoffset__ else give_watch(obj, Watch())
        watch.open.append(None)
        self._entered.append(watch)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        obj, watch = self._obj, self._entered.pop()
        watch.open.pop()
        if watch.open:
            return
        if not watch.fields and type(obj).__weakrefoffset__:
            _batches().pop(obj, None)
        try:
            watch.deliver(obj)
        except Exception as failed:
            if error is None:
                raise
            report_unraisable(failed)


def _about(obj: object, name: object) -> About:
    """Return what to call a field in messages; AttributeError if it is none."""
    cls = type(obj)
    if not isinstance(name, str):
        msg = f"name must be a str, got {name!r}"
        raise TypeError(msg)
    fields = fields_of(cls)
    about = fields.get(name)
    if about is None:
        there = ", ".join(map(repr, fields)) or "of which there are none"
        msg = f"name must be that of a field of {cls.__qualname__}, a public annotated attribute ({there}), got {name!r}"
        raise AttributeError(msg)
    return about


def _signal(obj: object, name: str, about: About) -> FieldSignal:
    """Return the signal of a field, made if it has none, and have the class of the instance look at writes."""
    watch = find_watch(obj)
    if watch is None:
        waiting = _batches().get(obj) if type(obj).__weakrefoffset__ else None
        watch = give_watch(obj, Watch() if waiting is None else waiting)
    hook(type(obj))
    signal = watch.fields.get(name)
    return watch.fields.setdefault(name, FieldSignal.of(about, obj)) if signal is None else signal
