"""Disposable: an object that closes what it owns, once, in reverse order, whatever goes wrong, and says so if nobody closed it."""

from __future__ import annotations

import os
import sys
import warnings
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from safemem.core import report_unraisable
from safemem.core._failures import annotate
from safemem.cycles.disposal import Disposal, Owned, disposal_of, find_disposal, new_disposal, place_of_creation, take_leave
from safemem.cycles.tracebacks import safe_text
from safemem.errors import ClosedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType
    from typing import Self, SupportsIndex

__all__ = ["Disposable", "as_copy"]

R = TypeVar("R")


class Disposable:
    """A base class or mixin for what must be closed: `close()`, `with`, `async with`, and no cycle left behind.

    There is no `__init__` to call; it goes with `__slots__`, dataclasses, attrs and ABCs. Closing, which happens once at most:

    1. `_dispose()` is called, which subclasses override, calling `super()._dispose()`; the object is still open then;
    2. what was handed to `own()` is closed, the latest first;
    3. the attributes that `clear_on_close` names, in any class of the object, are set to None.

    All of that is done even if parts of it fail. The exceptions are raised afterwards as one ExceptionGroup, even if it is only one. A
    KeyboardInterrupt, or whatever else is no Exception, is raised as it is when the rest has been closed, with the other errors as its cause.
    At the end of a `with` block that raised something, that goes on its way, with a note for each error.

    Any thread may close. Whoever comes while another one is closing, or later, returns at once, and so does `_dispose()` itself.

    An object that is collected open is closed all the same, in whatever thread that happens, and a ResourceWarning names the line that made
    it, if ResourceWarning was shown or `tracemalloc` was on by then. Its `_dispose()` must then cope with an `__init__` that failed half-way.
    In a process forked since it was made, and at exit of the interpreter, nothing is closed. A copy is another object that owns nothing; it
    may be closed, but being collected open means nothing to it.

    >>> import os
    >>> class Server(Disposable):
    ...     clear_on_close = ("handler",)
    ...
    ...     def __init__(self, handler):
    ...         self.handler = handler
    ...         self.log = self.own(open(os.devnull))
    ...         self.own(lambda: print("port closed"))
    ...
    ...     def _dispose(self):
    ...         print("saying goodbye")
    ...         super()._dispose()
    >>> with Server(print) as server:
    ...     server.closed
    False
    saying goodbye
    port closed
    >>> server.closed, server.log.closed, server.handler
    (True, True, None)
    """

    __module__ = "safemem"
    __slots__ = ()

    _safemem_disposal: ClassVar[Any] = None

    clear_on_close: ClassVar[tuple[str, ...]] = ()
    """Names of attributes that are set to None by closing."""

    if not TYPE_CHECKING:  # else it would hide the signature of every __init__

        def __new__(cls, /, *args: Any, **kwargs: Any) -> Self:
            """Make an object that is open, and note which process makes it, and where."""
            make = super().__new__
            if make is not object.__new__:
                self = make(cls, *args, **kwargs)
            elif cls.__init__ is object.__init__ and (args or kwargs):
                msg = f"{cls.__name__}() takes no arguments"
                raise TypeError(msg)
            else:
                self = make(cls)
            new_disposal(self, place_of_creation(), armed=True)
            return self

    # -- owning -----------------------------------------------------------------------------------------------------------------------------

    def own(self, resource: R, /) -> R:
        """Have something closed with this object, before all that it owns already; return it.

        Args:
            resource: something with `close()`, or a context manager, or a function to call without arguments. `aclose()` takes `aclose()` or
                an async context manager where there is one, and awaits whatever the others return; what has only these needs `aclose()`.

        If this object is closed already the resource is closed at once and `ClosedError`, a ValueError, is raised. A method of the object
        itself is not a cycle here; a function that captures the object is, and warned about with a `CycleWarning`.
        """
        state = disposal_of(self)
        owned = Owned(self, resource)
        if not state.closed:
            state.owned.append(owned)
            if not state.closed:
                return resource
            try:  # type: ignore[unreachable] # another thread may have closed it
                state.owned.remove(owned)  # closing has begun since: whoever takes it out closes it
            except ValueError:
                raise _closed_error(self) from None
        _close_late(self, state, owned)
        raise _closed_error(self)

    def disown(self, resource: R, /) -> R:
        """Give up closing something, which is told by identity, and return it; ValueError if it is not owned.

        What has been closed for itself should be disowned, or a long-lived owner keeps it.

        >>> import os
        >>> files = Disposable()
        >>> file = files.own(open(os.devnull))
        >>> files.disown(file).close()
        >>> files.close()
        """
        state = disposal_of(self)
        for owned in reversed(state.owned):
            if owned.is_for(resource):
                state.owned.remove(owned)
                return resource
        msg = f"resource must be owned by {_name(self)}, got {resource!r}"
        raise ValueError(msg)

    # -- closing ----------------------------------------------------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """Whether `_dispose()` has been done; what is owned may still be just being closed."""
        return disposal_of(self).closed

    def close(self) -> None:
        """Close the object and all it owns; nothing happens if that was begun before. ExceptionGroup if anything failed.

        What can only be closed asynchronously is left for `aclose()`, and is an error.
        """
        state = disposal_of(self)
        if state.take():
            errors: list[BaseException] = []
            try:
                _leave_for_aclose(self, state, _close_synchronously(self, state, errors, wait=False), errors)
                _raise(self, errors)
            finally:
                errors.clear()  # the frame that knows the errors is in their tracebacks

    async def aclose(self) -> None:
        """Close the object and all it owns: first `_dispose()` and all that is synchronous, then the rest, each the latest first.

        So what can be done at once is done even if the task is cancelled at the first `await`. A cancellation is raised when the rest has
        been closed. After a `close()` that left something, this closes what was left.
        """
        state = disposal_of(self)
        errors: list[BaseException] = []
        try:
            waiting: list[Callable[[], Awaitable[Any]]] = []
            if state.take():
                waiting = _close_synchronously(self, state, errors, wait=True)
            while state.closed and state.owned:  # what is left of close(), or was owned too late
                try:
                    waiting.append(state.owned.pop().aclose)
                except IndexError:
                    break
            for begin in waiting:
                try:
                    await begin()
                except GeneratorExit:  # the loop is gone: nothing can be awaited any more
                    raise
                except BaseException as error:  # noqa: BLE001 - raised below
                    errors.append(error)
            waiting.clear()
            _raise(self, errors)
        finally:
            errors.clear()

    def _dispose(self) -> None:
        """Override this with what closing is to do; call `super()._dispose()` so that other base classes can do theirs."""

    def _check_open(self) -> None:
        """Raise `ClosedError`, a ValueError as files have it, if the object is closed: for the first line of a method."""
        if disposal_of(self).closed:
            raise _closed_error(self)

    def __enter__(self) -> Self:
        self._check_open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /) -> None:
        try:
            self.close()
        except ExceptionGroup as group:
            if error is None:
                raise
            _note(error, self, group)

    async def __aenter__(self) -> Self:
        self._check_open()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /) -> None:
        try:
            await self.aclose()
        except ExceptionGroup as group:
            if error is None:
                raise
            _note(error, self, group)

    def __del__(self, _is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        if not _is_finalizing():
            state = find_disposal(self)
            try:
                if state is not None and state.armed and state.process == os.getpid() and state.take():
                    _close_collected(self, state)
            finally:
                take_leave(self)  # not before: closing asks the object whether it is open, and may have it own something

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> str | tuple[Any, ...]:
        how = super().__reduce_ex__(protocol)
        return how if isinstance(how, str) else as_copy(how)


# -- closing, step by step -----------------------------------------------------------------------------------------------------------------


def _close_synchronously(
    self: Disposable, state: Disposal, errors: list[BaseException], *, wait: bool
) -> list[Callable[[], Awaitable[Any]]]:
    """Do all that needs no waiting; return how to begin with what does, the latest first. `wait`: what can be awaited will be."""
    waiting: list[Any] = []
    try:
        self._dispose()
    except BaseException as error:  # noqa: BLE001 - raised when all is closed
        errors.append(error)
    state.closed = True
    while state.owned:
        try:  # around the loop too: a KeyboardInterrupt may come at any moment, and must not keep the rest from being closed
            while state.owned:
                _close_latest(self, state, waiting, wait=wait)
        except BaseException as error:  # noqa: BLE001
            errors.append(error)
    _clear(self, errors)
    return waiting


def _close_latest(self: Disposable, state: Disposal, waiting: list[Any], *, wait: bool) -> None:
    """Close what was owned last, or note it among what waits."""
    try:
        owned = state.owned.pop()
    except IndexError:  # another thread took back what it came too late to own
        return
    if owned.later and (wait or not owned.at_once):
        waiting.append(owned.aclose if wait else owned)
        return
    pending = owned.close(self)
    if pending is not None:
        waiting.append(_Pending(pending) if wait else _abandoned(owned, pending))


class _Pending:
    """What a closing function returned to be awaited."""

    __slots__ = ("awaitable",)

    def __init__(self, awaitable: Any) -> None:
        self.awaitable = awaitable

    def __call__(self) -> Any:
        return self.awaitable


def _abandoned(owned: Owned, pending: Any) -> Owned:
    """Make sure that nobody misses what a coroutine function returned, which nobody can await here."""
    stop = getattr(pending, "close", None)
    if stop is not None:
        stop()
    owned.later = owned.at_once  # for aclose(), where it is called again and awaited
    return owned


def _leave_for_aclose(self: Disposable, state: Disposal, left: list[Any], errors: list[BaseException]) -> None:
    if left:
        state.owned[:0] = reversed(left)
        what = ", ".join(type(owned.resource).__qualname__ for owned in left)
        errors.append(RuntimeError(f"{_name(self)} owns what can only be closed asynchronously ({what}): use aclose() or 'async with'"))


def _clear(self: Any, errors: list[BaseException]) -> None:
    for cls in type(self).__mro__:
        names = cls.__dict__.get("clear_on_close", ())
        for name in (names,) if isinstance(names, str) else names:
            try:
                object.__setattr__(self, name, None)
            except Exception as error:  # noqa: BLE001
                errors.append(error)


def _close_late(self: Disposable, state: Disposal, owned: Owned) -> None:
    """Close what came too late to be owned."""
    if not owned.at_once:
        state.owned.append(owned)
        return
    try:
        pending = owned.close(self)
    except Exception as error:
        raise _closed_error(self) from error
    if pending is not None:
        state.owned.append(_abandoned(owned, pending))


def _close_collected(self: Disposable, state: Disposal) -> None:
    """Warn of an object that nobody closed, and close it; nobody is there to hear of errors."""
    errors: list[BaseException] = []
    place = "" if state.place is None else f", created at {state.place}"
    try:
        warnings.warn(f"unclosed {_name(self)}{place}: use 'with', or call close()", ResourceWarning, stacklevel=3)
    except ResourceWarning as warning:
        errors.append(warning)
    _leave_for_aclose(self, state, _close_synchronously(self, state, errors, wait=False), errors)
    while errors:
        report_unraisable(errors.pop(0))


def as_copy(how: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return what `__reduce_ex__()` is to say, so that what is made is known to be a copy."""
    return how if how[0] is _copied else (_copied, how[:2], *how[2:])


def _copied(make: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """Make a copy, which did not come by what the original owns and is not missed if nobody closes it."""
    copy = make(*args)
    disposal_of(copy).armed = False
    return copy


# -- errors --------------------------------------------------------------------------------------------------------------------------------


def _name(self: object) -> str:
    return f"<{type(self).__qualname__} object at {id(self):#x}>"


def _closed_error(self: object) -> ClosedError:
    return ClosedError(f"{_name(self)} is closed")


def _raise(self: object, errors: list[BaseException]) -> None:
    """Raise what went wrong, if anything did: the first that is no Exception by itself, else all in a group."""
    if not errors:
        return
    fatal = next((error for error in errors if not isinstance(error, Exception)), None)
    try:
        if fatal is None:
            raise _group(self, errors)
        others = [error for error in errors if error is not fatal]
        if not others:
            raise fatal
        raise fatal from _group(self, others)
    finally:
        del fatal
        others = []


def _group(self: object, errors: list[BaseException]) -> BaseExceptionGroup[BaseException]:
    count = "1 error" if len(errors) == 1 else f"{len(errors)} errors"
    return BaseExceptionGroup(f"{count} while closing {_name(self)}", errors)


def _note(error: BaseException, self: object, group: ExceptionGroup[Exception]) -> None:
    for each in group.exceptions:
        annotate(error, f"closing {_name(self)} failed too: {type(each).__qualname__}: {safe_text(each)}")
