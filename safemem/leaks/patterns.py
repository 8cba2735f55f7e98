"""Which way of leaking it is: read from the path to what grows, and from what came to it."""

from __future__ import annotations

import re
import sys
from types import FrameType, FunctionType, MethodType, TracebackType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from safemem._graph import class_of, mro_of, namespace_of, type_name
from safemem.leaks.heap import referents_of
from safemem.leaks.names import is_class, lru_bound
from safemem.leaks.walk import ATEXIT, CALLBACKS, CONTEXT, NATIVE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from safemem.leaks.report import Edge
    from safemem.leaks.walk import Way

__all__ = ["BUFFERS", "Finding", "class_names", "is_of_program", "module_of", "pattern_of"]

_module: Final[Any] = type.__dict__["__module__"].__get__
_qualname: Final[Any] = type.__dict__["__qualname__"].__get__


class Finding(NamedTuple):
    """Something that grows: the path to it, and what has come to it."""

    grows: Any
    way: Way
    edges: tuple[Edge, ...]
    elements: list[Any]
    slot: bool  # it is replaced by something larger, in the same place


def class_names(obj: Any) -> set[str]:
    """Return the full names of the classes that an object is an instance of, as they were given."""
    return {f"{_module(base)}.{_qualname(base)}" for base in mro_of(class_of(obj))}


def module_of(obj: Any) -> str:
    """Return the name of the module that an object's class says it is from; "" if it does not say."""
    module = _module(type(obj))
    return module if class_of(module) is str else ""


_BY_CLASS: Final = (
    ("open sockets", {"socket.socket", "_socket.socket", "asyncio.transports.BaseTransport", "ssl.SSLSocket"}),
    ("maps", {"mmap.mmap"}),
    ("open files", {"_io._IOBase", "posix.ScandirIterator"}),
    ("processes", {"subprocess.Popen", "multiprocessing.process.BaseProcess"}),
    ("thread", {"threading.Thread", "concurrent.futures._base.Executor"}),
    ("loops", {"asyncio.events.AbstractEventLoop"}),
    ("task", {"_asyncio.Task", "asyncio.tasks.Task"}),
    ("future", {"concurrent.futures._base.Future", "_asyncio.Future", "asyncio.futures.Future"}),
    ("logger", {"logging.Logger", "logging.PlaceHolder"}),
    ("handler", {"logging.Handler"}),
    ("suspended", {"builtins.generator", "builtins.coroutine", "builtins.async_generator"}),
    ("views", {"builtins.memoryview"}),
    ("timers", {"asyncio.events.Handle"}),
)
_ITERATORS: Final[dict[int, Any]] = {id(list): vars(list)["__iter__"], id(tuple): vars(tuple)["__iter__"]}
_LISTENING: Final = re.compile(r"listener|handler|callback|receiver|observer|subscri|hook|signal|slot|watcher|on_", re.IGNORECASE)
_CALLABLE: Final = {"function", "method", "partial", "builtin_function_or_method", "partialmethod"}
_WEAK: Final = {"ReferenceType", "weakref", "WeakMethod", "KeyedRef", "weakproxy", "weakcallableproxy"}
_SMALL: Final = 8  # referents
BUFFERS: Final = {"BytesIO", "StringIO", "array", "bytearray", "str", "bytes"}


def pattern_of(found: Finding) -> str:
    """Return the name of the pattern in `fixes`."""
    return _of_way(found) or _of_elements(found) or _of_path(found) or _of_container(found)


def _labels(found: Finding) -> list[str]:
    return [edge.label for edge in found.edges]


