"""Nothing of a signal is cyclic garbage: every public operation, on success and on error, with the collector off."""

from __future__ import annotations

import asyncio
import copy
import functools
import gc
import pickle

import pytest
from helpers.collect import no_cyclic_garbage
from helpers.listeners import EMITTERS, Emitter, Listener

from safemem import Signal


class Stop(BaseException):
    """Ends an emission at once."""


def stop(*_args):
    """A receiver."""
    raise Stop


def ignoring(*errors):
    """Decorate a function whose errors of these kinds are expected."""

    def decorate(work):
        @functools.wraps(work)
        def wrapper(*args):
            try:
                work(*args)
            except errors:
                return
            raise AssertionError("it was to fail")

        return wrapper

    return decorate


def use_options(emitter, listener):
    """Each way to connect."""
    changed = emitter.changed
    changed.connect(listener.hear)
    changed.connect(listener.hear, owner=listener, sender=listener, once=True, priority=2)
    changed.connect(lambda *args: None, owner=listener)
    changed.connect(lambda *args: None, sender=listener)
    changed.connect(listener.hear, weak=False)
    changed.connect(listener, weak=True) if callable(listener) else None
    changed.receiver(priority=1)(functools.partial(print, end=""))


def use_everything(emitter, listener):
    """Whatever does not fail."""
    changed = emitter.changed
    use_options(emitter, listener)
    changed.emit("")
    changed.send("")
    changed.emit_from(listener, "")
    repr(changed), len(changed), bool(changed), changed.name, changed.doc
    for connection in changed.connections():
        with connection.block():
            (
                repr(connection),
                connection.receiver,
                connection.where,
                connection.sender,
                connection.owner,
                connection.priority,
                connection.once,
            )
    with (
        changed.connect(listener.hear) as connection,
        changed.muted(),
        changed.paused(limit=3),
        changed.paused(reducer=lambda old, new: new),
    ):
        changed.emit("")
    changed.disconnect(listener.hear)
    connection.disconnect()
    copy.copy(changed), copy.deepcopy(changed), pickle.loads(pickle.dumps(changed)), copy.copy(connection)
    copy.copy(emitter), copy.deepcopy(emitter), pickle.loads(pickle.dumps(emitter))
    changed.clear()


@ignoring(ExceptionGroup)
def fail_in_emit(emitter, listener):
    """Two receivers of three."""
    emitter.changed.connect(listener.fail)
    emitter.changed.connect(listener.hear)
    emitter.changed.connect(listener.fail, owner=listener)
    emitter.changed.emit(1)


@ignoring(ExceptionGroup)
def fail_in_send(emitter, listener):
    """And with the results of the others."""
    emitter.changed.connect(listener.fail)
    emitter.changed.connect(listener.hear)
    emitter.changed.send(1)


@ignoring(ExceptionGroup)
def fail_in_emit_from(emitter, listener):
    """A receiver of a sender."""
    emitter.changed.connect(listener.fail, sender=listener)
    emitter.changed.emit_from(listener, 1)


@ignoring(ExceptionGroup)
def fail_nested(emitter, listener):
    """A group in a group."""
    other = Signal()
    other.connect(listener.fail)
    emitter.changed.connect(lambda value: other.emit())
    emitter.changed.emit(1)


@ignoring(Stop)
def stop_emit(emitter, listener):
    """With a failure before."""
    emitter.changed.connect(listener.fail)
    emitter.changed.connect(stop)
    emitter.changed.emit(1)


def stop_while_handling(emitter, listener):
    """What is being handled is the context of all of them."""
    try:
        raise LookupError
    except LookupError:
        stop_emit(emitter, listener)


@ignoring(Stop)
def stop_send(emitter, listener):
    """Likewise."""
    emitter.changed.connect(listener.fail)
    emitter.changed.connect(stop)
    emitter.changed.send(1)


@ignoring(ExceptionGroup)
def fail_after_pause(emitter, listener):
    """In what is delivered."""
    emitter.changed.connect(listener.fail)
    with emitter.changed.paused():
        emitter.changed.emit(1)
        emitter.changed.emit(2)


