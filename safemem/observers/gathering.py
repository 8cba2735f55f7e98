"""Emission for asyncio: plain receivers are called, coroutine receivers run concurrently, and none is left running."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from safemem.core._failures import blame, failure, remember
from safemem.observers.ways import Way, rebound

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from safemem.observers.links import Link
    from safemem.observers.listeners import SignalCore

__all__ = ["emit", "gather"]


async def emit(signal: SignalCore, sender: Any, args: tuple[Any, ...], kwargs: dict[str, Any], results: list[Any] | None) -> None:
    """Emit once; raise the failures of the receivers as one group."""
    errors: list[Exception] = []
    try:
        await gather(signal, sender, args, kwargs, results, errors)
        if errors:
            raise failure(signal._about.title(), errors, results)
    finally:
        del errors  # the tracebacks lead to this frame, which must not lead back


async def gather(  # noqa: PLR0917 - an emission, and where its outcome goes
    signal: SignalCore, sender: Any, args: tuple[Any, ...], kwargs: dict[str, Any], results: list[Any] | None, errors: list[Exception]
) -> None:
    """Emit once; what receivers return and raise goes to the two lists, in calling order."""
    special = signal._special
    calls: list[_Call] = []
    call: _Call | None = None
    try:
        for link in signal._links if special is None else special.admit(signal, sender, args, kwargs):
            call = _Call.of(link, sender)
            if call is not None:
                calls.append(call)
                call.take(_start(call.receiver, args, kwargs, awaited=call.way is not None and call.way.awaited))
        await _all_done(calls)
        for call in calls:
            call.tell(results, errors, signal)
    except BaseException as error:
        if not isinstance(error, GeneratorExit):  # then nothing can be awaited any more
            await _all_ended(calls)
            _chain(error, calls, signal)
        else:
            _cancel(calls)
        raise
    finally:
        call = None
        del calls, errors, results  # as above
    signal._prune()


class _Call:
    """One receiver in one emission: a task if it is a coroutine, a result, or an exception."""

    __slots__ = ("error", "link", "receiver", "result", "task", "way")

    def __init__(self, link: Link, receiver: Any, way: Way | None) -> None:
        self.link = link
        self.receiver = receiver
        self.way = way
        self.task: asyncio.Task[Any] | None = None
        self.result: Any = None
        self.error: Exception | None = None

    @classmethod
    def of(cls, link: Link, sender: Any) -> _Call | None:
        """Return the call of a link, or None if it is not to be called."""
        func, ref = link.func, link.ref
        if func is None or ref is None:
            return None if func is None else cls(link, func, None)
        if type(ref) is Way:
            receiver = ref.take(sender)
            return None if receiver is None else cls(link, receiver, ref)
        obj = ref()
        return None if obj is None else cls(link, rebound(func, obj), None)

    def take(self, outcome: tuple[asyncio.Task[Any] | None, Any, Exception | None]) -> None:
        """Remember what `_start` returned."""
        self.task, self.result, self.error = outcome

    def finish(self) -> None:
        """Take the outcome from a task that is done; raise what may not wait for the others."""
        task, self.task = self.task, None
        if task is None:
            return
        if task.cancelled():
            raise asyncio.CancelledError
        error = task.exception()
        if error is None:
            self.result = task.result()
        elif isinstance(error, Exception):
            self.error = error
        else:
            try:
                raise error
            finally:
                del error

    def tell(self, results: list[Any] | None, errors: list[Exception], signal: SignalCore) -> None:
        """Add what came of it to one of the lists."""
        if self.error is not None:
            blame(self.error, self.link, signal._about.title(), self.receiver)
            errors.append(self.error)
        elif results is not None:
            results.append((self.receiver, self.result))


def _start(
    receiver: Any, args: tuple[Any, ...], kwargs: dict[str, Any], *, awaited: bool
) -> tuple[asyncio.Task[Any] | None, Any, Exception | None]:
    """Call a plain receiver, make a task of a coroutine receiver; return the task, the result, and what failed."""
    try:
        outcome = receiver(*args, **kwargs)
        if not awaited:
            return None, outcome, None
        return asyncio.get_running_loop().create_task(outcome if asyncio.iscoroutine(outcome) else _await(outcome)), None, None
    except Exception as error:  # noqa: BLE001 - raised after the emission, with those of the others
        return None, None, error


async def _await(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


async def _all_done(calls: list[_Call]) -> None:
    """Wait until all tasks are done, or one ends in a way that ends the emission."""
    pending = {call.task for call in calls if call.task is not None}
    while pending:
        _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_EXCEPTION)
        for call in calls:
            if call.task is not None and call.task.done():
                call.finish()


def _cancel(calls: list[_Call]) -> set[asyncio.Task[Any]]:
    tasks = {call.task for call in calls if call.task is not None and not call.task.done()}
    for task in tasks:
        task.cancel()
    return tasks


async def _all_ended(calls: list[_Call]) -> None:
    """Cancel what still runs, and wait for its end, however often this is cancelled meanwhile."""
    while pending := _cancel(calls):
        try:
            await asyncio.wait(pending)
        except asyncio.CancelledError:
            continue


def _chain(error: BaseException, calls: list[_Call], signal: SignalCore) -> None:
    """Chain the failures there were to what ends the emission."""
    failed: list[Exception] = []
    for call in calls:
        try:
            call.finish()
        except BaseException:  # noqa: BLE001, S112 - another one that was cancelled
            continue
        finally:
            if call.error is not None:
                failed.append(call.error)
    try:
        if failed:
            for call in calls:
                if call.error is not None:
                    blame(call.error, call.link, signal._about.title(), call.receiver)
            remember(error, failed, signal._about.title())
    finally:
        del error, failed
