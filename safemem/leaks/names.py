"""A path of objects in words: which attribute, key or variable leads from each to the next. No code of the objects is run."""

from __future__ import annotations

import _thread
import functools
import sys
from types import BuiltinFunctionType, CellType, CodeType, FrameType, FunctionType, MethodType, ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Final

from safemem._graph import attributes_of, class_of, edges, mro_of, namespace_of, type_name
from safemem.leaks.frames import locals_of, place_of
from safemem.leaks.report import Edge
from safemem.leaks.roots import Root, is_module

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["describe", "edges_along", "is_class", "key_words", "lru_bound", "step"]

_LRU: Final = type(functools.lru_cache(lambda: None))
_qualname: Final[Any] = type.__dict__["__qualname__"].__get__
_items: Any = vars(dict)["items"]
_get: Any = vars(dict)["get"]
_COUNTED: Final[tuple[Any, ...]] = (dict, list, set, frozenset, tuple)
_LENGTHS: Final[dict[int, Callable[[Any], int]]] = {id(cls): cls.__len__ for cls in _COUNTED}
_READABLE: Final = {*map(id, (str, bytes, int, float, bool, type(None)))}


def is_class(obj: object) -> bool:
    """Whether an object is a class, whatever it says."""
    return any(base is type for base in mro_of(class_of(obj)))


def describe(obj: Any) -> str:
    """Return a few words for an object: what it is, and its name if it has one of the interpreter's own."""
    kind = class_of(obj)
    if kind is FunctionType or kind is BuiltinFunctionType:
        return f"function {obj.__qualname__}"
    if kind is MethodType:
        return _describe_method(obj)
    if kind is FrameType:
        return f"frame of {place_of(obj)}"
    if kind is CodeType:
        return f"code of {obj.co_qualname}"
    if kind is _LRU:
        return _describe_lru(obj)
    if is_class(obj):
        return f"class {_qualname(obj)}"
    if is_module(obj):
        name = _get(attributes_of_module(obj), "__name__")
        return f"module {name}" if class_of(name) is str else "module"
    length = _LENGTHS.get(id(kind))
    return type_name(obj) if length is None else f"{type_name(obj)} of {length(obj)}"


def _describe_method(obj: Any) -> str:
    func = obj.__func__
    name = func.__qualname__ if class_of(func) is FunctionType else type_name(func)
    return f"method {name}"


def _describe_lru(obj: Any) -> str:
    name = _get(attributes_of(obj) or {}, "__qualname__")
    bound = lru_bound(obj)
    words = ", unbounded" if bound == 0 else f", maxsize={bound}"
    return f"lru_cache of {name}{words}" if class_of(name) is str else f"lru_cache{words}"


def lru_bound(obj: Any) -> int | None:
    """Return the bound of a `functools.lru_cache`, 0 if it has none; None for everything else."""
    if class_of(obj) is not _LRU:
        return None
    parameters = _get(attributes_of(obj) or {}, "cache_parameters")
    if class_of(parameters) is not FunctionType or parameters.__module__ != "functools":
        return 0
    found = parameters()["maxsize"]
    return found if class_of(found) is int else 0


def attributes_of_module(module: Any) -> dict[Any, Any]:
    """Return the dict of a module's attributes, whatever its class says."""
    space: Any = vars(ModuleType)["__dict__"].__get__(module)
    return space if class_of(space) is dict else {}


def key_words(key: Any) -> str:
    """Write a key of a dict: as it is if it is a plain value, else by its type."""
    text = repr(key) if id(class_of(key)) in _READABLE else f"<{type_name(key)}>"
    return f"{text[:60]}..." if len(text) > 60 else text


# -- steps -----------------------------------------------------------------------------------------------------------------------------------


def edges_along(root: Root | None, nodes: list[Any]) -> tuple[Edge, ...]:
    """Return the edges of a path: from what is behind a root to its end; containers that only carry attributes or cells are left out."""
    found: list[Edge] = []
    place = 0
    source = describe(nodes[0])
    if root is not None:
        start = _canonical(nodes)
        if start is not None:
            place, edge = start
            found.append(edge)
            source = edge.target
        elif root.label:
            label = f"{root.label} {source}" if root.label == " callback" else root.label
            found.append(Edge(root.source, label, source))
        else:
            source = root.source
    while place < len(nodes) - 1:
        label, used = step(nodes, place)
        place += used
        target = describe(nodes[place])
        found.append(Edge(source, label, target))
        source = target
    return tuple(found)


