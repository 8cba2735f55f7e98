"""Reference cycles that were left behind: which way round they go, and what makes them matter."""

from __future__ import annotations

import gc
import sys
from collections import Counter
from types import FrameType, FunctionType, MethodType, ModuleType, TracebackType
from typing import Any, Final

from safemem._graph import class_of, is_of_class_statement, mro_of, namespace_of, type_name
from safemem.cycles.components import circles_in, ways_round
from safemem.leaks.collector import save_garbage
from safemem.leaks.fixes import fix_for
from safemem.leaks.names import is_class
from safemem.leaks.patterns import class_names, module_of
from safemem.leaks.report import Leak, RetentionPath
from safemem.leaks.sizes import own_size
from safemem.leaks.words import signature_of

__all__ = ["circles_left"]

_SHOWN: Final = 20
_get: Final[Any] = vars(dict)["get"]
_RESOURCES: Final = {
    "_io._IOBase",
    "_socket.socket",
    "socket.socket",
    "mmap.mmap",
    "sqlite3.Connection",
    "subprocess.Popen",
    "threading.Thread",
    "asyncio.events.AbstractEventLoop",
    "asyncio.transports.BaseTransport",
    "multiprocessing.shared_memory.SharedMemory",
    "concurrent.futures._base.Executor",
    "selectors.BaseSelector",
    "select.epoll",
    "tempfile._TemporaryFileWrapper",
    "tempfile.TemporaryDirectory",
}


def circles_left(*, every: bool) -> list[Leak]:
    """Collect, and return the cycles that were there; those that hold a resource or have a `__del__`, unless it is to be `every` one.

    Cycles without anything of the program's own, those that the standard library makes for itself, are not its leaks.
    """
    found = save_garbage()
    if not found:
        return []
    try:
        return _leaks(found, every=every)
    finally:
        found.clear()
        gc.collect()


def _leaks(found: list[Any], *, every: bool) -> list[Leak]:
    circles = [circle for circle in circles_in(found) if any(map(_is_own, circle))]
    if not circles:
        return []
    holds = any(map(_matters, found))
    if not every and not holds:
        return []
    grouped: dict[str, tuple[int, str | None, list[Any]]] = {}
    for circle in sorted(circles, key=len)[: 50 * _SHOWN]:
        ways = ways_round(circle, 1)
        if ways:
            words, where = ways[0]
            count, known, kept = grouped.get(words, (0, None, circle))
            grouped[words] = (count + 1, known or where, kept)
    size = sum(map(own_size, found))
    total = sum(count for count, _, _ in grouped.values())
    return [_leak(words, *group, size * group[0] // max(1, total)) for words, group in list(grouped.items())[:_SHOWN]]


def _leak(words: str, count: int, where: str | None, circle: list[Any], size: int) -> Leak:
    types = Counter(type_name(obj) for obj in circle)
    most = ", ".join(f"{number} {name}" for name, number in types.most_common(4))
    what = f"{count} reference cycle{'s' if count > 1 else ''} of {len(circle)} objects: {most}"
    pattern = _pattern(circle)
    return Leak("cycle", what, where, words, size, signature_of("cycle", words), fix_for(pattern), RetentionPath((), words), count)


def _pattern(circle: list[Any]) -> str:
    names = [class_names(obj) for obj in circle]
    if any("builtins.BaseException" in each for each in names) or any(
        class_of(obj) is FrameType or class_of(obj) is TracebackType for obj in circle
    ):
        return "cycle of exception"
    if any(class_of(obj) is MethodType for obj in circle) or any("functools.partial" in each for each in names):
        return "cycle of method"
    if any(class_of(obj) is FunctionType and obj.__closure__ for obj in circle):
        return "cycle of closure"
    return "cycle"


def _is_own(obj: Any) -> bool:
    """Whether an object is an instance of a class, or a function, that is not the standard library's."""
    if class_of(obj) is FunctionType:
        module: Any = obj.__module__
    elif class_of(obj) is FrameType:
        module = _get(obj.f_globals, "__name__")
    elif is_class(obj) or class_of(obj) is ModuleType or not is_of_class_statement(obj):
        return class_of(obj) is list or class_of(obj) is dict
    else:
        module = module_of(obj)
    return class_of(module) is str and module.partition(".")[0] not in sys.stdlib_module_names


def _matters(obj: Any) -> bool:
    """Whether an object is a resource, or has a finaliser written in Python."""
    if not _RESOURCES.isdisjoint(class_names(obj)):
        return True
    return any(type(namespace_of(base).get("__del__")) is FunctionType and _is_own_class(base) for base in mro_of(class_of(obj)))


def _is_own_class(cls: type) -> bool:
    module = type.__dict__["__module__"].__get__(cls)
    return class_of(module) is str and module.partition(".")[0] not in sys.stdlib_module_names
