"""WeakIdentityDict and WeakIdentitySet: what belongs to objects that are found by identity and not kept alive.

The hot protocol is the core's (`safemem.core`); nothing here overrides it. Owners may be unhashable, may be equal to each other, and may
have an `__eq__` that does anything: neither is ever called.
"""

from __future__ import annotations

import copyreg
import sys
import weakref
from collections.abc import Iterable, Iterator, KeysView, Mapping, MutableSet
from collections.abc import Set as AbstractSet
from copy import deepcopy
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, TypeVar

from safemem._compat import V
from safemem.core import IdentityCore, IdentitySetCore
from safemem.core._pinned import warn_if_owned
from safemem.weak.mappings import WeakKeys, WeakMapping, attributes, restore

if TYPE_CHECKING:
    from typing import Self

__all__ = ["WeakIdentityDict", "WeakIdentitySet"]

O = TypeVar("O")  # noqa: E741 - reads well where it is used
S = TypeVar("S")


def _living(refs: Iterable[weakref.ref[O]]) -> Iterator[O]:
    for ref in refs:
        owner = ref()
        if owner is not None:
            yield owner


def _is_set(other: object) -> bool:
    return isinstance(other, AbstractSet)


def _by_identity(members: Iterable[Any]) -> dict[int, Any]:
    """Return the members, held, by their addresses."""
    return {id(member): member for member in members}


def _pairs_by_identity(mapping: Mapping[Any, Any]) -> dict[int, tuple[Any, Any]]:
    return {id(owner): (owner, value) for owner, value in mapping.items()}


class WeakIdentityDict(IdentityCore[O, V], WeakMapping[O, V]):
    """Values that belong to owners: found by the owner's identity, dropped after its death.

    A mapping from owner to value that keeps no owner alive. Owners are compared by identity, so that unhashable ones and those with an
    `__eq__` of their own are fine, and two equal owners have a value each. The order is that of insertion, loops walk a snapshot, and
    every single operation is atomic. What belonged to a dead owner goes with the next operation on the mapping.

    A value that refers to its owner keeps both alive for as long as the mapping lives: store what the owner needs, not the owner
    (`python -X dev` warns with a `CycleWarning`).

    >>> class Document(list):
    ...     pass
    >>> notes = WeakIdentityDict()
    >>> first, second = Document(), Document()
    >>> notes[first], notes[second] = "mine", "yours"
    >>> first == second, notes[first]
    (True, 'mine')
    >>> del first
    >>> list(notes.values())
    ['yours']
    """

    __module__ = "safemem"
    __slots__ = ("__dict__", "__weakref__")

    def __init__(self, data: Mapping[O, V] | Iterable[tuple[O, V]] | None = None, /) -> None:
        self.clear()
        if data is not None:
            self.update(data)

    # Stores are looked at under -X dev only, so that else they are the core's own.

    if sys.flags.dev_mode and not TYPE_CHECKING:

        def __setitem__(self, owner: O, value: V) -> None:
            super().__setitem__(owner, value)
            _examine(self, owner, value)

        def setdefault(self, owner: O, default: Any = None) -> Any:
            """Return the value of `owner`, or store `default` and return that; one atomic step."""
            value = super().setdefault(owner, default)
            _examine(self, owner, value)
            return value

    def _walk(self, *, backwards: bool = False) -> Iterator[tuple[O, V]]:
        entries = self._entries()
        for ref, value in reversed(entries) if backwards else entries:
            owner = ref()
            if owner is not None:
                yield owner, value

    def __iter__(self) -> Iterator[O]:
        return _living(self._refs())

    def __reversed__(self) -> Iterator[O]:
        return _living(self._refs()[::-1])

    def keys(self) -> KeysView[O]:
        """Return a view of the owners; what its set operators make is a `WeakIdentitySet`."""
        return _Owners(self)

    def keyrefs(self) -> list[weakref.ref[O]]:
        """Return a list of weak references to the owners, as `weakref.WeakKeyDictionary` does."""
        return [weakref.ref(owner) for owner in self]

    def __eq__(self, other: object) -> bool:
        """Whether the other mapping has the same owners, by identity, with equal values."""
        if not isinstance(other, Mapping):
            return NotImplemented
        theirs = _pairs_by_identity(other)  # pyright: ignore[reportUnknownArgumentType]
        mine = _pairs_by_identity(self)
        return mine.keys() == theirs.keys() and all(mine[number][1] == theirs[number][1] for number in mine)

    __hash__ = None  # type: ignore[assignment]

    @recursive_repr("...")
    def __repr__(self) -> str:
        pairs = ", ".join(f"{owner!r}: {value!r}" for owner, value in self._walk())
        return f"{type(self).__name__}({{{pairs}}})"

    def _deepen(self, value: V, memo: dict[int, Any]) -> V:
        return deepcopy(value, memo)


