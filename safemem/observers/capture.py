"""Warnings at the place of the connection: of a receiver that keeps its own emitter alive, and of one that is dead on arrival."""

from __future__ import annotations

import sys
import warnings
from functools import partial
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

from safemem._graph import held_by
from safemem.core._emission import BOUND
from safemem.errors import CycleWarning
from safemem.observers.ways import name_of

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["is_fleeting", "warn_if_captured", "warn_of_early_death"]


def warn_if_captured(receiver: Any, emitter: Any, frame: FrameType) -> None:
    """Warn if a receiver that is held strongly holds the emitter, which it then keeps alive; looks through nested functions too."""
    place = held_by(receiver, emitter) or _in_nested(receiver, emitter)
    if place is not None:
        _warn(
            f"receiver {name_of(receiver)} keeps the {type(emitter).__name__} object alive whose signal it is connected to: it is held by"
            f" {place}; connect a bound method, which is held weakly, or let the closure hold a weak reference",
            CycleWarning,
            frame,
        )


def warn_of_early_death(receiver: Any, frame: FrameType) -> None:
    """Warn of a receiver that is held weakly and that nobody else holds."""
    _warn(
        f"receiver {name_of(receiver)} is held weakly and nobody else holds it or its object: it is gone as soon as it is connected; keep the object,"
        " or connect with weak=False",
        RuntimeWarning,
        frame,
    )


def _in_nested(receiver: Any, emitter: Any, depth: int = 0) -> str | None:
    """Look into functions that a closure holds, as a decorated one does."""
    if depth > 3:
        return None
    if isinstance(receiver, partial):
        return _in_nested(receiver.func, emitter, depth)  # pyright: ignore[reportUnknownMemberType]
    if not isinstance(receiver, FunctionType):
        return None
    for name, cell in zip(receiver.__code__.co_freevars, receiver.__closure__ or (), strict=False):
        try:
            content = cell.cell_contents
        except ValueError:  # empty
            continue
        if isinstance(content, FunctionType) and content is not receiver:
            place = held_by(content, emitter) or _in_nested(content, emitter, depth + 1)
            if place is not None:
                return f"its closure, through variable {name!r}: {place}"
    return None


def _warn(message: str, category: type[Warning], frame: FrameType) -> None:
    names = frame.f_globals
    registry = names.setdefault("__warningregistry__", {})
    module = names.get("__name__") or "<string>"  # without a name of a module there would be no warning at all
    warnings.warn_explicit(message, category, frame.f_code.co_filename, frame.f_lineno, module, registry)


def is_fleeting(receiver: Any, count: int, frame: FrameType) -> bool:
    """Whether those who connect a receiver just now are the only ones to hold what it needs: itself, and the object of a bound method.

    `count` is the reference count of the receiver in a function that was called with it.
    """
    kind: Any = type(receiver)  # pyright: ignore[reportUnknownVariableType]
    if count > _PASSED or (hasattr(kind, "__self__") and _count_of_object(receiver) > BOUND):
        return False
    # From 3.14 on a call borrows references that are in variables of the caller, and they do not count.
    return sys.version_info < (3, 14) or not _on_the_stack(receiver, frame)


def _on_the_stack(receiver: Any, frame: FrameType | None) -> bool:
    while frame is not None:
        if any(value is receiver for value in list(frame.f_locals.values())):
            return True
        frame = frame.f_back
    return False


class _Probe:
    def method(self) -> None: ...


def _count(receiver: Any) -> int:
    return sys.getrefcount(receiver)


def _count_of_object(receiver: Any) -> int:
    obj = receiver.__self__
    return sys.getrefcount(obj)


_PASSED: Final = _count(_Probe().method)  # the count of a method that nobody else holds; versions of Python differ
