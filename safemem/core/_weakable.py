"""The refusal of objects that cannot be weakly referenced: whose it is, and what to do."""

from __future__ import annotations

__all__ = ["check_weakable", "unweakable"]


def unweakable(role: str, obj: object) -> TypeError:
    """Return the error for an object that was to be held weakly; `role` says what it was to be."""
    cls = type(obj)
    name = cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"
    return TypeError(
        f"{role} must be something that can be weakly referenced, got an object of type {name}: add '__weakref__' to the __slots__ of its class"
        " (weakref_slot=True for a dataclass), or put an object of a builtin type into one of a class of your own"
    )


def check_weakable(role: str, obj: object) -> None:
    """Raise TypeError unless the object can be weakly referenced."""
    if not type(obj).__weakrefoffset__:
        raise unweakable(role, obj)