def _of_way(found: Finding) -> str | None:
    """Judge by where it is held, if that says all."""
    source = found.way.root.source
    for node in found.way.nodes:
        if lru_bound(node) is not None:
            return "lru method" if any(map(_is_key_of_instance, found.elements)) else "lru"
    if source == ATEXIT:
        return "atexit"
    if source == CALLBACKS:
        return "interpreter callbacks"
    if source == NATIVE:
        return "native"
    labels = _labels(found)
    if any(edge.source == "module weakref" and "finalize" in edge.label for edge in found.edges) or labels[:2] == [
        ".finalize",
        "._registry",
    ]:
        return "finalize"
    if "sys.gettrace()" in source or "sys.getprofile()" in source or source.startswith("the tracing function"):
        return "trace"
    special = _of_owner(found, labels)
    if special is not None:
        return special
    names = [class_names(node) for node in found.way.nodes]
    if not found.slot and any("weakref.WeakKeyDictionary" in each for each in names[-3:-1]):
        return "weak keys"
    if any("logging.Logger" in each for each in names) and labels[-1:] in ([".handlers"], [".filters"]):
        return "handler"
    if any(label.startswith(" attribute") and "thread" in label for label in labels):
        return "thread local"
    return None


def _of_owner(found: Finding, labels: list[str]) -> str | None:
    """Judge by what the standard library is known to keep."""
    if any(module_of(node) == "unittest.mock" for node in found.way.nodes):
        return "mock"
    if len(found.way.nodes) > 1 and class_of(found.grows) is list and not _FUTURES.isdisjoint(class_names(found.way.nodes[-2])):
        return "callbacks of a future"
    if labels[-1:] in (["._exit_callbacks"], ["._cleanups"]):
        return "cleanups"
    if _is_registry_of_classes(found):
        return "class"
    if labels[-1:] == [".__warningregistry__"]:
        return "warnings shown"
    module = found.way.root.source.removeprefix("module ")
    if len(labels) != 1 or module in {found.way.root.source, "builtins"} or module not in sys.stdlib_module_names:
        return None
    hooks = any(type_name(element) in _CALLABLE for element in found.elements)
    return _TABLES.get(f"{module}{labels[0]}", "hooks of the library" if hooks else "table of the library")


_FUTURES: Final = {"_asyncio.Future", "_asyncio.Task", "asyncio.futures.Future", "asyncio.tasks.Task", "concurrent.futures._base.Future"}
_TABLES: Final = {"linecache.cache": "source lines", "sys.modules": "generated modules", "sys.path": "path entries"}


def _is_registry_of_classes(found: Finding) -> bool:
    """Whether classes that a function makes are registered, with what is to be done for them."""
    made = [element for element in found.elements if is_class(element) and "<locals>" in _qualname(element)]
    others = [element for element in found.elements if not is_class(element)]
    return bool(made) and bool(others) and all(type_name(element) in _CALLABLE for element in others)


def _is_key_of_instance(element: Any) -> bool:
    """Whether the key of a cached call has an instance of a class of the program's in front."""
    first = element
    for base in mro_of(class_of(element)):
        reader = _ITERATORS.get(id(base))
        if reader is not None:
            first = next(reader(element), None)
            break
    return first is not None and is_of_program(first)


def is_of_program(obj: Any) -> bool:
    """Whether an object is an instance of a class that is neither of the standard library nor of the interpreter."""
    return module_of(obj).partition(".")[0] not in sys.stdlib_module_names and not is_class(obj)


def _of_elements(found: Finding) -> str | None:
    """Judge by what has come to it."""
    elements = [element for element in found.elements if element is not None]
    if not elements or found.slot or type_name(found.grows) in BUFFERS:
        return None
    inner = [*elements, *_inside(elements)]
    names = [class_names(element) for element in inner]
    if any("builtins.BaseException" in each for each in names) or any(class_of(element) is TracebackType for element in inner):
        return "exception"
    if any(class_of(element) is FrameType for element in inner):
        return "frame"
    for pattern, classes in _BY_CLASS:
        if any(classes & each for each in names):
            return pattern
    if any(_is_view(element) for element in elements):
        return "views"
    if all(type_name(element) in _WEAK for element in elements):
        return "dead references"
    if any(type_name(element) in _CALLABLE for element in inner):
        return _of_callables(found, inner)
    if all(map(is_class, elements)):
        return "class"
    return "listener" if _LISTENING.search("".join(_labels(found))) and any(map(_wraps_callable, inner)) else None


