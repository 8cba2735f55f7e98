"""What a type checker sees of observables. Checked by mypy and pyright, not executed."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar, assert_type

from safemem import Connection, Observable, Signal

T = TypeVar("T")


class Account(Observable):
    owner: str
    balance: int = 0
    kinds: ClassVar[list[str]] = []
    closed: Signal[[]] = Signal()


class Savings(Account):
    rate: float = 0.01


@dataclass
class Point(Observable):
    x: float
    y: float = 0
    tags: list[str] = field(default_factory=list[str])


@dataclass(slots=True, weakref_slot=True)
class Slotted(Observable):
    x: int
    label: str | None = None


@dataclass(frozen=True)
class Frozen(Observable):
    x: int


class Box(Observable, Generic[T]):
    content: T

    def __init__(self, content: T) -> None:
        self.content = content


class Listener:
    def hear(self, name: str, old: Any, new: Any) -> None: ...
    def count(self, name: str, old: int, new: int) -> int:
        return new - old

    def alone(self) -> None: ...


def fields() -> None:
    account = Savings()
    assert_type(account.owner, str)
    assert_type(account.balance, int)
    assert_type(account.rate, float)
    assert_type(account.closed, Signal[[]])
    assert_type(Box(5).content, int)
    account.balance = 5
    account.balance = "5"  # type: ignore[assignment] # pyright: ignore[reportAttributeAccessIssue]


def dataclasses() -> None:
    point = Point(1.5, tags=["a"])
    assert_type(point.x, float)
    assert_type(point.tags, list[str])
    Point()  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    Point("x")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    assert_type(Slotted(1).label, str | None)
    Frozen(1).x = 2  # type: ignore[misc] # pyright: ignore[reportAttributeAccessIssue]


def observing(point: Point, listener: Listener) -> None:
    assert_type(point.observe("x", listener.hear), Connection)
    point.observe("x", listener.count, owner=listener, once=True, priority=1, weak=None)
    point.observe("x", print)
    point.observe("x", lambda name, old, new: print(name.upper(), old, new))
    point.observe("x", listener.alone)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    point.observe(5, print)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    point.observe("x", print, sender=point)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    with point.observe("x", print) as connection:
        assert_type(connection.connected, bool)


def batches(point: Point) -> None:
    assert_type(point.batch(), AbstractContextManager[None])
    with point.batch():
        point.x = 2


def absent(name: str, old: int | object, new: int | object) -> bool:
    return old is Observable.MISSING or new is Observable.MISSING
