"""What a tree node knows of its parent and its children, where that is kept, and the one step that changes it.

A node owns its children through its record here, and has its parent by a weak reference: there is no cycle, and what nobody holds is freed
by reference count alone.

The record lies in the node's `__dict__`, or in a slot where its class declares one. That of a node with neither is held by a set until the
node dies, and is found among the node's own weak references.

Everything is checked first, with the lock held. The change itself is three plain stores, between which the interpreter with a GIL lets no
other thread, no signal handler and no collection run; without a GIL the lock is enough. What the collector does in the middle of the checks
may change trees too: then they start again.
"""

from __future__ import annotations

import weakref
from itertools import compress, count, repeat
from operator import is_
from types import MemberDescriptorType
from typing import TYPE_CHECKING, Any, Final

from safemem._graph import class_of
from safemem.core import new_lock
from safemem.core._weakable import check_weakable

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "Kin",
    "adopt",
    "append_homeless",
    "children_of",
    "describe",
    "find_kin",
    "kin_of",
    "leave",
    "lineage",
    "parent_of",
    "refuse_circles",
]

write: Final = object.__setattr__


def _nothing() -> None:
    """Stand in for a record in the copy or pickle of a `__dict__`: what lies there belongs to the original alone."""


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
        return _nothing, ()


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


def _the_lock() -> Any:
    """Return the lock of all structure changes, made with the first one: importing changes nothing in the process."""
    global _lock  # noqa: PLW0603
    made = new_lock()
    if _lock is None:
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
    with _lock or _the_lock():
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
    with _lock or _the_lock():
        while True:
            seen = structure.changes
            line = [node]
            while (above := parent_of(line[-1])) is not None:
                line.append(above)
            looked_at += line
            if structure.changes == seen:
                return line


# -- changes ------------------------------------------------------------------------------------------------------------------------------


def adopt(node: Any, child: Any, index: int | None = None) -> None:
    """Make a node a child of another one, in one step, wherever it was; ValueError if it is that other one or an ancestor of it.

    `index` is its place among the other children, as for `list.insert`; None is the end.
    """
    home, kin = kin_of(node), kin_of(child)
    only = [child]
    looked_at: list[Any] = []
    with _lock or _the_lock():
        while True:
            seen = structure.changes
            if kin.children or child is node:
                line = lineage(node)
                looked_at.append(line)
                _refuse_circle(line, child)
            siblings = home.children if home.children is not none else first(home, node)
            old = None if kin.parent is None else kin.parent()
            looked_at.append(old)
            if old is None:
                left, place = [child], 0
                at = _clamp(index, len(siblings))
            else:
                left = kin_of(old).children
                place = _place_of(child, left)
                at = _clamp(index, len(siblings) - (left is siblings))
                if left is siblings and at <= place:
                    place += 1
                elif left is siblings:
                    at += 1
            gap = slice(at, at)
            if structure.changes == seen:
                break
        structure.changes = seen + 1
        siblings[gap] = only
        del left[place]
        kin.parent = home.here


def first(home: Kin, node: Any) -> list[Any]:
    """Make a record ready for its first child."""
    here = weakref.ref(node)
    made: list[Any] = []
    if home.children is none:
        home.here = here
        home.children = made
    return home.children


def append_homeless(node: Any, child: Any) -> bool:
    """Make a node that never had a parent nor a child, and has no place for its record, the last child; False if that does not hold."""
    new = Kin(child, forget)
    new.children = none
    new.parent = None
    only = [child]
    for home in weakref.getweakrefs(node):
        if type(home) is Kin and home in homeless:
            break
    else:
        home = kin_of(node)
    siblings = home.children if home.children is not none else first(home, node)
    seen = structure.changes
    if weakref.getweakrefcount(child) > 1 or child is node:  # it has a record, or somebody is just making one
        return False
    if structure.changes != seen:
        return False
    homeless.add(new)  # no call since the counter was looked at: nobody else has made a record meanwhile
    if new.parent is not None or new.children is not none:  # type: ignore[redundant-expr] # another thread was quicker
        return False
    structure.changes += 1
    siblings += only
    new.parent = home.here
    return True


def leave(child: Any, node: Any = None) -> bool:
    """Take a node from its parent, in one step; return whether it had one, or whether it was `node` if that is given."""
    kin = find_kin(child)
    if kin is None:
        return False
    looked_at: list[Any] = []
    with _lock or _the_lock():
        while True:
            seen = structure.changes
            old = None if kin.parent is None else kin.parent()
            looked_at.append(old)
            if old is None or (node is not None and old is not node):
                return False
            siblings = kin_of(old).children
            place = _place_of(child, siblings)
            if structure.changes == seen:
                break
        structure.changes = seen + 1
        del siblings[place]
        kin.parent = None
        return True


def refuse_circles(node: Any, children: Iterable[Any]) -> None:
    """Raise ValueError if any of them is the node itself or an ancestor of it."""
    line = lineage(node)
    for child in children:
        _refuse_circle(line, child)


def _refuse_circle(line: list[Any], child: Any) -> None:
    if any(map(is_, line, repeat(child))):
        what = "itself" if child is line[0] else "an ancestor of it"
        msg = f"a child of {describe(line[0])} must not be {what}, got {describe(child)}"
        raise ValueError(msg)


def _place_of(child: Any, siblings: list[Any]) -> int:
    """Return where the child is, by identity: the two ends first, then all of them, at the speed of the interpreter's own loops.

    -1 if it is not here: it has left just now, and whoever asked will find that the trees have changed.
    """
    if siblings and siblings[-1] is child:
        return len(siblings) - 1
    if siblings and siblings[0] is child:
        return 0
    return next(compress(count(), map(is_, siblings, repeat(child))), -1)


def _clamp(index: int | None, length: int) -> int:
    """Return the place that an index means to `list.insert`; None is the end."""
    if index is None:
        return length
    return max(0, index + length) if index < 0 else min(index, length)


def describe(node: object) -> str:
    """Return what an object is, without its own repr, which may go through the whole tree."""
    return f"<{type(node).__qualname__} object at {id(node):#x}>"