def _wraps_callable(obj: Any) -> bool:
    """Whether an object is a small one that refers to a function or method: a registration."""
    if not is_of_program(obj):
        return False
    referents = referents_of(obj)
    return len(referents) <= _SMALL and any(type_name(other) in _CALLABLE for other in referents)


def _inside(elements: list[Any]) -> Iterable[Any]:
    """Return what plain tuples and lists among the elements are made of: pairs, entries, records."""
    for element in elements[:20]:
        if (class_of(element) is tuple or class_of(element) is list) and len(element) <= 16:
            yield from element
        elif class_of(element) is dict and len(element) <= 16:
            yield from element.values()
        elif is_of_program(element):
            yield from filter(_has_traceback, referents_of(element)[:50])


def _has_traceback(obj: Any) -> bool:
    if not any(base is BaseException for base in mro_of(class_of(obj))):
        return False
    return vars(BaseException)["__traceback__"].__get__(obj) is not None


def _is_view(obj: Any) -> bool:
    return type_name(obj) == "ndarray" and type(obj).__dict__["base"].__get__(obj) is not None


def _of_callables(found: Finding, elements: list[Any]) -> str:
    path = "".join(_labels(found)) + found.way.root.source
    has_closure = any(class_of(element) is FunctionType and element.__closure__ for element in elements)
    bound = any(class_of(element) is MethodType for element in elements)
    return "closures" if has_closure and not bound and not _LISTENING.search(path) else "listener"


def _of_path(found: Finding) -> str | None:
    """Judge by the last thing on the path that says something."""
    labels = _labels(found)
    for label in reversed(labels):
        if "closure variable" in label:
            return "closure"
        if label.startswith(" default of parameter"):
            return "default"
        if " frame of " in label or label.startswith((".__traceback__", ".__context__", ".__cause__")):
            return "exception"
    if found.way.root.source == CONTEXT or found.way.root.source.startswith("context variable"):
        return "context"
    nodes = found.way.nodes
    if any(type_name(node) in {"generator", "coroutine", "async_generator"} for node in nodes):
        return "suspended local"
    if any(" local " in label for label in labels[:1]) or " local " in found.way.root.label:
        return "running"
    if (
        len(nodes) > 2
        and class_of(nodes[-1]) is not FunctionType
        and any(
            class_of(node) is FunctionType and place + 2 < len(nodes) and nodes[place + 1] is node.__dict__
            for place, node in enumerate(nodes)
        )
    ):
        return "function attribute"
    return None


def _of_container(found: Finding) -> str:
    kind = type_name(found.grows)
    if found.slot:
        return "text" if kind in BUFFERS else "replaced"
    if kind in BUFFERS:
        return "text"
    bases = {name.rpartition(".")[2] for name in class_names(found.grows)}
    if any("queue.Queue" in class_names(node) or "asyncio.queues.Queue" in class_names(node) for node in found.way.nodes):
        return "queue"
    if "deque" in bases:
        return "deque"
    if bases & {"set", "frozenset", "WeakSet"}:
        return "set"
    if bases & {"list", "tuple"}:
        return "list"
    if class_of(found.grows) is dict and _is_namespace(found):
        return "namespace"
    if "dict" in bases:
        return "dict"
    if bases & {"SimpleQueue"}:
        return "queue"
    return "namespace" if any(map(_has_attributes, mro_of(class_of(found.grows)))) else "container"


def _has_attributes(cls: type) -> bool:
    return "__dict__" in namespace_of(cls)


def _is_namespace(found: Finding) -> bool:
    """Whether the dict is that of an object's attributes, or of a module's or class's names."""
    if len(found.way.nodes) < 2 or not found.edges:
        return False
    return found.edges[-1].label in {".__dict__", " inside"} and class_of(found.way.nodes[-2]) is not dict
