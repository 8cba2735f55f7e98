"""Copies and pickles of trees: flat, however deep the tree is, and complete below the node that is copied, with nothing from above.

A node with children is written into a pickle as its shell, which is the node without its place in the tree, followed by the shells of all
below it and by how many children each has. Shells are the same objects for as long as a pickle is being written, so that a node which is
met again, in a list beside its root or as an attribute of another node, is the same node again.
"""

from __future__ import annotations

import copyreg
from copy import deepcopy
from functools import partial
from operator import index as to_index
from operator import is_
from typing import TYPE_CHECKING, Any

from safemem._graph import class_of
from safemem.core.trees import children_of, keep_shell, leave, shell_of
from safemem.cycles.traversal import shape

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import SupportsIndex

__all__ = ["bare", "deep", "shallow", "with_all_below"]

base: Any = object  # TreeNode, when it is there
_super: Any = super
_HOME = "_safemem_tree"


# -- one node without its place ------------------------------------------------------------------------------------------------------------


def bare(node: Any, protocol: SupportsIndex) -> Any:
    """Return how the node would be made anew if it were in no tree: what the next class in line says, without the record."""
    how = _super(base, node).__reduce_ex__(max(2, to_index(protocol)))  # the older way refuses whoever has __slots__ among its bases
    if isinstance(how, str):
        return how
    if len(how) > 2:
        how = (*how[:2], _without_record(how[2]), *how[3:])
    if hasattr(class_of(node), "_safemem_disposal"):  # a Disposable: if that comes first among the bases, it was not asked
        from safemem.cycles.disposable import as_copy

        return as_copy(how)
    return how


def _is(obj: Any, kind: type) -> bool:
    return type(obj) is kind


def _without_record(state: Any) -> Any:
    if _is(state, dict) and _HOME in state:
        return {name: value for name, value in state.items() if name != _HOME} or None
    if _is(state, tuple) and len(state) == 2:
        return tuple(map(_without_record, state))
    return state


def shallow(node: Any) -> Any:
    """Return a copy that shares the node's attributes, in no tree."""
    how = bare(node, 4)
    return node if isinstance(how, str) else _made(node, how, None)


def _made(node: Any, how: tuple[Any, ...], memo: dict[int, Any] | None) -> Any:
    """Return a copy, deep if there is a memo, as `copy` would make it."""
    parts: tuple[Any, ...] = (*how, None, None, None, None)
    func, args, state, items, pairs, setter = parts[:6]
    copy: Callable[[Any], Any] = _itself if memo is None else partial(deepcopy, memo=memo)
    made = func(*map(copy, args))
    if memo is not None:
        memo[id(node)] = made
        memo.setdefault(id(memo), []).append(node)  # as `copy` does: no other object gets that id meanwhile
    if state is not None:
        _restore(made, copy(state), setter)
    for item in items or ():
        made.append(copy(item))
    for key, value in pairs or ():
        made[copy(key)] = copy(value)
    return made


def _pairs(mapping: Any) -> list[tuple[str, Any]]:
    return [*mapping.items()] if mapping else []


def _itself(part: Any) -> Any:
    return part


def _restore(made: Any, state: Any, setter: Any) -> None:
    if setter is not None:
        setter(made, state)
    elif hasattr(made, "__setstate__"):
        made.__setstate__(state)
    else:
        names, slots = state if _is(state, tuple) and len(state) == 2 else (state, None)
        if names:
            made.__dict__.update(names)
        for name, value in _pairs(slots):
            setattr(made, name, value)


# -- a node and all below it ----------------------------------------------------------------------------------------------------------------


def deep(top: Any, memo: dict[int, Any]) -> Any:
    """Return deep copies of a node and all below it, linked to each other."""
    nodes, counts = shape(top)
    made: list[Any] = []
    for node in nodes:
        copy = memo.get(id(node))  # one that an attribute of an earlier one referred to is there
        if copy is None:
            how = bare(node, 4)
            copy = node if isinstance(how, str) else _made(node, how, memo)
        made.append(copy)
    link(made[0], (made[1:], counts))
    return made[0]


def with_all_below(top: Any) -> tuple[Any, ...]:
    """Return for `pickle` how a node with children is made anew with all below it."""
    nodes, counts = shape(top)
    shells = [node if not count else _shell_of(node) for node, count in zip(nodes, counts, strict=True)]
    shells[0] = _shell_of(top)
    # What is below goes into the state: the node is known to the pickle by then, and what refers to it up from there finds it.
    return _the_node, (shells[0],), (shells[1:], counts), None, None, link


class Shell:
    """A node without its place in the tree, for a pickle."""

    __slots__ = ("__weakref__", "node")

    def __init__(self, node: Any) -> None:
        self.node = node

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> Any:
        how = bare(self.node, protocol)
        if isinstance(how, str):
            return how
        # The two functions by their own names are for objects of the class that they make, which a shell is not.
        if how[0] is copyreg.__newobj__:  # type: ignore[attr-defined]
            return (_new, *how[1:])
        if how[0] is copyreg.__newobj_ex__:  # type: ignore[attr-defined]
            return (_new_with_keywords, *how[1:])
        return how


def _new(cls: Any, *args: Any) -> Any:
    return cls.__new__(cls, *args)


def _new_with_keywords(cls: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return cls.__new__(cls, *args, **kwargs)


def _the_node(node: Any) -> Any:
    """Return what a shell has become."""
    return node


def _shell_of(node: Any) -> Shell:
    shell: Shell | None = shell_of(node)
    if shell is None:
        shell = Shell(node)
        keep_shell(node, shell)
    return shell


def link(top: Any, below: tuple[list[Any], list[int]]) -> None:
    """Give a node and all below it the children that `shape` tells of, and no others."""
    nodes, counts = below
    families: list[tuple[Any, list[Any]]] = []
    stack: list[tuple[list[Any], int]] = []
    for count, node in zip(counts, (top, *nodes), strict=True):
        while stack and len(stack[-1][0]) == stack[-1][1]:
            stack.pop()
        if stack:
            stack[-1][0].append(node)
        children: list[Any] = []
        families.append((node, children))
        stack.append((children, count))
    for node, children in reversed(families):  # from below: whoever gets children has nobody above yet in whom a circle would be looked for
        _settle(node, children)


def _settle(node: Any, children: list[Any]) -> None:
    there = children_of(node)
    if len(there) == len(children) and all(map(is_, there, children)):  # linked already, as part of something else
        return
    for child in reversed(there):  # that its own class has given it
        leave(child, node)
    for child in children:
        base.append(node, child)