def _canonical(nodes: list[Any]) -> tuple[int, Edge] | None:
    """Begin with the class or function on the path that a module has by its own name: how others came to know it says nothing."""
    for place in range(min(len(nodes) - 1, 5), 0, -1):
        obj = nodes[place]
        if is_class(obj):
            space = namespace_of(obj)
            module: Any = space.get("__module__")
            name: Any = _qualname(obj)
        elif class_of(obj) is FunctionType:
            module, name = obj.__module__, obj.__qualname__
        else:
            continue
        holder: Any = sys.modules.get(module) if class_of(module) is str else None
        if holder is None or not is_module(holder) or class_of(name) is not str:
            continue
        if _get(attributes_of_module(holder), name) is obj:
            return place, Edge(f"module {module}", f".{name}", describe(obj))
    return None


def step(nodes: list[Any], place: int) -> tuple[str, int]:
    """Return how `nodes[place]` refers to one of those behind it, and how many steps that takes."""
    obj, rest = nodes[place], nodes[place + 1 :]
    named = _by_kind(obj, rest)
    if named is not None:
        return named
    space = attributes_of(obj)
    if space is not None and rest[0] is space:
        return (_attribute(space, rest[1]), 2) if len(rest) > 1 else (".__dict__", 1)
    for label, other in _edges(obj):
        if other is rest[0]:
            if label == ".__dict__" and class_of(other) is dict and len(rest) > 1:
                return _attribute(other, rest[1]), 2
            return label, 1
    if type_name(obj) in {"Future", "Task"} and class_of(rest[0]) is list:
        return " callbacks", 1
    return f" {_INSIDE.get(type_name(obj), 'inside')}", 1


_INSIDE: Final = {"_thread._local": "this thread's attributes", "weakref": "callback", "ReferenceType": "callback"}


def _edges(obj: Any) -> Iterator[tuple[str, Any]]:
    try:
        yield from edges(obj)
    except (AttributeError, TypeError, ValueError, RuntimeError):  # half made, or changed by another thread
        return


def _attribute(space: Any, value: Any) -> str:
    for key, other in [*_items(space)]:
        if other is value:
            return f".{key}" if class_of(key) is str else f"[{key_words(key)}]"
    return ".__dict__ key"


def _by_kind(obj: Any, rest: list[Any]) -> tuple[str, int] | None:
    kind = class_of(obj)
    if kind is dict:
        return _in_dict(obj, rest[0]), 1
    if kind is FunctionType:
        return _in_function(obj, rest)
    if kind is MethodType:
        return (f" {describe(obj)}.__self__" if obj.__self__ is rest[0] else ".__func__"), 1
    if kind is FrameType:
        return f" frame of {place_of(obj)}, {_in_variables(locals_of(obj), rest[0]).strip()}", 1
    if class_of(rest[0]) is TracebackType and len(rest) > 1:
        return _in_traceback(obj, rest)
    if kind is CellType:
        return " variable of a closure", 1
    if kind is _LRU:
        return _in_lru(rest)
    if is_module(obj) and len(rest) > 1 and rest[0] is attributes_of_module(obj):
        return _attribute(rest[0], rest[1]), 2
    if is_class(obj):
        return _in_class(obj, rest)
    if _is_thread_local(obj) and class_of(rest[0]) is dict:
        return _in_thread_local(rest)
    prefix = _SUSPENDED.get(type_name(obj))
    if prefix is not None:
        frame = object.__getattribute__(obj, f"{prefix}_frame")
        if frame is not None:
            return _in_variables(locals_of(frame), rest[0]), 1
    return None


_SUSPENDED: Final = {"generator": "gi", "coroutine": "cr", "async_generator": "ag"}


