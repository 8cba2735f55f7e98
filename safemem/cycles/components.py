"""Which objects among many hold each other in a circle, and how: by identity, without running any code of theirs."""

from __future__ import annotations

import gc
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from safemem._compat import is_tracing
from safemem._graph import attributes_of, class_of, edges, is_of_class_statement, mro_of, namespace_of, type_name

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["circles_in", "is_instance", "ways_round", "without_namespaces"]


def is_instance(obj: object, classes: Iterable[type]) -> bool:
    """Whether the object's class is one of these or inherits from one, whatever they have to say about it themselves."""
    mro = mro_of(type(obj))
    return any(cls is base for cls in classes for base in mro)


def circles_in(objects: Iterable[Any]) -> list[list[Any]]:
    """Return the strongly connected components that are circles, without those of classes: every class is one, and its functions lead to it.

    What is left of the making of a class is not counted either.
    """
    nodes = {id(obj): obj for obj in objects if not is_instance(obj, (type,))}
    below = {number: [id(other) for other in gc.get_referents(obj) if id(other) in nodes] for number, obj in nodes.items()}
    circles = [[nodes[number] for number in group] for group in _components(below) if len(group) > 1 or group[0] in below[group[0]]]
    return [circle for circle in circles if not any(map(_makes_classes, circle))]


def _makes_classes(obj: object) -> bool:
    cls = type(obj)
    return type_name(obj) == "_ClassBuilder" and namespace_of(cls).get("__module__") == "attr._make"


def _components(below: dict[int, list[int]]) -> list[list[int]]:
    """Tarjan's algorithm ("Depth-first search and linear graph algorithms", 1972), with a stack of its own instead of recursion."""
    order: dict[int, int] = {}
    lowest: dict[int, int] = {}
    open_: list[int] = []
    is_open: set[int] = set()
    found: list[list[int]] = []
    for start, nearest in below.items():
        if start in order:
            continue
        work = [(start, iter(nearest))]
        order[start] = lowest[start] = len(order)
        open_.append(start)
        is_open.add(start)
        while work:
            node, rest = work[-1]
            for other in rest:
                if other not in order:
                    order[other] = lowest[other] = len(order)
                    open_.append(other)
                    is_open.add(other)
                    work.append((other, iter(below[other])))
                    break
                if other in is_open:
                    lowest[node] = min(lowest[node], order[other])
            else:
                work.pop()
                if work:
                    lowest[work[-1][0]] = min(lowest[work[-1][0]], lowest[node])
                if lowest[node] == order[node]:
                    place = _last_place(open_, node)
                    found.append(open_[place:])
                    is_open.difference_update(open_[place:])
                    del open_[place:]
    return found


def _last_place(numbers: list[int], number: int) -> int:
    place = len(numbers) - 1
    while numbers[place] != number:
        place -= 1
    return place


# -- in words ------------------------------------------------------------------------------------------------------------------------------

_LOOKED_AT: Final = 500  # objects of one circle whose edges are looked at
_CONTAINERS: Final = {*map(id, (dict, list, tuple, set))}  # by address: a class may have a metaclass that says what its hash is


def without_namespaces(circle: list[Any]) -> list[Any]:
    """Return the objects without the dicts that only hold the attributes of others among them."""
    dicts = {id(obj) for obj in circle if class_of(obj) is dict}
    if dicts:
        dicts.intersection_update(id(namespace) for obj in circle if (namespace := attributes_of(obj)) is not None)
    return [obj for obj in circle if id(obj) not in dicts]


def ways_round(circle: list[Any], limit: int) -> list[tuple[str, str | None]]:
    """Return short ways round a circle in words, each with the line where its first object was made if `tracemalloc` knows.

    The first is one through an object of a class that is not built in, if there is any; others show edges that those before did not.
    """
    inside = {id(obj): obj for obj in circle}
    ranked = sorted(without_namespaces(circle), key=_rank)[:_LOOKED_AT]
    ways: list[tuple[str, str | None]] = []
    shown: set[str] = set()
    for obj in ranked:
        for label, target in _steps(obj, inside):
            if len(ways) >= limit:
                return ways
            edge = _edge(obj, label)
            if edge in shown:
                continue
            steps = [(obj, label), *_path(target, obj, inside)]
            shown.update(_edge(each, how) for each, how in steps)
            words = "".join(f"{type_name(each)}{how} -> " for each, how in steps)
            ways.append((f"{words}the same {type_name(obj)}", _origin(each for each, _ in steps)))
    return ways


def _rank(obj: Any) -> int:
    if is_of_class_statement(obj):
        return 0
    return 2 if id(class_of(obj)) in _CONTAINERS else 1


def _edge(obj: Any, label: str) -> str:
    return f"{type_name(obj)}{'[...]' if label.startswith('[') else label}"


def _steps(obj: Any, inside: dict[int, Any]) -> list[tuple[str, Any]]:
    """Return the edges that stay inside, with their names; those that have none come last."""
    steps = [(label, target) for label, target in edges(obj) if id(target) in inside]
    known = {id(target) for _, target in steps}
    rest = [target for target in gc.get_referents(obj) if id(target) in inside and id(target) not in known]
    if known:  # what leads there by name need not be shown as the dict of the attributes too
        rest = [target for target in rest if type(target) is not dict]
    return steps + [(" refers to", target) for target in rest]


def _path(start: Any, end: Any, inside: dict[int, Any]) -> list[tuple[Any, str]]:
    """Return a shortest way from one object to another, as objects and the edges by which they are left."""
    came_from: dict[int, tuple[Any, str]] = {}
    queue = deque([start])
    seen = {id(start)}
    while queue and id(end) not in seen:
        obj = queue.popleft()
        for label, target in _steps(obj, inside):
            if id(target) not in seen:
                seen.add(id(target))
                came_from[id(target)] = (obj, label)
                queue.append(target)
    way: list[tuple[Any, str]] = []
    at = end
    while at is not start and id(at) in came_from:
        at, label = came_from[id(at)]
        way.append((at, label))
    return way[::-1]


def _origin(objects: Iterable[Any]) -> str | None:
    """Return the line that made the first of them that `tracemalloc` knows of."""
    if is_tracing():
        import tracemalloc

        for obj in objects:
            traceback = tracemalloc.get_object_traceback(obj)
            if traceback is not None:
                return f"{traceback[-1].filename}:{traceback[-1].lineno}"
    return None
