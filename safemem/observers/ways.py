"""The long way to a receiver, for connections with more to them than a callable: an owner, a sender, once only, or a coroutine.

A strong callable that shares an owner's life is not held by the signal. It lies with its owner, in the owner's `__dict__` where there is
one, so that a closure over its own owner is plain cyclic garbage and pins nothing. The signal finds it by a weak reference, and it
is let go of as soon as either end dies.
"""

from __future__ import annotations

import weakref
from functools import partial
from operator import call
from types import BuiltinFunctionType, FunctionType, MethodDescriptorType, MethodType, MethodWrapperType, WrapperDescriptorType
from typing import Any, Final

from safemem.core._owners import Owners

__all__ = ["SKIPPED", "Way", "name_of", "rebound"]

SKIPPED: Final[Any] = object()

_NAMED: Final = (FunctionType, BuiltinFunctionType, MethodWrapperType, MethodDescriptorType, WrapperDescriptorType, type)


class Tie(weakref.ref[Any]):
    """Holds a callable for as long as the way that leads to it exists; lies with the owner.

    The callback is the slot's own deletion, a function of the interpreter's: no lock is taken and no Python code of ours runs.
    """

    __slots__ = ("__weakref__", "held")

    held: Any

    __eq__ = object.__eq__
    __hash__ = object.__hash__


_let_go: Final[Any] = vars(Tie)["held"].__delete__
_belongings: Owners[list[Tie]] | None = None  # made with the first owner: it has a lock, and importing makes none


class Way:
    """How a receiver is reached, and under which conditions.

    A link has it in place of a weak reference: called, it returns itself, or None once its end is dead.
    """

    __slots__ = ("__weakref__", "_name", "awaited", "claim", "func", "obj", "owner", "sender", "tie")

    def __init__(self, func: Any, obj: weakref.ref[Any] | None, owner: Any, sender: Any, *, once: bool, awaited: bool) -> None:
        self.func = func
        self.obj = obj
        self.owner = None if owner is None else weakref.ref(owner)
        self.sender = None if sender is None else weakref.ref(sender)
        self.claim = [True] if once else None  # whoever pops it is the one that calls
        self.awaited = awaited
        self.tie: weakref.ref[Tie] | None = None
        self._name = "a receiver"
        keeper = sender if owner is None else owner
        if keeper is not None and obj is None:
            self._leave_with(keeper)

    def _leave_with(self, keeper: Any) -> None:
        tie = Tie(self, _let_go)
        tie.held, self.func = self.func, None
        self.tie = weakref.ref(tie)
        _belong(keeper, tie)

    def __call__(self) -> Way | None:
        """Return the way, or None if it leads nowhere any more."""
        if self.claim is not None and not self.claim:
            return None
        for ref in (self.obj, self.owner, self.sender):
            if ref is not None and ref() is None:
                return None
        return None if self.target() is None else self

    def target(self) -> Any:
        """Return the callable, without the object of a bound method; None if it is gone."""
        if self.tie is None:
            return self.func
        tie = self.tie()
        return None if tie is None else getattr(tie, "held", None)

    def receiver(self) -> Any:
        """Return what was connected, or None if it is dead."""
        if self() is None:
            return None
        func = self.target()
        if func is None or self.obj is None:
            return func
        obj = self.obj()
        return None if obj is None else rebound(func, obj)

    def admits(self, sender: Any) -> bool:
        """Whether an emission from this sender, or from none (None), is for the receiver."""
        return self.sender is None or (sender is not None and self.sender() is sender)

    def take(self, sender: Any) -> Any:
        """Return the receiver to be called now, or None; one that is called once only is given out once only."""
        if not self.admits(sender):
            return None
        receiver = self.receiver()
        if receiver is not None and self.claim is not None:
            try:
                self.claim.pop()
            except IndexError:  # another thread was faster
                return None
            self.let_go()
        return receiver

    def run(self, sender: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call the receiver and return its result, or SKIPPED."""
        if self.awaited:
            if not self.admits(sender) or self() is None:
                return SKIPPED
            msg = "a coroutine function cannot be called by emit() or send(), only awaited: use aemit() or asend()"
            raise RuntimeError(msg)
        receiver = self.take(sender)
        return SKIPPED if receiver is None else receiver(*args, **kwargs)

    def plainly(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call the receiver in an emission from no particular sender: what stands in a link in place of a function."""
        return self.run(None, args, kwargs)

    def name(self) -> str:
        """Return what to call the receiver in a message."""
        target = self.target()
        return self._name if target is None else name_of(target, self.obj)

    def let_go(self) -> None:
        """Let go of the callable; the way leads nowhere any more."""
        self._name = self.name()  # the call that is under way may fail
        tie = None if self.tie is None else self.tie()
        self.func = None
        if tie is not None:
            tie.held = None


def rebound(func: Any, obj: Any) -> Any:
    """Return the receiver that was taken apart into a function and an object."""
    if func is call:  # a callable that is held weakly itself
        return obj
    kind: Any = type(func)  # pyright: ignore[reportUnknownVariableType]
    bind = None if type(func) is FunctionType else getattr(kind, "__get__", None)
    return MethodType(func, obj) if bind is None else bind(func, obj, type(obj))


def name_of(receiver: Any, obj: weakref.ref[Any] | None = None) -> str:
    """Return what to call a receiver in a message, or a function with the object it is called with; none of its code is run."""
    if receiver is call and obj is not None:  # a callable that is held weakly itself
        return name_of(obj())
    if isinstance(receiver, MethodType):
        return name_of(receiver.__func__)
    if isinstance(receiver, partial):
        return f"a partial of {name_of(receiver.func)}"  # pyright: ignore[reportUnknownMemberType]
    if isinstance(receiver, _NAMED):
        return receiver.__qualname__
    return f"an object of type {type(receiver).__qualname__}"


def _belong(keeper: Any, tie: Tie) -> None:
    """Put what shares the life of an object where it lies with it."""
    global _belongings  # noqa: PLW0603 - see above
    owners = _belongings
    if owners is None:
        owners = _belongings = Owners("@safemem listeners")
    ties = owners.find(keeper)
    if ties is None:
        ties = owners.give(keeper, [])
    for _ in range(min(len(ties), 3)):  # for each that comes, three are looked at: what a crowd left behind is soon gone
        try:
            other = ties.pop(0)
        except IndexError:  # another thread was faster
            break
        if getattr(other, "held", None) is not None:
            ties.append(other)
    ties.append(tie)
