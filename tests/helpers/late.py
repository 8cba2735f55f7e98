"""A finaliser that runs when the collector is at work on a module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def late_class(call_all: Callable[[list[Any]], object]) -> Any:
    """Return a class whose instances, when they go, have `call_all` call what `calls_of(cls)` holds by then.

    Nothing is found by name then, so it is all in the finaliser's defaults.
    """

    class Late:
        __slots__ = ()  # so that the collector does not see it, and does not call its finaliser before it clears anything

        def __del__(self, call_all: Any = call_all, calls: tuple[list[Any]] = ([],)) -> None:
            call_all(calls[0])

    return Late


def calls_of(cls: Any) -> list[Any]:
    """Return the list of what is to be called."""
    calls: list[Any] = cls.__del__.__defaults__[1][0]
    return calls
