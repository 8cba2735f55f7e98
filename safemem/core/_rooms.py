"""Whether a class may still get room in its nodes for what they know of their tree: not if there are nodes without it already."""

from __future__ import annotations

from typing import Any

__all__ = ["is_unused"]

_TRUSTED = {"safemem", "builtins", "functools", "typing", "abc"}  # whose hooks make no instance of a class that is just being made


def is_unused(cls: type, base: type) -> bool:
    """Whether a class that is just being made has no instances; `base` is the one whose `__init_subclass__` asks.

    Hooks that were called before may have made some: `__set_name__` of what is in the class, and the `__init_subclass__` of other bases.
    Only where there is such a hook, all objects are looked at.
    """
    before = cls.__mro__[1 : cls.__mro__.index(base)]
    hooks: list[Any] = [other for other in before if "__init_subclass__" in vars(other)]
    kinds: list[Any] = [*map(type, vars(cls).values())]
    hooks += [kind for kind in kinds if hasattr(kind, "__set_name__")]
    if all(hook.__module__ in _TRUSTED for hook in hooks):
        return True
    import gc

    return not any(type(obj) is cls for obj in gc.get_objects())