class _Owners(WeakKeys[O]):
    """The owners of a mapping; what its set operators make is a `WeakIdentitySet`."""

    @classmethod
    def _from_iterable(cls, it: Iterable[Any]) -> Any:
        return WeakIdentitySet(it)


def _examine(mapping: WeakIdentityDict[Any, Any], owner: Any, value: Any) -> None:
    warn_if_owned(owner, value, type(mapping).__name__)


class WeakIdentitySet(IdentitySetCore[O], MutableSet[O]):
    """A set that keeps no member alive and tells members apart by identity, in the order of insertion.

    Members may be unhashable and may be equal to each other. Comparisons and operators go by identity too, whatever the other side is.
    Loops walk a snapshot, and every single operation is atomic.

    >>> class Window(dict):
    ...     pass
    >>> first, second = Window(), Window()
    >>> windows = WeakIdentitySet([first, second])
    >>> len(windows), first in windows, Window() in windows
    (2, True, False)
    >>> del second
    >>> len(windows)
    1
    """

    __module__ = "safemem"
    __slots__ = ("__dict__", "__weakref__")

    def __init__(self, data: Iterable[O] | None = None, /) -> None:
        members = [] if data is None else [*data]  # held, and read before anything is forgotten
        self.clear()
        self.update(members)

    def __iter__(self) -> Iterator[O]:
        return _living(self._refs())

    def __reversed__(self) -> Iterator[O]:
        return _living(self._refs()[::-1])

    def add(self, value: O) -> None:
        """Add a member, which comes last if it is new."""
        self._add(value)

    def discard(self, value: Any) -> None:
        """Remove a member if it is here."""
        self._discard(value)

    def remove(self, value: Any) -> None:
        """Remove a member; KeyError if it is not here."""
        if not self._discard(value):
            raise KeyError(value)

    def pop(self) -> O:
        """Remove and return the member that came last; KeyError if there is none."""
        pair = self._pop_last()
        if pair is None:
            msg = f"{type(self).__name__} is empty"
            raise KeyError(msg)
        return pair[0]

    # -- making sets of sets --------------------------------------------------------------------------------------------------------

    @classmethod
    def _from_iterable(cls, it: Iterable[Any]) -> Any:
        other = cls.__new__(cls)
        other.update(it)
        return other

    def copy(self) -> Self:
        """Return an independent set of the same class with the members that live."""
        other: Self = self._from_iterable(self)
        restore(other, attributes(self))
        return other

    def __copy__(self) -> Self:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return a set of the same members, its attributes copied deeply: copies of the members would die at once."""
        other: Self = self._from_iterable(self)
        memo[id(self)] = other
        restore(other, deepcopy(attributes(self), memo))
        return other

    def __reduce__(self) -> tuple[Any, ...]:
        state = (list(self), attributes(self))
        return copyreg.__newobj__, (type(self),), state  # type: ignore[attr-defined] # how pickle makes an object without calling __init__

    def __setstate__(self, state: tuple[list[O], dict[str, Any]]) -> None:
        members, names = state
        restore(self, names)
        self.update(members)

    def update(self, *others: Iterable[O]) -> None:
        """Add all members of the others."""
        for other in others:
            for member in [*other] if other is self else other:
                self.add(member)

    def union(self, *others: Iterable[S]) -> WeakIdentitySet[O | S]:
        """Return a set of the members of this one and of all others."""
        made: Any = self.copy()
        made.update(*others)
        return made  # type: ignore[no-any-return]

    def intersection(self, *others: Iterable[object]) -> Self:
        """Return a set of the members that all others have too."""
        held = [_by_identity(other) for other in others]
        return self._from_iterable(member for member in self if all(id(member) in other for other in held))  # type: ignore[no-any-return]

    def difference(self, *others: Iterable[object]) -> Self:
        """Return a set of the members that no other has."""
        held = [_by_identity(other) for other in others]
        return self._from_iterable(member for member in self if not any(id(member) in other for other in held))  # type: ignore[no-any-return]

    def symmetric_difference(self, other: Iterable[S]) -> WeakIdentitySet[O | S]:
        """Return a set of the members that only one of both has."""
        theirs = _by_identity(other)
        made: WeakIdentitySet[Any] = self._from_iterable(member for member in self if id(member) not in theirs)
        made.update(member for member in theirs.values() if member not in self)
        return made

    def intersection_update(self, *others: Iterable[object]) -> None:
        """Keep only the members that all others have too."""
        held = [_by_identity(other) for other in others]
        for member in self:
            if not all(id(member) in other for other in held):
                self.discard(member)

    def difference_update(self, *others: Iterable[object]) -> None:
        """Remove the members that any other has."""
        for other in others:
            for member in [*other] if other is self else other:
                self.discard(member)

    def symmetric_difference_update(self, other: Iterable[O]) -> None:
        """Keep the members that only one of both has."""
        for member in _by_identity(other).values():
            if not self._discard(member):
                self.add(member)

    def issubset(self, other: Iterable[object]) -> bool:
        """Whether the other has all members."""
        theirs = _by_identity(other)
        return all(id(member) in theirs for member in self)

    def issuperset(self, other: Iterable[object]) -> bool:
        """Whether every member of the other is here."""
        return all(member in self for member in other)

    def isdisjoint(self, other: Iterable[object]) -> bool:
        """Whether both have no member in common."""
        return not any(member in self for member in other)

    # -- operators, which take sets as those of `set` do ----------------------------------------------------------------------------

    def __or__(self, other: AbstractSet[S]) -> WeakIdentitySet[O | S]:
        return self.union(other) if _is_set(other) else NotImplemented

    def __ror__(self, other: AbstractSet[S]) -> WeakIdentitySet[O | S]:  # type: ignore[misc]
        if not _is_set(other):
            return NotImplemented
        made: WeakIdentitySet[Any] = self._from_iterable(other)
        made.update(self)
        return made

    def __and__(self, other: AbstractSet[Any]) -> Self:
        if not _is_set(other):
            return NotImplemented
        return self.intersection(other)

    __rand__ = __and__

    def __sub__(self, other: AbstractSet[Any]) -> Self:
        if not _is_set(other):
            return NotImplemented
        return self.difference(other)

    def __rsub__(self, other: AbstractSet[S]) -> WeakIdentitySet[S]:  # type: ignore[misc]
        if not _is_set(other):
            return NotImplemented
        return self._from_iterable(member for member in other if member not in self)  # type: ignore[no-any-return]

    def __xor__(self, other: AbstractSet[S]) -> WeakIdentitySet[O | S]:
        return self.symmetric_difference(other) if _is_set(other) else NotImplemented

    __rxor__ = __xor__

    def __ior__(self, other: AbstractSet[O]) -> Self:  # type: ignore[override, misc]
        return self._in_place(self.update, other)

    def __iand__(self, other: AbstractSet[Any]) -> Self:
        return self._in_place(self.intersection_update, other)

    def __isub__(self, other: AbstractSet[Any]) -> Self:
        return self._in_place(self.difference_update, other)

    def __ixor__(self, other: AbstractSet[O]) -> Self:  # type: ignore[override, misc]
        return self._in_place(self.symmetric_difference_update, other)

    def _in_place(self, operation: Any, other: object) -> Self:
        if not _is_set(other):
            return NotImplemented  # type: ignore[no-any-return]
        operation(other)
        return self

    def __eq__(self, other: object) -> bool:
        """Whether the other is a set with the same members, by identity."""
        if not isinstance(other, AbstractSet):
            return NotImplemented
        return _by_identity(self).keys() == _by_identity(other).keys()  # pyright: ignore[reportUnknownArgumentType]

    __hash__ = None  # type: ignore[assignment]

    def __le__(self, other: AbstractSet[Any]) -> bool:
        return self.issubset(other) if _is_set(other) else NotImplemented

    def __lt__(self, other: AbstractSet[Any]) -> bool:
        if not _is_set(other):
            return NotImplemented
        return _by_identity(self).keys() < _by_identity(other).keys()

    def __ge__(self, other: AbstractSet[Any]) -> bool:
        return self.issuperset(other) if _is_set(other) else NotImplemented

    def __gt__(self, other: AbstractSet[Any]) -> bool:
        if not _is_set(other):
            return NotImplemented
        return _by_identity(self).keys() > _by_identity(other).keys()

    @recursive_repr("...")
    def __repr__(self) -> str:
        members = ", ".join(map(repr, self))
        return f"{type(self).__name__}({{{members}}})" if members else f"{type(self).__name__}()"
