"""The reference that a weak attribute stores: a copy or pickle of what has it refers to the copy of its target, if there is one."""

from __future__ import annotations

import sys
import weakref
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from typing import Self

__all__ = ["LateReference", "Reference", "refer"]

_NOT_COPIED: Final = object()


class Reference(weakref.ref[Any]):
    """A weak reference that copies well: equal to another of the same object by identity, never by asking the objects.

    * A copy is the same reference.
    * A deep copy refers to the copy of the target, if that is made in the same operation, before or after; else to the same target.
    * A pickle has the target in it: nothing tells a reference whether the pickle holds its target anyway.
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return _same_target(self, other)

    __ne__ = object.__ne__  # that of weakref.ref asks the objects

    def __hash__(self) -> int:
        return _HASH

    def __repr__(self) -> str:
        target = self()
        if target is None:
            return "<weak reference, dead>"
        return f"<weak reference to {type(target).__name__} at {id(target):#x}>"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Reference | LateReference:
        target = self()
        if target is None:
            return self
        copy = memo.get(id(target), _NOT_COPIED)
        if copy is _NOT_COPIED:
            return _wait_for_copy(target, self, memo)
        return _refer_to_copy(copy, self)

    def __reduce__(self) -> Any:
        return refer, (self(),)


class LateReference:
    """What a deep copy has in the place of a reference whose target had not been copied by then."""

    __slots__ = ("reference",)

    def __init__(self, reference: Reference) -> None:
        self.reference = reference

    def __call__(self) -> Any:
        """Return the target, or None if it is gone."""
        return self.reference()

    def __eq__(self, other: object) -> bool:
        return _same_target(self, other)

    def __hash__(self) -> int:
        return _HASH

    def __repr__(self) -> str:
        return repr(self.reference)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Reference | LateReference:
        return self.reference.__deepcopy__(memo)

    def __reduce__(self) -> Any:
        return self.reference.__reduce__()


_HASH: Final = hash(Reference)  # targets may be unhashable, and may die


def _same_target(one: Reference | LateReference, other: object) -> bool:
    if one is other:
        return True
    target = one()
    return target is not None and isinstance(other, (Reference, LateReference)) and other() is target


class _Passing:
    """Something that is gone at once."""

    __slots__ = ("__weakref__",)


def refer(target: Any) -> Reference:
    """Return a reference to an object, a dead one to None.

    TypeError if the object cannot be weakly referenced.
    """
    return Reference(_Passing() if target is None else target)


def _refer_to_copy(copy: Any, original: Reference) -> Reference:
    """Return a reference to the copy of a target, or the original one: a `__deepcopy__()` may return anything."""
    return Reference(copy) if copy is not None and type(copy).__weakrefoffset__ else original


class _Kept(list[Any]):
    """The list in which deepcopy keeps what it has copied alive: it hears of each object whose copy is complete.

    deepcopy calls `memo[id(memo)].append(x)` for each. That is the only sign that a target which comes after those who refer to it has a
    copy now; where it is not given, references stay with the original.
    """

    __slots__ = ("waiting",)

    waiting: dict[int, tuple[Any, LateReference]]

    def append(self, item: Any, /) -> None:
        """Keep an object, and tell the references that waited for its copy."""
        super().append(item)
        waited = self.waiting.pop(id(item), None)
        if waited is not None:
            # The memo cannot be an attribute of what the memo holds: that would be a cycle, left behind by every deep copy.
            memo: Any = sys._getframe(1).f_locals.get("memo")
            copy = memo.get(id(item)) if type(memo) is dict and memo.get(id(memo)) is self else None  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType, reportUnknownVariableType]
            late = waited[1]
            late.reference = _refer_to_copy(copy, late.reference)


def _wait_for_copy(target: Any, reference: Reference, memo: dict[int, Any]) -> LateReference:
    kept = memo.get(id(memo))
    if not isinstance(kept, _Kept):
        kept = _Kept(kept or ())
        kept.waiting = {}
        memo[id(memo)] = kept
    return kept.waiting.setdefault(id(target), (target, LateReference(reference)))[1]
