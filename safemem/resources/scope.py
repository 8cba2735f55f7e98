"""ResourceScope: an ExitStack that adopts what is open, knows what it holds, and is closed at exit if nothing else does it."""

from __future__ import annotations

import os
import weakref
from contextlib import AsyncExitStack, ExitStack
from types import MethodType
from typing import TYPE_CHECKING, Any, TypeVar

from safemem._finalize import finalize
from safemem.core._report import report_unraisable
from safemem.resources.base import Place
from safemem.resources.closing import closer_of, finish, is_awaitable

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable

    _Entry = tuple[bool, Callable[..., Any]]

__all__ = ["AsyncResourceScope", "ResourceScope"]

T = TypeVar("T")


class _Scope:
    """What both kinds of scope have in common."""

    if TYPE_CHECKING:
        _exit_callbacks: deque[_Entry]

    def __init__(self) -> None:
        super().__init__()
        self._place = Place()
        self._process = os.getpid()
        # A finaliser that held what is to be closed would keep all of it, and a scope that it refers to, until exit.
        finalize(self, _close_at_exit, weakref.ref(self))

    def detach(self, obj: T) -> T:
        """Let go of an object without closing it, and return it: it was adopted, entered as a context manager, or is a callback.

        The newest one goes if there are several. ValueError if the scope does not hold it. Takes time in proportion to what the scope holds.
        """
        for entry in reversed(_entries(self._exit_callbacks)):
            if _subject(entry[1]) is obj and _remove(self._exit_callbacks, entry):
                return obj
        msg = f"obj must be something that the scope holds, got {obj!r}"
        raise ValueError(msg)

    def live(self) -> list[Any]:
        """Return what the scope holds, in the order in which it came: adopted objects, context managers, callbacks."""
        return [_subject(callback) for _, callback in _entries(self._exit_callbacks)]

    def _close_now(self) -> None:
        """Close all, the newest first, although nobody can wait; who should hear of an error has gone."""
        callbacks = self._exit_callbacks
        while callbacks:
            _, callback = callbacks.pop()
            try:
                finish(repr(_subject(callback)), callback(None, None, None))
            except BaseException as error:  # noqa: BLE001 - as above
                report_unraisable(error)

    def __del__(self) -> None:
        held = len(getattr(self, "_exit_callbacks", ()))
        if held and getattr(self, "_process", None) == os.getpid():
            self._close_now()
            place = self._place
            kind = type(self).__name__
            place.warn(f"{kind} opened at {place.filename}:{place.line} was dropped with {held} open: close it, or use it in a with block")


def _close_at_exit(scope: weakref.ref[_Scope]) -> None:
    found = scope()
    if found is not None:
        found._close_now()


def _entries(callbacks: deque[_Entry]) -> tuple[_Entry, ...]:
    """Return what is in a stack at some moment, whatever other threads do to it."""
    while True:
        try:
            return tuple(callbacks)
        except RuntimeError:  # it changed meanwhile
            continue


def _remove(callbacks: deque[_Entry], entry: _Entry) -> bool:
    """Take one entry out; return False if another thread did."""
    while True:
        try:
            callbacks.remove(entry)
        except IndexError:  # it changed meanwhile
            continue
        except ValueError:
            return False
        return True


def _subject(callback: Any) -> Any:
    """Return what a callback of a stack is about."""
    if isinstance(callback, _Adopted):
        return callback.obj
    if isinstance(callback, MethodType):  # the __exit__ of a context manager
        return callback.__self__
    return getattr(callback, "__wrapped__", callback)


class _Adopted:
    """The exit callback of an adopted object."""

    __slots__ = ("call", "obj", "process")

    def __init__(self, obj: Any, call: Callable[[], Any]) -> None:
        self.obj = obj
        self.call = call
        self.process = os.getpid()

    def __call__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if self.process != os.getpid():  # it is the parent's
            return
        try:
            finish(repr(self.obj), self.call())
        except Exception as another:  # noqa: BLE001 - raised again by what follows if there is no other
            self.tell(error, another)

    def tell(self, error: BaseException | None, another: Exception) -> None:
        """Raise what went wrong in closing, unless there is an exception that it would hide."""
        if error is None:
            raise another
        error.add_note(f"while closing {self.obj!r}: {type(another).__name__}: {another}")


