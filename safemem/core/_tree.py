"""Trees in plain Python: the one step that changes them, and the hot protocol of a node. The reference for the compiled core, and complete.

Everything is checked first, with the lock held. The change itself is three plain stores, between which the interpreter with a GIL lets no
other thread, no signal handler and no collection run; without a GIL the lock is enough. What the collector does in the middle of the checks
may change trees too: then they start again.
"""

from __future__ import annotations

import weakref
from itertools import compress, count, repeat
from operator import is_
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import ref

from safemem._compat import GIL_DISABLED
from safemem.core._kin import (
    Kin,
    children_of,
    find_kin,
    forget,
    homeless,
    keep_shell,
    kin_of,
    lineage,
    make_room,
    none,
    parent_of,
    shell_of,
    structure,
    the_lock,
    write,
)
from safemem.core._kinwords import circle, no_node, twice

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "TreeCore",
    "adopt",
    "adopt_all",
    "children_of",
    "keep_shell",
    "leave",
    "lineage",
    "make_room",
    "parent_of",
    "set_parent",
    "shell_of",
]


class TreeCore:
    """The hot protocol of a node: `append`. The rest are functions, for properties to be made of."""

    __slots__ = ()

    _safemem_tree: ClassVar[Any]

    def append(self, child: Any) -> None:
        """Make a node the last child, wherever it was before.

        ValueError if it is this node or one of its ancestors, TypeError if it is no node.
        """
        if not isinstance(child, TreeCore):
            no_node("child", child)
        # The short way for a node that never had a parent nor a child. It takes no lock: the last steps need none, as said above.
        try:
            home: Any = self._safemem_tree
            if child._safemem_tree is None and home and home() is self:
                if home.children is none:
                    here: ref[Any] = ref(self)
                    made: list[Any] = []
                    if home.children is none:  # still
                        home.here = here
                        home.children = made
                siblings = home.children
                new = Kin(child)
                new.children = none
                new.parent = None
                only = [child]
                if child._safemem_tree is None:  # still: no other thread was quicker, nor a finaliser that ran just now
                    write(child, "_safemem_tree", new)
                    if new.parent is None and new.children is none:  # type: ignore[redundant-expr] # still
                        structure.changes += 1
                        siblings += only
                        new.parent = home.here
                        return
            elif child._safemem_tree is False and append_homeless(self, child):
                return
        except (AttributeError, TypeError):  # an empty slot, or one that cannot be weakly referenced
            pass
        adopt(self, child)

    if GIL_DISABLED and not TYPE_CHECKING:

        def append(self, child: Any) -> None:
            """Make a node the last child, wherever it was before.

            ValueError if it is this node or one of its ancestors, TypeError if it is no node.
            """
            if not isinstance(child, TreeCore):
                no_node("child", child)
            adopt(self, child)


def adopt(node: Any, child: Any, index: int | None = None) -> None:
    """Make a node a child of another one, in one step, wherever it was; ValueError if it is that other one or an ancestor of it.

    `index` is its place among the other children, as for `list.insert`; None is the end.
    """
    home, kin = kin_of(node), kin_of(child)
    only = [child]
    looked_at: list[Any] = []
    with the_lock():
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


def adopt_all(node: Any, children: Iterable[Any]) -> None:
    """Make nodes the last children of another one; what must not be one is found before any of them moves."""
    new = list(children)
    for child in new:
        if not isinstance(child, TreeCore):
            no_node("child", child)
    if len(set(map(id, new))) < len(new):
        twice(len(new))
    line = {id(above): above for above in lineage(node)}
    for child in new:
        if id(child) in line:
            circle(node, child)
    own, place = _bring_to_the_end(node, new)
    if own:
        for at, child in enumerate(new, place):
            if id(child) not in own:
                adopt(node, child, at)
    else:
        for child in new:
            TreeCore.append(node, child)


def _bring_to_the_end(node: Any, new: list[Any]) -> tuple[set[int], int]:
    """Make those that are children already the last ones, in one step; return which ones they are, and where the first one is now."""
    home = find_kin(node)
    own: set[int] = set()
    if home is None or home.children is none:
        return own, 0
    numbers = {*map(id, new)}
    with the_lock():
        while True:
            seen = structure.changes
            siblings = [*home.children]
            rest = [child for child in siblings if id(child) not in numbers]
            own = numbers.intersection(map(id, siblings))
            ordered = rest + [child for child in new if id(child) in own]
            if structure.changes == seen:
                break
        structure.changes = seen + 1
        home.children[:] = ordered
    return own, len(rest)


def set_parent(node: Any, parent: Any) -> None:
    """Make a node the last child of another one, unless it is below it already; None detaches."""
    if parent is None:
        leave(node)
    elif not isinstance(parent, TreeCore):
        no_node("parent", parent, " or None")
    elif parent_of(node) is not parent:
        TreeCore.append(parent, node)


def leave(child: Any, node: Any = None) -> bool:
    """Take a node from its parent, in one step; return whether it had one, or whether it was `node` if that is given."""
    kin = find_kin(child)
    if kin is None:
        return False
    looked_at: list[Any] = []
    with the_lock():
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


def _refuse_circle(line: list[Any], child: Any) -> None:
    if any(map(is_, line, repeat(child))):
        circle(line[0], child)


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
