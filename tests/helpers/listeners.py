"""Emitters and listeners of the kinds that programs have: plain, slotted, unhashable, equal to all others."""

from __future__ import annotations

from typing import Any

from safemem import Signal


class Listener:
    """Remembers what it was told; can be weakly referenced."""

    def __init__(self, name: object = None) -> None:
        self.name = name
        self.heard: list[Any] = []

    def hear(self, *args: Any) -> object:
        """A receiver."""
        self.heard.append(args[0] if len(args) == 1 else args)
        return self.name

    def fail(self, *_args: Any) -> None:
        """A receiver that fails."""
        raise ValueError(self.name)


class Emitter:
    """Has a __dict__."""

    changed: Signal[Any] = Signal()


class SlottedEmitter:
    """Has none, but can be weakly referenced."""

    __slots__ = ("__weakref__",)
    changed: Signal[Any] = Signal()


class UnhashableEmitter:
    """Is equal to all of its kind, and so has no hash."""

    changed: Signal[Any] = Signal()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UnhashableEmitter)

    __hash__ = None  # type: ignore[assignment]


class SlottedUnhashableEmitter:
    """Both."""

    __slots__ = ("__weakref__",)
    changed: Signal[Any] = Signal()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SlottedUnhashableEmitter)

    __hash__ = None  # type: ignore[assignment]


EMITTERS = [Emitter, SlottedEmitter, UnhashableEmitter, SlottedUnhashableEmitter]


class Equal:
    """A listener that is equal to every other one, and cannot be hashed."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def hear(self, value: Any) -> None:
        """A receiver."""
        self.heard.append(value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Equal)

    __hash__ = None  # type: ignore[assignment]


class Callable:
    """Can be called, and weakly referenced."""

    def __init__(self):
        self.heard = []

    def __call__(self, value):
        self.heard.append(value)
