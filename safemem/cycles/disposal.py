"""What a Disposable knows of itself: whether it is open, what it owns, which process made it, and where."""

from __future__ import annotations

import os
import sys
import warnings
from types import MethodType
from typing import Any, Final

from safemem._compat import is_tracing
from safemem._graph import held_by
from safemem.errors import CycleWarning

__all__ = ["Disposal", "Owned", "disposal_of", "find_disposal", "new_disposal", "place_of_creation", "take_leave"]

_write: Final = object.__setattr__


def _nothing() -> None:
    """Stand in for the state in the copy or pickle of a `__dict__`: what lies there belongs to the original alone."""


class Disposal:
    """The state of one object."""

    __slots__ = ("armed", "closed", "owned", "owner", "place", "process", "ticket")

    def __init__(self, owner: object, place: str | None, *, armed: bool) -> None:
        self.owner = id(owner)  # the one in a copied __dict__ is known not to be the copy's
        self.process = os.getpid()
        self.place = place
        self.armed = armed  # whether being collected open means anything
        self.closed = False
        self.ticket: list[None] = [None]  # whoever takes it closes; taking is one step of the interpreter
        self.owned: list[Owned] = []

    def take(self) -> bool:
        """Return whether the caller is the one who closes."""
        try:
            self.ticket.pop()
        except IndexError:
            return False
        return True

    def __reduce__(self) -> tuple[Any, ...]:
        return _nothing, ()


_homeless: Final[dict[int, Disposal]] = {}  # of objects that have no place for it, by address, until the object dies


def find_disposal(owner: Any) -> Disposal | None:
    """Return the state of an object, or None if it has none yet."""
    try:
        state = owner._safemem_disposal
    except AttributeError:  # a slot that is empty
        return None
    if state is None:
        state = _homeless.get(id(owner))
    return state if type(state) is Disposal and state.owner == id(owner) else None


def disposal_of(owner: Any) -> Disposal:
    """Return the state of an object; a copy, which was not made by its constructor, gets one of its own."""
    return find_disposal(owner) or new_disposal(owner, None, armed=False)


def new_disposal(owner: Any, place: str | None, *, armed: bool) -> Disposal:
    """Give an object a new state and return it."""
    state = Disposal(owner, place, armed=armed)
    try:
        _write(owner, "_safemem_disposal", state)
    except AttributeError:
        _homeless[id(owner)] = state
    return state


def take_leave(owner: object) -> None:
    """Let go of the state of an object that dies."""
    _homeless.pop(id(owner), None)


# -- what is owned -------------------------------------------------------------------------------------------------------------------------


class Owned:
    """One thing that is closed with its owner, and the way to do it."""

    __slots__ = ("at_once", "later", "of_owner", "resource")

    def __init__(self, owner: object, resource: Any) -> None:
        if resource is owner:
            msg = "an object cannot own itself"
            raise ValueError(msg)
        self.at_once, self.later = _ways(resource)
        self.of_owner = type(resource) is MethodType and resource.__self__ is owner
        self.resource = resource.__func__ if self.of_owner else resource  # else owner and method would hold each other
        place = None if self.of_owner else held_by(resource, owner)
        if place is not None:
            msg = (
                f"what the {type(owner).__name__} object is to own keeps that object alive ({place}), so that it is never freed unless it is"
                " closed: own the thing itself, or a method of the owner"
            )
            warnings.warn(msg, CycleWarning, stacklevel=3)

    def is_for(self, resource: Any) -> bool:
        """Whether this is the one made for that resource, by identity."""
        if self.of_owner:
            return type(resource) is MethodType and resource.__func__ is self.resource
        return self.resource is resource

    def close(self, owner: object) -> Any:
        """Close it; return what is to be awaited, or None."""
        done = self.resource(owner) if self.of_owner else _call(self.resource, self.at_once)
        return done if hasattr(done, "__await__") else None

    def aclose(self) -> Any:
        """Return what is to be awaited to close it."""
        return _call(self.resource, self.later)


def _call(resource: Any, way: str) -> Any:
    if way == "()":
        return resource()
    method = getattr(resource, way)
    return method() if way in {"close", "aclose"} else method(None, None, None)


def _ways(resource: Any) -> tuple[str, str]:
    """Return how a resource is closed, synchronously and asynchronously, "" where it is not; TypeError if neither is known."""
    if not isinstance(resource, type):
        at_once = next((name for name in ("close", "__exit__") if callable(getattr(resource, name, None))), "")
        later = next((name for name in ("aclose", "__aexit__") if callable(getattr(resource, name, None))), "")
        if not at_once and not later and callable(resource):
            at_once = "()"
        if at_once or later:
            return at_once, later
    msg = f"resource must have close() or aclose(), be a context manager, or be a function to call, got {resource!r}"
    raise TypeError(msg)


# -- the place of creation -----------------------------------------------------------------------------------------------------------------

_known_filters: list[Any] = []
_warned_of = False


def place_of_creation() -> str | None:
    """Return the line that calls the constructor, if anybody may ever read it: if ResourceWarning is shown, or tracemalloc is on."""
    global _known_filters, _warned_of  # looking through the filters once is enough
    filters: Any = getattr(warnings, "_get_filters", _plain_filters)()  # each context has its own since 3.14
    if filters != _known_filters:
        _known_filters, _warned_of = [*filters], _is_shown(filters)
    if not _warned_of and not is_tracing():
        return None
    frame = sys._getframe(2)
    while frame.f_code.co_name == "__new__" and frame.f_back is not None:
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _plain_filters() -> Any:
    return warnings.filters


def _is_shown(filters: Any) -> bool:
    for action, message, category, module, line in filters:
        if issubclass(ResourceWarning, category):
            if action != "ignore":
                return True
            if message is None and module is None and line == 0:
                return False
    return True
