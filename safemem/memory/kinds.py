"""What the objects of a type are to `sizeof`: plain bytes, containers, things that belong to the program, or measured by a function.

There is one plan a type, made when the type is first met, by looking at the class alone. Neither making it nor following it runs code of the
object or its class, except a registered function and `__safemem_size__`.
"""

from __future__ import annotations

import types
import weakref
from functools import partial
from sys import getsizeof
from typing import TYPE_CHECKING, Any, Final

from safemem._graph import class_of, mro_of, namespace_of
from safemem.memory import registry
from safemem.memory.foreign import FOREIGN, PROGRAM
from safemem.memory.looks import CONTAINERS, look_at_instance, look_at_items, look_into
from safemem.memory.registry import find_by_name, full_name, measure_of
from safemem.memory.room import Room, has_array

if TYPE_CHECKING:
    from collections.abc import Callable

    from safemem.memory.looks import Look

__all__ = ["CHANGED", "LEAVES", "QUIET", "SHARED", "Plan", "learn", "plan_of"]


class Plan:
    """How to measure the objects of one type.

    Attributes:
        size: of the object alone.
        look: into what it refers to; None if it refers to nothing.
        blocks: memory of it that is no object: where each block is, and how large; None for most.
        measure: gives the size of all of it, so that it is not looked into; None for most.
        counts: whether it counts where something else refers to it.
    """

    __slots__ = ("blocks", "counts", "look", "measure", "size")

    def __init__(
        self,
        size: Callable[[Any], int],
        look: Look | None = None,
        *,
        blocks: Callable[[Any, int], list[tuple[int, int]]] | None = None,
        measure: Callable[[Any], int] | None = None,
        counts: bool = True,
    ) -> None:
        self.size = size
        self.look = look
        self.blocks = blocks
        self.measure = measure
        self.counts = counts


# What would be there without the object: it is part of the program or of the interpreter.
_QUIET: Final = (
    type,
    types.CodeType,
    types.EllipsisType,
    types.FrameType,
    types.FunctionType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
    types.MethodDescriptorType,
    types.ModuleType,
    types.NoneType,
    types.NotImplementedType,
    types.WrapperDescriptorType,
    bool,
)

# Types of the interpreter by their addresses, which nothing else ever has: objects that refer to nothing, and what does not count.
LEAVES: Final = {*map(id, (str, int, float, bytes, bytearray, complex, range))}
QUIET: Final = {*map(id, _QUIET)}

# Objects of which there is one in a process, whoever refers to them; they are held here, for an address names nothing else only that long.
_ONLY_ONES: Final = (*range(-5, 257), *map(chr, range(256)), "", b"", (), None, True, False, ...)
SHARED: Final = {*map(id, _ONLY_ONES)}

_HEAP_TYPE: Final = 1 << 9  # Py_TPFLAGS_HEAPTYPE
_HAVE_GC: Final = 1 << 14  # Py_TPFLAGS_HAVE_GC
_TYPE_SUBCLASS: Final = 1 << 31  # Py_TPFLAGS_TYPE_SUBCLASS
_flags: Final[Any] = type.__dict__["__flags__"].__get__

# Types that somebody registered a function for, by their addresses: they are kept by that.
CHANGED: Final[set[int]] = set()

_MANY: Final = 4096
_plans: Final[dict[int, tuple[weakref.ref[type], Plan]]] = {}


def plan_of(obj: object) -> Plan:
    """Return the plan for an object's class; the class is not kept alive by that."""
    cls = type(obj)
    known = _plans.get(id(cls))
    if known is not None and known[0]() is cls:
        return known[1]
    plan = _make(cls)
    if len(_plans) >= _MANY:  # a program that makes classes all the time
        _plans.clear()
    _plans[id(cls)] = weakref.ref(cls), plan
    return plan


def learn(kind: object, func: Callable[[Any], int]) -> None:
    """Take in a function for a type; what was concluded before is void."""
    registry.register(kind, func)
    if isinstance(kind, type):
        CHANGED.add(id(kind))
        LEAVES.discard(id(kind))
        QUIET.discard(id(kind))
    _plans.clear()


def _make(cls: type) -> Plan:
    size = _size_of(cls)
    if _flags(cls) & _TYPE_SUBCLASS:
        return Plan(size, counts=False)
    whole: Look = look_into
    if size is not getsizeof or _flags(cls) & _HEAP_TYPE:
        whole = partial(look_at_instance, size, Room() if has_array(cls) else None)
    for base in mro_of(cls):
        measure = measure_of(base)
        if measure is not None:
            return Plan(size, measure=partial(_measured, measure))
        if id(base) in QUIET or find_by_name(base, PROGRAM):
            return Plan(size, counts=False)
        foreign = find_by_name(base, FOREIGN)
        if foreign is not None:
            look, blocks = foreign
            return Plan(size, look or whole, blocks=blocks)
        if id(base) in CONTAINERS:
            kind, look_into_kind = CONTAINERS[id(base)]
            return Plan(size, partial(look_into_kind, kind, size, look_at_items if cls is kind else whole))
    return Plan(size, whole if _flags(cls) & _HAVE_GC else None)  # who has no traverse function refers to nothing


def _measured(measure: Callable[[Any], int], obj: Any) -> int:
    size: Any = measure(obj)
    if isinstance(size, int) and size >= 0:
        return size
    msg = f"the size of {full_name(class_of(obj))} must be an int >= 0, got {size!r}"
    raise ValueError(msg) if isinstance(size, int) else TypeError(msg)


# -- objects alone ----------------------------------------------------------------------------------------------------------------------------


class _WithDict:
    """Something with all that can stand before an object."""


_COLLECTED: Final = getsizeof([]) - [].__sizeof__()  # what the collector puts before an object
_MANAGED: Final = getsizeof(_WithDict()) - object.__sizeof__(_WithDict())  # with what stands there for a dict and weak references


def _size_of(cls: type) -> Callable[[Any], int]:
    """Return what gives the size of an object alone: `sys.getsizeof`, unless that would call something written in Python."""
    found = [namespace_of(base)["__sizeof__"] for base in mro_of(cls) if "__sizeof__" in namespace_of(base)]
    if type(found[0]) is types.MethodDescriptorType:
        return getsizeof
    native = next(each for each in found if type(each) is types.MethodDescriptorType)
    return partial(_size_by, native, _MANAGED if has_array(cls) else _COLLECTED if _flags(cls) & _HAVE_GC else 0)


def _size_by(native: Callable[[Any], int], before: int, obj: Any) -> int:
    return native(obj) + before
