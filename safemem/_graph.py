"""Names for the edges between objects: attributes, keys, places, variables of functions and frames. No code of the objects is run."""

from __future__ import annotations

from collections import deque
from functools import partial
from types import (
    BuiltinMethodType,
    CellType,
    CoroutineType,
    FrameType,
    FunctionType,
    GeneratorType,
    GetSetDescriptorType,
    MappingProxyType,
    MemberDescriptorType,
    MethodType,
    MethodWrapperType,
    TracebackType,
)
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "attributes_of",
    "class_of",
    "edges",
    "held_by",
    "is_of_class_statement",
    "mro_of",
    "name_edges",
    "namespace_of",
    "type_name",
]


def held_by(func: Any, obj: object) -> str | None:
    """Return in words where a callable holds `obj`, or None if it does not; looks into functions, methods and partials.

    >>> class Window:
    ...     def show(self): ...
    >>> def watch(window):
    ...     return lambda: window.show()
    >>> window = Window()
    >>> held_by(watch(window), window), held_by(window.show, window), held_by(print, window)
    ("its closure, as variable 'window'", 'the object the method is bound to', None)
    """
    return _search(func, obj, 0)


def _search(func: Any, obj: object, depth: int) -> str | None:
    if depth > 20:
        return None
    if isinstance(func, partial):
        return _in_partial(func, obj, depth)  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(func, (MethodType, BuiltinMethodType, MethodWrapperType)):
        if func.__self__ is obj:
            return "the object the method is bound to"
        return _search(func.__func__, obj, depth + 1) if isinstance(func, MethodType) else None
    return _in_function(func, obj, depth) if isinstance(func, FunctionType) else None


def _in_partial(func: partial[Any], obj: object, depth: int) -> str | None:
    if any(argument is obj for argument in func.args):
        return "an argument of the partial"
    for name, value in func.keywords.items():
        if value is obj:
            return f"argument {name!r} of the partial"
    return _search(func.func, obj, depth + 1)


def _in_function(func: FunctionType, obj: object, depth: int) -> str | None:
    for name, cell in zip(func.__code__.co_freevars, func.__closure__ or (), strict=False):
        try:
            content = cell.cell_contents
        except ValueError:  # empty
            continue
        if content is obj:
            return f"its closure, as variable {name!r}"
        if isinstance(content, (MethodType, BuiltinMethodType, partial)) and _search(content, obj, depth + 1):
            return f"its closure, through variable {name!r}"
    if any(default is obj for default in func.__defaults__ or ()):
        return "a default of its parameters"
    for name, default in (func.__kwdefaults__ or {}).items():
        if default is obj:
            return f"the default of parameter {name!r}"
    return None


# -- all edges of an object -------------------------------------------------------------------------------------------------------------------

_mro: Final[Any] = type.__dict__["__mro__"].__get__
_namespace: Final[Any] = type.__dict__["__dict__"].__get__
_dict_items: Any = vars(dict)["items"]
_type_name: Final[Any] = type.__dict__["__name__"].__get__
_flags: Final[Any] = type.__dict__["__flags__"].__get__


def mro_of(cls: type) -> tuple[type, ...]:
    """Return the classes that a class inherits from, itself first, whatever its metaclass has to say."""
    return _mro(cls)  # type: ignore[no-any-return]


def class_of(obj: object) -> type:
    """Return the class of an object, whatever it claims to be."""
    return type(obj)


def namespace_of(cls: type) -> MappingProxyType[str, Any]:
    """Return what stands in a class, whatever its metaclass has to say."""
    return _namespace(cls)  # type: ignore[no-any-return]


def type_name(obj: object) -> str:
    """Return the name of an object's class, without asking the object.

    >>> type_name(3)
    'int'
    """
    return _type_name(type(obj))  # type: ignore[no-any-return]


def is_of_class_statement(obj: object) -> bool:
    """Whether the object's class was made by a class statement, or by what does the same, rather than built in."""
    return bool(_flags(type(obj)) & 1 << 9)  # Py_TPFLAGS_HEAPTYPE


def edges(obj: Any) -> Iterator[tuple[str, Any]]:
    """Return an iterator over what an object refers to: `(how, what)`, where `how` reads on from the object's name.

    What has no name that can be found out without running code is not in it; `gc.get_referents` has that too.

    >>> class Node:
    ...     def __init__(self):
    ...         self.children = []
    >>> list(edges(Node()))
    [('.children', [])]
    >>> list(edges({"key": 1})), list(edges([2]))
    ([("['key']", 1), (" key 'key'", 'key')], [('[0]', 2)])
    """
    for base in mro_of(class_of(obj)):
        special = _SPECIAL.get(id(base))
        if special is not None:
            yield from special(obj)
            continue
        for name, member in namespace_of(base).items():
            if type(member) is MemberDescriptorType:
                try:
                    yield f".{name}", member.__get__(obj)
                except (AttributeError, TypeError, ValueError):  # an empty slot
                    continue
    namespace = attributes_of(obj)
    if namespace is not None:
        yield from ((f".{key}", value) for key, value in _pairs(namespace) if type(key) is str)


