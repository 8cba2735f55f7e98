"""What a tree node knows of its parent and its children, and where that is kept: the reference for the compiled core.

A node owns its children through its record here, and has its parent by a weak reference: there is no cycle, and what nobody holds is freed
by reference count alone.

The record lies in the node's `__dict__`, or in a slot where its class declares one. That of a node with neither is held by a set until the
node dies, and is found among the node's own weak references.
"""

from __future__ import annotations

import weakref
from types import MemberDescriptorType
from typing import Any, Final

from safemem._graph import class_of
from safemem.core._kinwords import nothing
from safemem.core._locks import new_lock
from safemem.core._weakable import check_weakable

__all__ = [
    "Kin",
    "children_of",
    "find_kin",
    "forget",
    "homeless",
    "keep_shell",
    "kin_of",
    "lineage",
    "make_room",
    "none",
    "parent_of",
    "shell_of",
    "structure",
    "the_lock",
    "write",
]

write: Final = object.__setattr__


class Kin(weakref.ref[Any]):
    """The record of one node, to which it is a weak reference itself: a record in a copied `__dict__` is known not to be the copy's."""

    __slots__ = ("children", "here", "parent", "shell")

    children: list[Any]  # shared by all who have none, until the first one comes
    here: weakref.ref[Any]  # the plain reference that the children have; made with the first child
    parent: weakref.ref[Any] | None
    shell: weakref.ref[Any]  # what the node is in a pickle that is just being written

    # Nodes are never compared, nor is their hash asked for.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __reduce__(self) -> tuple[Any, ...]:
        return nothing, ()


class _Structure:
    """What is common to all trees: how many changes there were, new records among them."""

    __slots__ = ("changes",)

    def __init__(self) -> None:
        self.changes = 0


structure: Final = _Structure()
none: Final[list[Any]] = []  # the children of those who have none
homeless: Final[set[Kin]] = set()  # records of nodes that have no place for them
forget: Final = homeless.discard  # the interpreter's own: no lock is taken and no Python code runs when a node dies
_lock: Any = None


def the_lock() -> Any:
    """Return the lock of all structure changes, made with the first one: importing changes nothing in the process."""
    global _lock  # noqa: PLW0603
    if _lock is None:
        made = new_lock()
        if _lock is None:  # still
            _lock = made
    return _lock


# -- records ------------------------------------------------------------------------------------------------------------------------------


def find_kin(node: Any) -> Kin | None:
    """Return the record of a node, or None if it never had a parent or a child."""
    try:
        kin = node._safemem_tree
    except AttributeError:  # a slot that is empty
        return None
    if kin is None and type(node).__dictoffset__:
        return None
    if type(kin) is Kin and kin() is node:
        return kin
    for ref in weakref.getweakrefs(node):
        if type(ref) is Kin and ref in homeless:
            return ref
    return None


def kin_of(node: Any) -> Kin:
    """Return the record of a node, made if it has none; TypeError if the node cannot be weakly referenced."""
    return find_kin(node) or _make_kin(node)


def _make_kin(node: Any) -> Kin:
    check_weakable("a tree node", node)
    with _lock or the_lock():
        at_home = _has_home(node)
        kin = Kin(node) if at_home else Kin(node, forget)
        kin.children = none
        kin.parent = None
        while True:
            seen = structure.changes
            made = find_kin(node)  # by another thread, or by a finaliser that ran just now
            if made is not None:
                return made
            if structure.changes == seen:
                break
        structure.changes = seen + 1
        if at_home:
            write(node, "_safemem_tree", kin)
        else:
            homeless.add(kin)
        return kin


def _has_home(node: Any) -> bool:
    """Whether the node has a `__dict__` or a slot for its record."""
    cls: Any = class_of(node)
    return cls.__dictoffset__ != 0 or type(cls._safemem_tree) is MemberDescriptorType


def children_of(node: Any) -> tuple[Any, ...]:
    """Return the children as they are now."""
    kin = find_kin(node)
    return () if kin is None else tuple(kin.children)


def parent_of(node: Any) -> Any:
    """Return the parent, or None if there is none or it is dead."""
    kin = find_kin(node)
    ref = None if kin is None else kin.parent
    return None if ref is None else ref()


def lineage(node: Any) -> list[Any]:
    """Return the node and its ancestors, the root last, as they were at one moment."""
    looked_at: list[Any] = []  # and let go of when the lock is free
    with _lock or the_lock():
        while True:
            seen = structure.changes
            line = [node]
            while (above := parent_of(line[-1])) is not None:
                line.append(above)
            looked_at += line
            if structure.changes == seen:
                return line


# -- for copies and classes ---------------------------------------------------------------------------------------------------------------


def shell_of(node: Any) -> Any:
    """Return what the node is in a pickle that is just being written, or None."""
    ref = getattr(find_kin(node), "shell", None)
    return None if ref is None else ref()


def keep_shell(node: Any, shell: Any) -> None:
    """Have a node known as something in a pickle for as long as that lives; it has children, or had some."""
    kin = find_kin(node)
    if kin is not None:
        kin.shell = weakref.ref(shell)


def make_room(cls: type) -> None:
    """Prepare a class of nodes that has just been made. Here there is nothing to do: the compiled core makes room for the record."""
