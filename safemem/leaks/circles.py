"""Reference cycles that were left behind: which way round they go, and what makes them matter."""

from __future__ import annotations

import gc
import sys
from collections import Counter
from types import FrameType, FunctionType, MethodType, TracebackType
from typing import TYPE_CHECKING, Any, Final

from safemem._graph import class_of, mro_of, namespace_of, type_name
from safemem.cycles.components import circles_in, ways_round
from safemem.leaks.collector import save_garbage
from safemem.leaks.fixes import fix_for
from safemem.leaks.heap import referents_of
from safemem.leaks.origins import LIBRARY, PROGRAM, STANDARD, origin_of
from safemem.leaks.patterns import class_names
from safemem.leaks.probes.opened import open_resources
from safemem.leaks.report import Leak, RetentionPath
from safemem.leaks.sizes import own_size
from safemem.leaks.words import signature_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["circles_left"]

_SHOWN: Final = 20
_LOOKED_AT: Final = 200_000  # objects among which cycles are looked for


def circles_left(*, every: bool, of_libraries: bool = True) -> list[Leak]:
    """Collect, and return the cycles that were there: `every` one, or only those that keep an open resource or something with a `__del__`.

    Cycles that the standard library makes for itself are not the program's leaks, nor are those that an installed library makes unless they keep
    something open; with `every` they are shown, too, if it is wanted (`of_libraries`).
    """
    opened = open_resources()
    found = save_garbage()
    if not found:
        return []
    try:
        return _leaks(found, opened, every=every, of_libraries=of_libraries)
    finally:
        found.clear()
        gc.collect()


def _leaks(found: list[Any], opened: set[int], *, every: bool, of_libraries: bool) -> list[Leak]:
    keeping_open = _keeping(found, lambda obj: id(obj) in opened)
    with_del = _keeping(found, _Finalisers().has_one)
    looked_at = found[:_LOOKED_AT] if every else [obj for obj in found if id(obj) in keeping_open or id(obj) in with_del]
    circles = [(circle, _maker(circle) or _maker_of_holders(circle, found)) for circle in circles_in(looked_at)]
    wanted = [
        circle
        for circle, maker in circles
        if (every and (maker == PROGRAM or (maker == LIBRARY and of_libraries)))
        or (maker != STANDARD and any(id(obj) in keeping_open for obj in circle))
        or (maker == PROGRAM and any(id(obj) in with_del for obj in circle))
    ]
    return _told(wanted, sum(map(own_size, found))) if wanted else []


def _maker(circle: list[Any]) -> str | None:
    """Say whose cycle it is: a library's if one of its objects takes part, for it is there that the way back is made. None if nothing in it tells."""
    if _is_namespace(circle):
        return STANDARD
    makers = {origin_of(obj) for obj in circle}
    if LIBRARY in makers:
        return LIBRARY
    return PROGRAM if PROGRAM in makers else STANDARD if STANDARD in makers else None


def _maker_of_holders(circle: list[Any], found: list[Any]) -> str:
    """Say whose a cycle of nothing but lists and dicts is, by what of the same garbage refers to it; if that does not tell, not the program's."""
    inside = {id(obj) for obj in circle}
    holders = [obj for obj in found if id(obj) not in inside and not inside.isdisjoint(map(id, referents_of(obj)))]
    makers = {origin_of(obj) for obj in holders[:_SHOWN]}
    return PROGRAM if PROGRAM in makers else LIBRARY


def _is_namespace(circle: list[Any]) -> bool:
    """Whether it is only functions and the dicts of the names that they use: what is left of every module and every text that was run."""
    spaces = {id(obj.__globals__) for obj in circle if class_of(obj) is FunctionType}
    return bool(spaces) and all(id(obj) in spaces or (class_of(obj) is FunctionType and obj.__closure__ is None) for obj in circle)


def _keeping(found: list[Any], is_it: Callable[[Any], bool]) -> set[int]:
    """Return the addresses of all objects that lead to one of that kind, and of these themselves."""
    waiting = [id(obj) for obj in found if is_it(obj)]
    if not waiting:
        return set()
    holders: dict[int, list[int]] = {id(obj): [] for obj in found}
    for obj in found:
        for other in referents_of(obj):
            if id(other) in holders:
                holders[id(other)].append(id(obj))
    kept: set[int] = set()
    while waiting:
        address = waiting.pop()
        if address not in kept:
            kept.add(address)
            waiting += holders[address]
    return kept


def _told(circles: list[list[Any]], size: int) -> list[Leak]:
    grouped: dict[str, tuple[int, str | None, list[Any]]] = {}
    for circle in sorted(circles, key=len)[: 50 * _SHOWN]:
        ways = ways_round(circle, 1)
        if ways:
            words, where = ways[0]
            count, known, kept = grouped.get(words, (0, None, circle))
            grouped[words] = (count + 1, known or where, kept)
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


class _Finalisers:
    """Which classes have a finaliser that is written in Python and not the standard library's; each is looked at once."""

    def __init__(self) -> None:
        self._known: dict[int, bool] = {}

    def has_one(self, obj: Any) -> bool:
        """Whether an object's class has."""
        cls = class_of(obj)
        found = self._known.get(id(cls))
        if found is None:
            found = any(type(namespace_of(base).get("__del__")) is FunctionType and _is_own_class(base) for base in mro_of(cls))
            self._known[id(cls)] = found
        return found


def _is_own_class(cls: type) -> bool:
    module = type.__dict__["__module__"].__get__(cls)
    return class_of(module) is str and module.partition(".")[0] not in sys.stdlib_module_names