def attributes_of(obj: Any) -> dict[Any, Any] | None:
    """Return the dict of an object's attributes, whatever its class has put in the place of `__dict__`; None if it has none."""
    for base in mro_of(class_of(obj)):
        member = namespace_of(base).get("__dict__")
        if type(member) is GetSetDescriptorType or type(member) is MemberDescriptorType:  # the latter of SimpleNamespace
            try:
                namespace = member.__get__(obj)
            except (AttributeError, TypeError):
                return None
            return namespace if class_of(namespace) is dict else None
    return None


def _pairs(mapping: Any) -> list[tuple[Any, Any]]:
    return [*_dict_items(mapping)]


def _items(obj: Any) -> Iterator[tuple[str, Any]]:
    for key, value in _pairs(obj):
        label = repr(key) if id(class_of(key)) in _READABLE else f"<{type_name(key)}>"
        yield f"[{label[:60]}]", value
        yield f" key {label[:60]}", key


def _places(kind: Any) -> Callable[[Any], Iterator[tuple[str, Any]]]:
    return lambda obj: ((f"[{place}]", item) for place, item in enumerate([*kind.__iter__(obj)]))


def _members(kind: Any) -> Callable[[Any], Iterator[tuple[str, Any]]]:
    return lambda obj: ((" member", item) for item in [*kind.__iter__(obj)])


def _named(*names: str) -> Callable[[Any], Iterator[tuple[str, Any]]]:
    """Return a reader of attributes that the interpreter's own types compute without running anybody's code."""

    def read(obj: Any) -> Iterator[tuple[str, Any]]:
        for name in names:
            yield f".{name}", object.__getattribute__(obj, name)

    return read


def _function(obj: Any) -> Iterator[tuple[str, Any]]:
    for name, cell in zip(obj.__code__.co_freevars, obj.__closure__ or (), strict=False):
        yield f" closure over {name!r}", cell
    yield ".__closure__", obj.__closure__
    yield ".__defaults__", obj.__defaults__
    yield ".__kwdefaults__", obj.__kwdefaults__
    yield ".__dict__", obj.__dict__
    yield from ((f".{name}", value) for name, value in _pairs(obj.__dict__) if type(name) is str)


def _cell(obj: Any) -> Iterator[tuple[str, Any]]:
    try:
        yield " content", obj.cell_contents
    except ValueError:  # empty
        return


def _frame(obj: Any) -> Iterator[tuple[str, Any]]:
    for name, value in dict(obj.f_locals).items():
        yield f" local {name!r}", value
    yield ".f_back", obj.f_back


def _exception(obj: Any) -> Iterator[tuple[str, Any]]:
    for name in ("__traceback__", "__context__", "__cause__", "args"):
        yield f".{name}", namespace_of(BaseException)[name].__get__(obj)


def _suspended(prefix: str) -> Callable[[Any], Iterator[tuple[str, Any]]]:
    def read(obj: Any) -> Iterator[tuple[str, Any]]:
        frame = object.__getattribute__(obj, f"{prefix}_frame")
        if frame is not None:
            yield from _frame(frame)
            yield f".{prefix}_frame", frame

    return read


_READABLE: Final = {*map(id, (str, bytes, int, float, bool, type(None)))}

# Classes are looked up by their address: those with a metaclass may have a hash of their own.
_SPECIAL: Final[dict[int, Callable[[Any], Iterator[tuple[str, Any]]]]] = {
    id(dict): _items,
    id(list): _places(list),
    id(tuple): _places(tuple),
    id(deque): _places(deque),
    id(set): _members(set),
    id(frozenset): _members(frozenset),
    id(FunctionType): _function,
    id(MethodType): _named("__self__", "__func__"),
    id(BuiltinMethodType): _named("__self__"),
    id(partial): _named("func", "args", "keywords"),
    id(CellType): _cell,
    id(FrameType): _frame,
    id(TracebackType): _named("tb_frame", "tb_next"),
    id(BaseException): _exception,
    id(GeneratorType): _suspended("gi"),
    id(CoroutineType): _suspended("cr"),
    id(property): _named("fget", "fset", "fdel"),
    id(classmethod): _named("__func__"),
    id(staticmethod): _named("__func__"),
}


def name_edges(cls: type, edges_of: Callable[[Any], Iterator[tuple[str, Any]]]) -> None:
    """Have `edges` name what instances of a class that is never freed refer to, as this function does."""
    _SPECIAL[id(cls)] = edges_of
