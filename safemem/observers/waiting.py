"""Waiting for one emission, in a thread or in a task of asyncio."""

from __future__ import annotations

import math
from _thread import TIMEOUT_MAX, allocate_lock
from collections import deque
from typing import TYPE_CHECKING, Any

from safemem.observers.special import release, special_of

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future

    from safemem.observers.listeners import SignalCore

__all__ = ["wait_in_task", "wait_in_thread"]


class ThreadWaiter:
    """A thread that waits."""

    __slots__ = ("args", "lock")

    def __init__(self) -> None:
        self.args: tuple[Any, ...] | None = None
        self.lock = allocate_lock()
        self.lock.acquire()

    def wake(self, args: tuple[Any, ...]) -> None:
        """Hand over the arguments of an emission; whoever took the waiter out of the queue does this, once."""
        self.args = args
        self.lock.release()


class TaskWaiter:
    """A task that waits, in its loop."""

    __slots__ = ("future", "loop")

    def __init__(self, loop: AbstractEventLoop, future: Future[tuple[Any, ...]]) -> None:
        self.loop = loop
        self.future = future

    def wake(self, args: tuple[Any, ...]) -> None:
        """Hand over the arguments of an emission, from any thread."""
        try:
            self.loop.call_soon_threadsafe(_settle, self.future, args)
        except RuntimeError:  # the loop is closed: nobody waits any more
            pass


def _settle(future: Future[tuple[Any, ...]], args: tuple[Any, ...]) -> None:
    if not future.done():
        future.set_result(args)


def wait_in_thread(signal: SignalCore, timeout: float | None) -> tuple[Any, ...]:
    """Block for one emission; return its positional arguments, or raise TimeoutError."""
    limit = -1.0 if timeout is None else min(_checked(timeout), TIMEOUT_MAX)
    waiter = ThreadWaiter()
    _enlist(signal, waiter)
    try:
        woken = waiter.lock.acquire(timeout=limit)
    finally:
        missed = _delist(signal, waiter)
    if not woken and missed:
        msg = f"{signal._about.title()} was not emitted within {timeout} s"
        raise TimeoutError(msg)
    if not woken:  # an emission took the waiter out at the last moment, and hands over its arguments
        waiter.lock.acquire()
    return waiter.args or ()


async def wait_in_task(signal: SignalCore) -> tuple[Any, ...]:
    """Wait for one emission, without blocking the loop; return its positional arguments."""
    import asyncio

    loop = asyncio.get_running_loop()
    waiter = TaskWaiter(loop, loop.create_future())
    _enlist(signal, waiter)
    try:
        return await waiter.future
    finally:
        _delist(signal, waiter)


def _checked(timeout: object) -> float:
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        msg = f"timeout must be a number of seconds or None, got {timeout!r}"
        raise TypeError(msg)
    if math.isnan(timeout) or timeout < 0:
        msg = f"timeout must be >= 0, got {timeout!r}"
        raise ValueError(msg)
    return timeout


def _enlist(signal: SignalCore, waiter: Any) -> None:
    waiters: deque[Any] = deque()
    with signal._lock:
        special = special_of(signal)
        if special.waiters is None:
            special.waiters = waiters
        special.waiters.append(waiter)


def _delist(signal: SignalCore, waiter: Any) -> bool:
    """Take a waiter out; return whether no emission had done so."""
    with signal._lock:
        waiters = special_of(signal).waiters
        try:
            found = waiters is not None and waiter in waiters
            if waiters is not None and found:
                waiters.remove(waiter)
        except (IndexError, RuntimeError, ValueError):  # an emission, which takes no lock, was faster, or is at it
            found = waiters is not None and waiter in list(waiters)
        release(signal)
    return found