def _in_traceback(obj: Any, rest: list[Any]) -> tuple[str, int]:
    """Go through a traceback at once, to the variable of the frame that matters."""
    start = "" if class_of(obj) is TracebackType else ".__traceback__"
    used = next((place for place, other in enumerate(rest) if class_of(other) is not TracebackType), len(rest))
    if used >= len(rest):
        return f"{start or '.tb_next'}", len(rest)
    frame = rest[used]
    if class_of(frame) is not FrameType or used + 1 >= len(rest):
        return f"{start} -> {describe(frame)}", used + 1
    return f"{start} -> {describe(frame)}, {_in_variables(locals_of(frame), rest[used + 1]).strip()}", used + 2


def _in_dict(obj: dict[Any, Any], other: Any) -> str:
    by_key = None
    for key, value in [*_items(obj)]:
        if value is other:
            return f"[{key_words(key)}]"
        if key is other:
            by_key = f" key {key_words(key)}"
    return by_key or "[...]"


def _in_variables(variables: dict[Any, Any], other: Any) -> str:
    for name, value in variables.items():
        if value is other:
            return f" local {name!r}"
        if class_of(value) is CellType and _content(value) is other:
            return f" local {name!r}"
    return " a value in use"


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # empty
        return None


def _in_function(obj: Any, rest: list[Any]) -> tuple[str, int]:
    first = rest[0]
    if first is obj.__closure__ and len(rest) > 1:
        for name, cell in zip(obj.__code__.co_freevars, first, strict=False):
            if cell is rest[1]:
                function = f" function {obj.__qualname__}," if "<locals>" in obj.__qualname__ else ""
                return f"{function} closure variable {name!r}", min(len(rest), 3)
    if first is obj.__defaults__ and len(rest) > 1:
        return f" default of parameter {_parameter(obj, first, rest[1])}", 2
    if first is obj.__kwdefaults__ and len(rest) > 1:
        return f" default of parameter {_attribute(first, rest[1])[1:]!r}", 2
    if first is obj.__globals__ and len(rest) > 1:
        return f" global {_attribute(first, rest[1])[1:]!r}", 2
    space = attributes_of(obj)
    if space is not None and first is space and len(rest) > 1:
        return _attribute(space, rest[1]), 2
    for name in ("__closure__", "__defaults__", "__kwdefaults__", "__globals__", "__dict__", "__code__"):
        if getattr(obj, name) is first:  # a plain function, whose attributes are the interpreter's
            return f".{name}", 1
    return " inside", 1


def _parameter(obj: Any, defaults: tuple[Any, ...], value: Any) -> str:
    names = obj.__code__.co_varnames[: obj.__code__.co_argcount]
    for name, default in zip(names[len(names) - len(defaults) :], defaults, strict=False):
        if default is value:
            return repr(name)
    return "?"


def _is_thread_local(obj: Any) -> bool:
    return any(base is _thread._local for base in mro_of(class_of(obj)))


def _in_thread_local(rest: list[Any]) -> tuple[str, int]:
    if len(rest) > 2 and class_of(rest[1]) is dict:  # all threads' dicts are in one
        return f" attribute {_attribute(rest[1], rest[2])} of one thread", 3
    if len(rest) > 1 and any(value is rest[1] for _, value in [*_items(rest[0])]) and class_of(rest[1]) is not dict:
        return f" attribute {_attribute(rest[0], rest[1])} of this thread", 2
    return (" attributes of one thread", 2) if len(rest) > 1 else (" attributes of all threads", 1)


def _in_lru(rest: list[Any]) -> tuple[str, int]:
    if class_of(rest[0]) is not dict or len(rest) < 2:
        return " its cache" if class_of(rest[0]) is dict else " the function", 1
    for key, value in [*_items(rest[0])]:
        if key is rest[1]:
            return " the arguments of a cached call", 2
        if value is rest[1]:
            return " a cached result", 2
    return " its cache", 1


def _in_class(obj: Any, rest: list[Any]) -> tuple[str, int]:
    if class_of(rest[0]) is dict and len(rest) > 1:
        for key, value in namespace_of(obj).items():
            if value is rest[1]:
                return (f".{key}" if class_of(key) is str else " a key"), 2
    if class_of(rest[0]) is dict:
        return ".__dict__", 1
    for name in ("__mro__", "__bases__", "__base__"):
        if type.__dict__[name].__get__(obj) is rest[0]:
            return f".{name}", 1
    return " inside", 1
