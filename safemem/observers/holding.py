"""Signals that are silent for a while: muted, so that emissions are lost, or paused, so that they come afterwards."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from safemem.core import report_unraisable
from safemem.core._failures import failure
from safemem.observers.special import release, special_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from safemem.observers.listeners import SignalCore

    Reducer = Callable[[tuple[Any, ...], tuple[Any, ...]], tuple[Any, ...]]
    Item = tuple[Any, tuple[Any, ...], dict[str, Any]]

__all__ = ["Hold", "Muting", "Pause"]


class Muting:
    """The context manager of `Signal.muted()`."""

    __slots__ = ("_entered", "_signal")

    def __init__(self, signal: SignalCore) -> None:
        self._signal = signal
        self._entered = 0

    def __enter__(self) -> None:
        with self._signal._lock:
            special_of(self._signal).muted += 1
            self._entered += 1

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        with self._signal._lock:
            left, self._entered = self._entered > 0, max(self._entered - 1, 0)
            if left:
                special_of(self._signal).muted -= 1
                release(self._signal)
        if not left:
            raise _not_entered("muted")


class Pause:
    """The context manager of `Signal.paused()`; `dropped` counts the emissions that were more than the limit."""

    __slots__ = ("_holds", "_limit", "_reducer", "_signal", "dropped")

    def __init__(self, signal: SignalCore, limit: int | None, reducer: Reducer | None) -> None:
        _check(limit, reducer)
        self._signal = signal
        self._limit = limit
        self._reducer = reducer
        self._holds: list[Hold] = []
        self.dropped = 0

    def __enter__(self) -> Self:
        hold = Hold(self, self._limit, self._reducer)
        signal = self._signal
        with signal._lock:
            special = special_of(signal)
            special.pauses = (*special.pauses, hold)
        self._holds.append(hold)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        try:
            self._left().end(self._signal)
        except Exception as failed:
            if error is None:
                raise
            report_unraisable(failed)

    def _left(self) -> Hold:
        try:
            return self._holds.pop()
        except IndexError:
            raise _not_entered("paused") from None

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        try:
            await self._left().aend(self._signal)
        except Exception as failed:
            if error is None:
                raise
            report_unraisable(failed)


class Hold:
    """The emissions of one pause, in order."""

    __slots__ = ("_closed", "_items", "_pause", "_reducer")

    def __init__(self, pause: Pause, limit: int | None, reducer: Reducer | None) -> None:
        self._pause = pause
        self._items: deque[Item] = deque(maxlen=limit)
        self._reducer = reducer
        self._closed = False

    def add(self, signal: SignalCore, sender: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Keep an emission, combined with the one before if that is wanted."""
        self._keep(sender, args, kwargs)
        if self._closed:  # meanwhile, in another thread, which may have missed this one
            _deliver(signal, self._drain())

    def _keep(self, sender: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        items = self._items
        if self._reducer is not None:
            try:
                earlier = items.pop()
            except IndexError:
                pass
            else:
                if earlier[0] is sender:
                    args, kwargs = self._combine(earlier, args, kwargs)
                else:
                    items.append(earlier)
        if len(items) == items.maxlen:
            self._pause.dropped += 1
        items.append((sender, args, kwargs))

    def _combine(self, earlier: Item, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        reducer: Any = self._reducer
        try:
            combined = _checked(reducer(earlier[1], args))
        except BaseException:
            self._items.append(earlier)
            raise
        return combined, {**earlier[2], **kwargs}

    def _drain(self) -> list[Item]:
        taken: list[Item] = []
        while True:
            try:
                taken.append(self._items.popleft())
            except IndexError:
                return taken

    def end(self, signal: SignalCore) -> None:
        """Deliver what was kept, or leave it to the pause that is still on."""
        self._close(signal)
        _deliver(signal, self._drain())

    async def aend(self, signal: SignalCore) -> None:
        """Deliver with aemit() what was kept, or leave it to the pause that is still on."""
        from safemem.observers.gathering import gather

        self._close(signal)
        errors: list[Exception] = []
        try:
            for sender, args, kwargs in self._drain():
                await gather(signal, sender, args, kwargs, None, errors)
            _raise(signal, errors)
        finally:
            del errors

    def _close(self, signal: SignalCore) -> None:
        with signal._lock:
            special = special_of(signal)
            pauses = special.pauses
            place = pauses.index(self)
            special.pauses = (*pauses[:place], *pauses[place + 1 :])
            before = pauses[place - 1] if place else None
            after = pauses[place + 1] if place + 1 < len(pauses) else None
            release(signal)
        self._closed = True
        if before is not None:
            for item in self._drain():
                before.add(signal, *item)
        elif after is not None:  # which began later, so what it has is later too
            for item in self._drain() + after._drain():
                after.add(signal, *item)


def _not_entered(name: str) -> RuntimeError:
    return RuntimeError(f"{name}() was left more often than entered")


def _check(limit: Any, reducer: Any) -> None:
    if limit is not None and not isinstance(limit, int):
        msg = f"limit must be an int or None, got {limit!r}"
        raise TypeError(msg)
    if limit is not None and limit < 1:
        msg = f"limit must be >= 1, got {limit!r}; to lose every emission use muted()"
        raise ValueError(msg)
    if reducer is not None and not callable(reducer):
        msg = f"reducer must be callable or None, got {reducer!r}"
        raise TypeError(msg)


def _checked(combined: Any) -> tuple[Any, ...]:
    if not isinstance(combined, tuple):
        msg = f"reducer must return a tuple of arguments, got {combined!r}"
        raise TypeError(msg)
    return combined  # pyright: ignore[reportUnknownVariableType]


def _deliver(signal: SignalCore, items: list[Item]) -> None:
    errors: list[Exception] = []
    try:
        for sender, args, kwargs in items:
            signal._run(sender, args, kwargs, None, errors)
        _raise(signal, errors)
    finally:
        del errors


def _raise(signal: SignalCore, errors: list[Exception]) -> None:
    try:
        if errors:
            raise failure(signal._about.title(), errors, None)
    finally:
        del errors
