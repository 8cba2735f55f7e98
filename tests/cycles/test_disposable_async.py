"""Disposable in asyncio: the synchronous part first, then what has to be awaited, cancelled or not."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from helpers.aio import in_loop, turns
from helpers.collect import no_cyclic_garbage
from helpers.recorder import unraisable

from safemem import Disposable
from safemem.errors import ClosedError


class Resource:
    """Something with `aclose()` that says so in a log."""

    def __init__(self, log: list[Any], name: Any, error: type[BaseException] | None = None) -> None:
        self.log = log
        self.name = name
        self.error = error

    async def aclose(self) -> None:
        self.log.append(("begin", self.name))
        await turns(2)
        self.log.append(self.name)
        if self.error is not None:
            raise self.error(f"closing {self.name}")


class Both(Resource):
    """Something that can be closed in either way."""

    def close(self) -> None:
        self.log.append((self.name, "at once"))


class Service(Disposable):
    def __init__(self, log: list[Any]) -> None:
        self.log = log

    def _dispose(self) -> None:
        self.log.append("dispose")
        super()._dispose()


@in_loop
async def test_order():
    """`_dispose()`, then what is closed at once, then what is awaited, each the latest first, one after the other."""
    log: list[Any] = []
    service = Service(log)
    service.own(Resource(log, 1))
    service.own(lambda: log.append(2))
    service.own(Both(log, 3))
    service.own(lambda: log.append(4))
    await service.aclose()
    assert log == ["dispose", 4, 2, ("begin", 3), 3, ("begin", 1), 1]
    assert service.closed
    await service.aclose()
    service.close()
    assert len(log) == 7


@in_loop
async def test_async_with():
    """A block closes at its end; what it raised goes on its way, with notes."""
    log: list[Any] = []
    async with Service(log) as service:
        service.own(Resource(log, 1))
    assert log == ["dispose", ("begin", 1), 1]
    with pytest.raises(KeyError) as caught:
        async with Service(log) as service:
            service.own(Resource(log, 2, OSError))
            raise KeyError
    assert caught.value.__notes__[0].endswith("failed too: OSError: closing 2")
    with pytest.raises(ExceptionGroup):
        async with Service(log) as service:
            service.own(Resource(log, 2, OSError))
    with pytest.raises(ClosedError):
        async with service:
            pass


@in_loop
async def test_all_sorts():
    """Async context managers, async exit stacks, async generators, and functions that return something to await."""
    log = []

    @contextlib.asynccontextmanager
    async def manager():
        try:
            yield
        finally:
            await turns(1)
            log.append("manager")

    async def function():
        await turns(1)
        log.append("function")

    async def generate():
        try:
            yield 1
        finally:
            log.append("generator")

    class CoroutineClose:
        async def close(self):
            await turns(1)
            log.append("close()")

    service = Service(log)
    entered = service.own(manager())
    await entered.__aenter__()
    stack = service.own(contextlib.AsyncExitStack())
    stack.callback(log.append, "stack")
    service.own(function)
    generator = service.own(generate())
    await anext(generator)
    service.own(CoroutineClose())
    await service.aclose()
    assert log[0] == "dispose"
    assert sorted(log[1:]) == ["close()", "function", "generator", "manager", "stack"]


@in_loop
async def test_cancelled():
    """A cancellation at the first `await` comes after all that is synchronous, and the rest is closed before it is raised."""
    log: list[Any] = []
    service = Service(log)
    service.own(Resource(log, 1))
    service.own(Resource(log, 2))
    service.own(lambda: log.append("at once"))
    task = asyncio.create_task(service.aclose())
    await asyncio.sleep(0)
    assert log == ["dispose", "at once", ("begin", 2)]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert log[3:] == [("begin", 1), 1]


@in_loop
async def test_errors():
    """All are told in one group, the synchronous ones first."""
    log: list[Any] = []
    service = Service(log)
    service.own(Resource(log, 1, OSError))
    service.own(lambda: 1 // 0)
    service.own(Resource(log, 2, KeyError))
    with pytest.raises(ExceptionGroup, match="3 errors while closing <Service") as caught:
        await service.aclose()
    assert [type(error) for error in caught.value.exceptions] == [ZeroDivisionError, KeyError, OSError]


@in_loop
async def test_close_without_waiting():
    """`close()` closes what it can and says what is left, which `aclose()` closes afterwards."""
    log: list[Any] = []

    async def function():
        log.append("function")

    service = Service(log)
    service.own(Resource(log, 1))
    service.own(Both(log, 2))
    service.own(function)
    with pytest.raises(ExceptionGroup) as caught:
        service.close()
    assert log == ["dispose", (2, "at once")]
    assert [type(error) for error in caught.value.exceptions] == [RuntimeError]
    assert "can only be closed asynchronously (function, Resource): use aclose()" in str(caught.value.exceptions[0])
    service.close()
    await service.aclose()
    assert log[2:] == ["function", ("begin", 1), 1]
    await service.aclose()
    assert len(log) == 5


@in_loop
async def test_too_late():
    """What is handed to a closed object and needs to be awaited is closed by another `aclose()`."""
    log: list[Any] = []
    service = Service(log)
    await service.aclose()
    with pytest.raises(ClosedError):
        service.own(Resource(log, "late"))
    assert log == ["dispose"]
    await service.aclose()
    assert log == ["dispose", ("begin", "late"), "late"]


@in_loop
async def test_two_tasks():
    """The one that comes second returns at once."""
    log: list[Any] = []
    service = Service(log)
    service.own(Resource(log, 1))
    first = asyncio.create_task(service.aclose())
    await asyncio.sleep(0)
    await service.aclose()
    assert 1 not in log
    await first
    assert log == ["dispose", ("begin", 1), 1]


@in_loop
async def test_dropped_open():
    """What can be closed at once is; the rest is named."""
    log: list[Any] = []
    with unraisable() as told, pytest.warns(ResourceWarning):
        service = Service(log)
        service.own(Resource(log, 1))
        service.own(Both(log, 2))
        del service
    assert log == ["dispose", (2, "at once")]
    assert len(told) == 1
    assert "asynchronously (Resource)" in str(told[0])


@in_loop
async def test_a_loop_that_ends():
    """A closing that is itself closed in the middle lets go at once."""
    log: list[Any] = []
    service = Service(log)
    service.own(Resource(log, 1))
    service.own(Resource(log, 2))
    closing = service.aclose()
    closing.send(None)
    closing.close()
    assert log == ["dispose", ("begin", 2)]


@pytest.mark.parametrize("error", [None, KeyError, asyncio.CancelledError])
def test_nothing_is_left_to_the_collector(error):
    """Neither success nor errors make cycles."""
    log: list[Any] = []

    async def work():
        log.clear()
        service = Service(log)
        service.own(Resource(log, 1, error))
        service.own(Resource(log, 2))
        try:
            async with service:
                pass
        except BaseException:  # noqa: BLE001
            assert error is not None
        else:
            assert error is None

    def drive():
        coroutine = work()
        try:
            while True:
                coroutine.send(None)
        except StopIteration:
            pass

    drive()
    with no_cyclic_garbage():
        drive()
    assert log[0] == "dispose"
    assert len(log) == 5  # and the beginning and end of two resources, or what came in its place
