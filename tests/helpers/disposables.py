"""Disposables of every kind, and things for them to own."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import pytest

from safemem import Disposable

T = TypeVar("T")


def this_line() -> int:
    """The line of the call."""
    return sys._getframe(1).f_lineno


class Resource:
    """Something with `close()` that says so in a log, and fails if told to."""

    def __init__(self, log: list[Any], name: Any, error: type[BaseException] | None = None) -> None:
        self.log = log
        self.name = name
        self.error = error

    def close(self) -> None:
        self.log.append(self.name)
        if self.error is not None:
            raise self.error(f"closing {self.name}")


class Plain(Disposable):
    def __init__(self, log: list[Any] | None = None) -> None:
        self.log = [] if log is None else log

    def _dispose(self) -> None:
        self.log.append("dispose")
        super()._dispose()


class Slotted(Disposable):
    __slots__ = ("log",)

    def __init__(self, log: list[Any] | None = None) -> None:
        self.log = [] if log is None else log

    def _dispose(self) -> None:
        self.log.append("dispose")


@dataclass(slots=True, frozen=True)
class Frozen(Disposable):
    log: list[Any]

    def _dispose(self) -> None:
        self.log.append("dispose")


class Abstract(Disposable, ABC):
    @abstractmethod
    def kind(self) -> str: ...


class Concrete(Abstract, Generic[T]):
    def __init__(self, log: list[T]) -> None:
        self.log = log

    def kind(self) -> str:
        return "concrete"

    def _dispose(self) -> None:
        self.log.append("dispose")  # type: ignore[arg-type]


class Base:
    __slots__ = ("log",)

    def __init__(self, log: list[Any]) -> None:
        self.log = log


class Mixed(Disposable, Base):
    __slots__ = ()

    def _dispose(self) -> None:
        self.log.append("dispose")


KINDS = [Plain, Slotted, Frozen, Concrete, Mixed]

try:
    import attrs
except ImportError:
    pass
else:

    @attrs.define
    class Attrs(Disposable):
        log: list[Any]

        def _dispose(self) -> None:
            self.log.append("dispose")

    KINDS.append(Attrs)

every_kind = pytest.mark.parametrize("kind", KINDS)
