"""Memory stays flat however signals are used: emitters, listeners, owners and senders come and go, receivers fail, blocks begin and end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from helpers.leak import Unique, flat, ignore

from safemem import Signal


class Emitter:
    """Comes and goes."""

    changed: Signal[Any] = Signal()


class Listener(Unique):
    """Likewise."""

    __slots__ = ("__dict__",)

    def hear(self, *_args: Any) -> None:
        """A receiver."""

    def fail(self, *_args: Any) -> None:
        """A receiver."""
        raise ValueError(self)


def holding(thing: object) -> Callable[..., object]:
    """Make a closure."""
    return lambda *_args: thing


if __name__ == "__main__":
    shared: Signal[Any] = Signal()
    remembering: Signal[Any] = Signal(replay=True)
    owner = Listener()

    def work(number: int) -> None:
        """Everything once."""
        emitter, listener = Emitter(), Listener()
        for signal in (shared, remembering, emitter.changed):
            signal.connect(listener.hear, priority=number % 3)
            signal.connect(holding(Unique()), owner=listener)
            signal.connect(holding(Unique()), once=True)
            signal.connect(holding(Unique()), sender=listener)
            signal.emit_from(listener, listener)
            signal.emit(Unique())
        emitter.changed.connect(holding(Unique()), owner=owner)
        with shared.connect(holding(Unique())) as connection, connection.block(), shared.muted(), shared.paused(limit=2):
            shared.emit(Unique())
        shared.connect(listener.fail)
        ignore(lambda: shared.emit(1), ExceptionGroup)
        ignore(lambda: shared.send(1), ExceptionGroup)
        ignore(lambda: shared.wait(0), TimeoutError)
        with emitter.changed.paused(reducer=lambda _old, new: new):
            emitter.changed.emit(Unique())
        shared.disconnect(listener.hear)

    flat(work, rounds=2000)