class _AsyncAdopted(_Adopted):
    """The same where one can wait."""

    __slots__ = ()

    async def __call__(self, _kind: object, error: BaseException | None, _trace: object) -> None:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        if self.process != os.getpid():
            return
        try:
            result = self.call()
            if is_awaitable(result):
                await result
        except Exception as another:  # noqa: BLE001 - raised again by what follows if there is no other
            self.tell(error, another)


class ResourceScope(_Scope, ExitStack):
    """A `contextlib.ExitStack` that adopts whatever can be closed, and closes it at exit if nothing else does.

    >>> class Pump:
    ...     def stop(self):
    ...         print("pump stopped")
    >>> with ResourceScope() as scope:
    ...     pump = scope.adopt(Pump())
    ...     valve = scope.adopt(object(), close=lambda valve: print("valve shut"))
    ...     scope.live() == [pump, valve]
    True
    valve shut
    pump stopped
    >>> scope = ResourceScope()  # without a block: kept for as long as the program needs it
    >>> pump = scope.adopt(Pump())
    >>> scope.close()
    pump stopped

    * A scope that is dropped while it holds something closes it and warns (`ResourceWarning` with the place of creation).
    * Closing goes on if something cannot be closed; the first error is raised at the end, unless an exception is on its way: that one gets a note
      for each adopted object that failed. Context managers and callbacks are treated as `ExitStack` treats them: their errors replace others.
    * A scope may be used again once it was closed.
    * A forked child closes nothing that its parent adopted, and nothing at its exit; callbacks and context managers run in a child that leaves
      the block, as with `ExitStack`: those of this package know whose they are.
    * Adopting and detaching are single steps, so threads may do that while others do; closing is for one of them.
    """

    __module__ = "safemem"

    def adopt(self, obj: T, *, close: str | Callable[[T], object] | None = None) -> T:
        """Close an object when the scope is closed; return it.

        Args:
            obj: What is to be closed.
            close: The name of its closing method, or a callable that is called with the object. By default processes and pools are terminated and
                waited for (killed after 5 seconds), executors shut down with what has not begun cancelled, and else the first of the methods
                close, aclose, shutdown, cleanup, stop and cancel is called.

        Raises:
            TypeError: There is no such method.
            ValueError: It is held already.

        """
        _push(self, _Adopted(obj, closer_of("obj", obj, close)), is_sync=True)
        return obj

    def __reduce__(self) -> Any:
        return _refuse_copy(self)


class AsyncResourceScope(_Scope, AsyncExitStack):
    """A `contextlib.AsyncExitStack` with what `ResourceScope` adds.

    >>> import asyncio
    >>> class Client:
    ...     async def aclose(self):
    ...         print("client closed")
    >>> async def main():
    ...     async with AsyncResourceScope() as scope:
    ...         scope.adopt(Client())
    ...         print(len(scope.live()))
    >>> asyncio.run(main())
    1
    client closed

    When it is dropped, or at exit, there is no loop to wait in: what can be closed without waiting is closed, and what has to wait is reported.
    """

    __module__ = "safemem"

    def adopt(self, obj: T, *, close: str | Callable[[T], object] | None = None) -> T:
        """Close an object when the scope is closed, and wait if that is a coroutine; return it. As `ResourceScope.adopt()`."""
        _push(self, _AsyncAdopted(obj, closer_of("obj", obj, close)), is_sync=False)
        return obj

    def __reduce__(self) -> Any:
        return _refuse_copy(self)


def _push(scope: Any, adopted: _Adopted, *, is_sync: bool) -> None:
    if any(isinstance(each, _Adopted) and each.obj is adopted.obj for _, each in _entries(scope._exit_callbacks)):
        msg = f"obj must not be held by the scope already, got {adopted.obj!r}"
        raise ValueError(msg)
    scope._push_exit_callback(adopted, is_sync)


def _refuse_copy(scope: object) -> Any:
    msg = f"{scope!r} cannot be copied or pickled: what it holds is closed once"
    raise TypeError(msg)
