"""How a receiver becomes a link: what is held weakly and what strongly, and what is refused."""

from __future__ import annotations

from functools import partial
from operator import call
from types import BuiltinFunctionType, FunctionType, MethodDescriptorType, MethodType, MethodWrapperType, WrapperDescriptorType
from typing import TYPE_CHECKING, Any, Final
from weakref import ref

from safemem.core._emission import MARKS, UNUSUAL
from safemem.core._weakable import check_weakable, unweakable
from safemem.observers.capture import warn_if_captured
from safemem.observers.links import Link
from safemem.observers.ways import Way

if TYPE_CHECKING:
    from types import FrameType

    from safemem.observers.listeners import SignalCore

__all__ = ["check_callable", "check_options", "is_awaited", "is_weak", "leads_to", "link_to"]

BUILTIN: Final = (BuiltinFunctionType, MethodWrapperType)
PACKAGE: Final = __name__.partition(".")[0]


def link_to(
    signal: SignalCore, receiver: Any, frame: FrameType, *, owner: Any, sender: Any, once: bool, priority: int, weak: bool | None
) -> Link:
    """Return the link to any receiver, with options that have been checked."""
    check_callable(receiver)
    awaited = is_awaited(receiver)
    func, obj = (receiver, None) if weak is False else _take_apart(receiver)
    if obj is None and weak:
        if owner is not None:
            msg = f"owner and weak=True exclude each other for a receiver that is no bound method, got {receiver!r}"
            raise ValueError(msg)
        func, obj = call, receiver
    if obj is None:
        _check_capture(signal, receiver, frame)
        if owner is not None or sender is not None:
            _check_lasting(receiver, sender if owner is None else owner, frame)
    elif not type(obj).__weakrefoffset__:
        role = "receiver" if obj is receiver else "the object of a bound method"
        msg = f"{unweakable(role, obj)}; or connect with weak=False, which keeps it alive"
        raise TypeError(msg)
    # A plain int: what compares priorities later holds a lock, and a subclass may have comparisons of its own.
    origin = (int.__index__(priority), frame.f_code, frame.f_lasti, signal._about)
    weakly = None if obj is None else ref(obj)
    if owner is None and sender is None and not once and not awaited:
        return Link(func, weakly, origin)
    return Link(Way.plainly, Way(func, weakly, owner, sender, once=once, awaited=awaited), origin)


def check_callable(receiver: object) -> None:
    """Raise TypeError unless it can be called."""
    if not callable(receiver):
        msg = f"receiver must be callable, got {receiver!r}"
        raise TypeError(msg)


def is_weak(link: Link) -> bool:
    """Whether the receiver, or the object of the bound method, is held weakly."""
    way = link.ref
    return way is not None and (type(way) is not Way or way.obj is not None)


def check_options(owner: Any, sender: Any, once: Any, priority: Any, weak: Any) -> None:
    """Raise the error for the first option that is not what it must be."""
    if owner is not None:
        check_weakable("owner", owner)
    if sender is not None:
        check_weakable("sender", sender)
    if not isinstance(once, bool):
        msg = f"once must be True or False, got {once!r}"
        raise TypeError(msg)
    if not isinstance(priority, int):
        msg = f"priority must be an int, got {priority!r}"
        raise TypeError(msg)
    if weak is not None and not isinstance(weak, bool):
        msg = f"weak must be True, False or None, got {weak!r}"
        raise TypeError(msg)


def leads_to(link: Link, receiver: Any) -> bool:
    """Whether this is what a link connects: by identity, of the object and the function for bound methods. Nothing is compared by `==`."""
    func, way = link.func, link.ref
    if link.ended:
        return False
    if func is not None and type(receiver) is MethodType and type(way) is ref:
        return way() is receiver.__self__ and func is receiver.__func__
    if func is not None and type(receiver) is FunctionType and type(way) is not Way:
        return (func is receiver and way is None) or (func is call and way is not None and way() is receiver)
    connected = link.receiver()
    return connected is not None and _is_same(connected, receiver)


def _is_same(one: Any, other: Any) -> bool:
    if one is other:
        return True
    if isinstance(one, BUILTIN):
        return isinstance(other, BUILTIN) and one.__self__ is other.__self__ is not None and one.__name__ == other.__name__
    func, obj = _take_apart(one)
    other_func, other_obj = _take_apart(other)
    return obj is not None and obj is other_obj and func is other_func


def _take_apart(receiver: Any) -> tuple[Any, Any]:
    """Return the function and the object of a bound method; the receiver and None for anything else."""
    if isinstance(receiver, MethodType):
        return receiver.__func__, receiver.__self__
    if isinstance(receiver, (FunctionType, partial, type)):
        return receiver, None  # pyright: ignore[reportUnknownVariableType]
    if isinstance(receiver, BUILTIN):
        # Methods of what this package has in two cores are bound methods whether they are compiled or not.
        obj, name = receiver.__self__, receiver.__name__
        func = next((vars(cls)[name] for cls in type(obj).__mro__ if name in vars(cls)), None)
        if isinstance(func, (MethodDescriptorType, WrapperDescriptorType)) and func.__objclass__.__module__.partition(".")[0] == PACKAGE:
            return func, obj
        return receiver, None
    # Methods that are compiled or decorated say in the same way what they are made of.
    kind: Any = type(receiver)  # pyright: ignore[reportUnknownVariableType]
    if hasattr(kind, "__self__") and hasattr(kind, "__func__"):
        return receiver.__func__, receiver.__self__
    return receiver, None


def is_awaited(receiver: Any) -> bool:
    """Whether calling the receiver gives a coroutine; TypeError if calling it would run nothing."""
    func = receiver
    while isinstance(func, (partial, MethodType)):
        func = func.func if isinstance(func, partial) else func.__func__  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    if isinstance(func, FunctionType) and not func.__code__.co_flags & UNUSUAL and not (MARKS and func.__dict__):
        return False
    if isinstance(func, (BuiltinFunctionType, type)):
        return False
    import inspect

    kind: Any = type(func)  # pyright: ignore[reportUnknownVariableType]
    way_in = func if inspect.isroutine(func) or inspect.iscoroutinefunction(func) else getattr(kind, "__call__", None)  # noqa: B004
    if inspect.isgeneratorfunction(way_in) or inspect.isasyncgenfunction(way_in):
        msg = f"receiver must not be a generator function, calling which runs none of it, got {receiver!r}"
        raise TypeError(msg)
    return inspect.iscoroutinefunction(func) or inspect.iscoroutinefunction(way_in)


def _check_capture(signal: SignalCore, receiver: Any, frame: FrameType) -> None:
    emitter = None if signal._emitter is None else signal._emitter()
    if emitter is not None:
        warn_if_captured(receiver, emitter, frame)


def _check_lasting(receiver: Any, keeper: Any, frame: FrameType) -> None:
    """Warn if a receiver that shares the life of an object without a `__dict__` holds it: then there is no place for it but a global one."""
    if not type(keeper).__dictoffset__ and not isinstance(keeper, type):
        warn_if_captured(receiver, keeper, frame)
