"""What a type checker sees of signals. Checked by mypy and pyright, not executed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Protocol, assert_type

from safemem import Connection, Signal


class Thermometer:
    changed: Signal[float] = Signal()
    renamed: ClassVar[Signal[str, int]] = Signal(name="renamed")
    started: Signal[[]] = Signal()
    inferred = Signal[float]()


class Emits(Protocol):
    @property
    def changed(self) -> Signal[float]: ...


class Display:
    def show(self, degrees: float) -> None: ...
    def show_text(self, text: str) -> None: ...
    def clear(self) -> None: ...
    async def show_slowly(self, degrees: float) -> str:
        return str(degrees)


class Receivers:
    def optional(self, degrees: float, digits: int = 2) -> None: ...
    def anything(self, *args: object, **names: object) -> None: ...
    def wide(self, value: object) -> None: ...
    def narrow(self, degrees: int) -> None: ...
    def keyword(self, degrees: float, *, digits: int) -> None: ...
    @classmethod
    def of_class(cls, degrees: float) -> None: ...
    @staticmethod
    def static(degrees: float) -> None: ...


class Loud(Signal[str]):
    def shout(self, text: str) -> None:
        self.emit(text.upper())


class Speaker:
    said: ClassVar[Loud] = Loud()


def two(name: str, number: int) -> int:
    return len(name) + number


def attributes(t: Thermometer) -> None:
    assert_type(t.changed, Signal[float])
    assert_type(t.inferred, Signal[float])
    assert_type(Thermometer.changed, Signal[float])
    assert_type(t.renamed, Signal[str, int])
    assert_type(t.started, Signal[[]])
    emits: Emits = t
    assert_type(emits.changed, Signal[float])


def connecting(t: Thermometer, d: Display) -> None:
    assert_type(t.changed.connect(d.show), Connection)
    t.changed.connect(d.show_slowly)
    t.changed.connect(print)
    t.changed.connect(lambda degrees: d.show(degrees), owner=d, once=True, priority=2, weak=None, sender=t)
    t.changed.connect(d.show_text)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    t.changed.connect(d.clear)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    t.changed.connect(5)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    t.renamed.connect(two)
    t.started.connect(d.clear)
    t.started.connect(d.show)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    assert_type(t.changed.disconnect(d.show), bool)


def connecting_what_fits(t: Thermometer, r: Receivers) -> None:
    t.changed.connect(r.optional)
    t.changed.connect(partial(r.optional, digits=3))
    t.changed.connect(r.anything)
    t.changed.connect(r.wide)
    t.changed.connect(r.of_class)
    t.changed.connect(Receivers.static)
    t.changed.connect(Thermometer().changed.emit)
    t.changed.connect(r.narrow)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    t.changed.connect(r.keyword)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    assert_type(Speaker().said, Loud)
    Speaker().said.connect(r.wide)
    Speaker().said.connect(r.narrow)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def emitting(t: Thermometer) -> None:
    t.changed.emit(21.5)
    t.changed.emit(21)
    t.changed.emit("hot")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    t.changed.emit()  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    t.renamed.emit("name", 1)
    t.renamed.emit(1, "name")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    t.started.emit()
    t.started.emit(1)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    t.changed.emit_from(t, 21.5)
    t.changed.emit_from(t, "hot")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    for receiver, result in t.changed.send(21.5):
        assert_type(receiver, Callable[[float], Any])
        assert_type(result, Any)
    assert_type(t.changed.wait(5), tuple[Any, ...])


async def awaiting(t: Thermometer) -> None:
    await t.changed.aemit(21.5)
    await t.changed.aemit("hot")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    assert_type(len(await t.changed.asend(1.5)), int)
    assert_type(await t.changed.next(), tuple[Any, ...])


def decorating(t: Thermometer) -> None:
    @t.changed.receiver
    def hear(degrees: float) -> str:
        return str(degrees)

    assert_type(hear(1.5), str)

    @t.changed.receiver(priority=1, once=True)
    def listen(degrees: float) -> str:
        return str(degrees)

    assert_type(listen(1.5), str)

    @t.changed.receiver  # type: ignore[arg-type] # pyright: ignore[reportArgumentType, reportCallIssue]
    def wrong(text: str) -> None: ...


def contexts(t: Thermometer, d: Display) -> None:
    with t.changed.muted(), t.changed.paused(limit=5, reducer=lambda old, new: new) as pause:
        assert_type(pause.dropped, int)
    with t.changed.connect(d.show) as connection:
        assert_type(connection, Connection)
        assert_type(connection.connected, bool)
        with connection.block():
            pass
    assert_type(t.changed.connections(), tuple[Connection, ...])