@ignoring(ZeroDivisionError)
def fail_in_reducer(emitter, listener):
    """In the thread that emits."""
    with emitter.changed.paused(reducer=lambda old, new: 1 / 0):
        emitter.changed.emit(1)
        emitter.changed.emit(2)


@ignoring(ValueError)
def fail_in_replay(emitter, listener):
    """In connect()."""
    changed = Signal(replay=True)
    changed.emit(1)
    changed.connect(listener.fail)


@ignoring(TypeError)
def fail_in_connect(emitter, listener):
    """A bad argument."""
    emitter.changed.connect(listener.hear, priority="x")


@ignoring(TypeError)
def fail_in_declaration(emitter, listener):
    """A signal of nobody."""
    type(emitter).changed.emit(1)


@ignoring(TimeoutError)
def fail_in_wait(emitter, listener):
    """Nobody emits."""
    emitter.changed.wait(0)


def replay(emitter, listener):
    """A memory with senders."""
    changed = Signal(replay=True)
    changed.emit_from(listener, listener)
    changed.connect(listener.hear, sender=listener)
    listener.heard.clear()
    changed.clear()


WORKS = [
    use_options,
    use_everything,
    fail_in_emit,
    fail_in_send,
    fail_in_emit_from,
    fail_nested,
    stop_emit,
    stop_while_handling,
    stop_send,
    fail_after_pause,
    fail_in_reducer,
    fail_in_replay,
    fail_in_connect,
    fail_in_declaration,
    fail_in_wait,
    replay,
]


@pytest.mark.parametrize("kind", EMITTERS)
@pytest.mark.parametrize("work", WORKS)
def test_no_cyclic_garbage(work, kind, capsys):
    """Not from the operation, not from its errors, and not from what it was done with when that goes."""
    work(kind(), Listener())  # what is made once is made now
    with no_cyclic_garbage(work.__name__):
        work(kind(), Listener())


async def answer(value):
    """A coroutine receiver."""
    return value


async def fail(value):
    """A coroutine receiver."""
    raise ValueError


async def await_everything(emitter):
    """Whatever does not fail."""
    emitter.changed.connect(answer)
    emitter.changed.connect(print, weak=False).disconnect()
    await emitter.changed.aemit(1)
    await emitter.changed.asend(1)
    async with emitter.changed.paused():
        emitter.changed.emit(1)
    task = asyncio.ensure_future(emitter.changed.next())
    await asyncio.sleep(0)
    await emitter.changed.aemit(1)
    await task


async def await_failure(emitter):
    """Of plain and coroutine receivers."""
    emitter.changed.connect(fail)
    emitter.changed.connect(Listener().fail, weak=False)
    emitter.changed.connect(answer)
    try:
        await emitter.changed.asend(1)
    except ExceptionGroup:
        return
    raise AssertionError


async def await_stop(emitter):
    """A BaseException with a failure before."""
    emitter.changed.connect(fail)
    emitter.changed.connect(answer)
    emitter.changed.connect(stop)
    try:
        await emitter.changed.aemit(1)
    except Stop:
        return
    raise AssertionError


async def await_cancellation(emitter):
    """Of the emission, and of a wait."""

    async def sleep(value):
        await asyncio.sleep(100)

    emitter.changed.connect(sleep)
    emitter.changed.connect(fail)
    for coroutine in (emitter.changed.aemit(1), emitter.changed.next()):
        task = asyncio.ensure_future(coroutine)
        for _ in range(3):
            await asyncio.sleep(0)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            pass
        del task


@pytest.mark.parametrize("work", [await_everything, await_failure, await_stop, await_cancellation])
def test_no_cyclic_garbage_from_asyncio(work):
    """Neither from tasks nor from their errors, beyond what asyncio leaves itself."""
    with asyncio.Runner() as runner:
        runner.run(work(Emitter()))

        async def main():
            await asyncio.sleep(0)
            gc.collect()
            with no_cyclic_garbage(work.__name__):
                await work(Emitter())
                await asyncio.sleep(0)

        runner.run(main())
