"""One forward walk from the roots to everything that is asked for; what no root leads to is looked at from behind."""

from __future__ import annotations

import atexit
import gc
from contextvars import Context
from types import FrameType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Final

from safemem._graph import class_of, mro_of, type_name
from safemem.leaks.frames import is_ours
from safemem.leaks.heap import find_paths
from safemem.leaks.names import edges_along
from safemem.leaks.report import RetentionPath
from safemem.leaks.roots import Root, Roots, gather

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Way", "in_words", "ways_to"]

_STEPS_BACK: Final = 12


class Way:
    """How a target is reached: the root, and the objects from there to the target, the target last. It keeps all of them alive."""

    __slots__ = ("nodes", "root")

    def __init__(self, root: Root, nodes: list[Any]) -> None:
        self.root = root
        self.nodes = nodes


def ways_to(targets: list[Any], *more: Root, avoid: Iterable[Any] = (), audit: Iterable[Any] = ()) -> list[Way | None]:
    """Return for each target the way from a root to it, None if there is none.

    `more` are roots that the caller knows of; `avoid` are objects that no way may pass: those of the audit itself that
    hold the targets. What only `audit` leads to is the audit's own, and has the root AUDIT.
    """
    roots = gather(*more)
    roots.add(Root(obj, AUDIT) for obj in audit)
    avoided = [*avoid, targets, roots, roots.words, roots.groups, *roots.groups]
    found = find_paths(roots.groups, targets, avoided)
    ways: list[Way | None] = [None if nodes is None else Way(roots.words[id(nodes[0])], nodes) for nodes in found]
    avoided += [found, ways]
    for place in range(len(targets)):  # by number: an iterator over them would be one more referrer
        if ways[place] is None:
            way = ways[place] = _way_from_behind(targets[place], roots, avoided)
            avoided += () if way is None else (way, way.nodes, way.root)
    return ways


def in_words(way: Way | None) -> RetentionPath | None:
    """Return the way as text, which keeps nothing alive."""
    if way is None:
        return None
    found = edges_along(way.root, way.nodes)
    return RetentionPath(found) if found else RetentionPath((), f"{way.root.source}{way.root.label}")


# -- from behind -----------------------------------------------------------------------------------------------------------------------------


def _way_from_behind(target: Any, roots: Roots, avoid: list[Any]) -> Way | None:
    """Climb from referrer to referrer until nobody refers to what has been reached: the interpreter or native code holds that."""
    nodes = [target]
    seen = {id(target)}
    unseen = {*map(id, avoid), id(nodes)}
    for _ in range(_STEPS_BACK):
        holders = gc.get_referrers(nodes[0])
        own = [place for place in range(len(holders)) if id(holders[place]) in unseen or _is_our_frame(holders[place])]
        others = [place for place in range(len(holders)) if place not in own and id(holders[place]) not in seen]
        circular = not others and len(holders) > len(own)
        if others:
            seen.add(id(holders[others[0]]))
            nodes.insert(0, holders[others[0]])
        holders.clear()
        if circular:
            return Way(Root(nodes[0], CIRCLE), nodes)
        if not others:
            return _way_from_unseen(nodes, roots)
    return None


def _is_our_frame(obj: Any) -> bool:
    return class_of(obj) is FrameType and is_ours(obj)


def _way_from_unseen(nodes: list[Any], roots: Roots) -> Way | None:
    known = roots.words.get(id(nodes[0]))
    if known is not None:
        return Way(known, nodes)
    words = _unseen_holder(nodes[0])
    return None if words is None else Way(Root(nodes[0], words, _LABELS.get(words, "")), nodes)


CIRCLE: Final = "a reference cycle that waits for the collector"
ATEXIT: Final = "atexit"
AUDIT: Final = "the audit"
CALLBACKS: Final = "the interpreter's list of callbacks (os.register_at_fork, codecs.register, sys.addaudithook)"
CONTEXT: Final = "the context of a thread or task"
NATIVE: Final = "native code (a reference that no Python object has)"
_LABELS: Final = {ATEXIT: " callback"}


def is_callable_object(obj: Any) -> bool:
    """Whether an object is a function, a method or a partial."""
    return class_of(obj) is FunctionType or class_of(obj) is MethodType or type_name(obj) in {"partial", "builtin_function_or_method"}


def _unseen_holder(obj: Any) -> str | None:
    """Say who may hold an object that no other object refers to."""
    if class_of(obj) is Context:
        return CONTEXT
    if class_of(obj) is list and obj and all(is_callable_object(item) for item in obj):
        return CALLBACKS
    if is_callable_object(obj) and atexit._ncallbacks():
        return ATEXIT
    return None if any(base is type for base in mro_of(class_of(obj))) else NATIVE
