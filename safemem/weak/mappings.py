"""What the weak mappings share: views over a snapshot, merging, copying, pickling.

A snapshot holds its members weakly too: what has died when its turn comes is passed over, and nothing is kept alive by a loop but the
member it is at.
"""

from __future__ import annotations

import copyreg
from abc import abstractmethod
from collections.abc import ItemsView, Iterator, KeysView, Mapping, MutableMapping, ValuesView
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from safemem._compat import K, V

if TYPE_CHECKING:
    from typing import Self

__all__ = ["WeakKeys", "WeakMapping", "attributes", "restore"]


def attributes(obj: object) -> dict[str, Any]:
    """Return what lies in the `__dict__` of a container of ours, and in `__slots__` that a subclass added."""
    genuine = next(base for base in type(obj).__mro__ if base.__module__ == "safemem")
    slots: set[str] = set(copyreg._slotnames(type(obj))) - set(copyreg._slotnames(genuine))  # type: ignore[attr-defined]
    return vars(obj) | {name: getattr(obj, name) for name in slots if hasattr(obj, name)}


def restore(obj: object, names: dict[str, Any]) -> None:
    """Give a copy what `attributes` found."""
    for name, value in names.items():
        setattr(obj, name, value)


def _second(pairs: Iterator[tuple[Any, V]]) -> Iterator[V]:
    for _key, value in pairs:
        yield value


class _View:
    """What all views can do: be asked for one member after another, as the iterators can that the weak dictionaries of weakref return."""

    # Must not lead back to the view: no `__iter__` of a view is a generator function itself.
    _walker: Iterator[Any] | None = None

    def __next__(self) -> Any:
        walker = self._walker
        if walker is None:
            view: Any = self
            walker = self._walker = iter(view)
        return next(walker)


class WeakKeys(_View, KeysView[K]):
    """The keys, in the order in which they came."""

    _mapping: WeakMapping[K, Any]

    def __iter__(self) -> Iterator[K]:
        return iter(self._mapping)

    def __reversed__(self) -> Iterator[K]:
        return reversed(self._mapping)


class WeakValues(_View, ValuesView[V]):
    """The values, in the order of their keys."""

    _mapping: WeakMapping[Any, V]

    def __contains__(self, value: object) -> bool:
        return any(other is value or other == value for other in self)

    def __iter__(self) -> Iterator[V]:
        return _second(self._mapping._walk())

    def __reversed__(self) -> Iterator[V]:
        return _second(self._mapping._walk(backwards=True))


class WeakItems(_View, ItemsView[K, V]):
    """The `(key, value)` pairs, in the order in which the keys came."""

    _mapping: WeakMapping[K, V]

    def __iter__(self) -> Iterator[tuple[K, V]]:
        return self._mapping._walk()

    def __reversed__(self) -> Iterator[tuple[K, V]]:
        return self._mapping._walk(backwards=True)


class WeakMapping(MutableMapping[K, V]):
    """A mapping one side of which is held weakly."""

    __slots__ = ()

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self:
        """Make it whole, whatever a subclass does in `__init__`."""
        self = super().__new__(cls)
        self._make()
        return self

    def _make(self) -> None:
        """Set what an empty mapping needs, unless a core does."""

    @abstractmethod
    def _walk(self, *, backwards: bool = False) -> Iterator[tuple[K, V]]:
        """Walk over a snapshot of the pairs that live."""

    def _options(self) -> dict[str, Any]:
        """Return the keywords that make an empty mapping like this one."""
        return {}

    def _set_options(self, **options: Any) -> None:
        """Do what the constructor does with these."""

    def __iter__(self) -> Iterator[K]:
        for key, _value in self._walk():
            yield key

    def __reversed__(self) -> Iterator[K]:
        for key, _value in self._walk(backwards=True):
            yield key

    def keys(self) -> KeysView[K]:
        """Return a view of the keys; each loop over it walks a snapshot."""
        return WeakKeys(self)

    def values(self) -> ValuesView[V]:
        """Return a view of the values; each loop over it walks a snapshot."""
        return WeakValues(self)

    def items(self) -> ItemsView[K, V]:
        """Return a view of the `(key, value)` pairs; each loop over it walks a snapshot."""
        return WeakItems(self)

    def update(self, other: Any = (), /, **names: V) -> None:
        """Store the items of a mapping or of an iterable of pairs, then the keyword arguments; each store is atomic, the whole is not.

        All are read before the first is stored.
        """
        items: Any
        if isinstance(other, Mapping):
            items = [*other.items()]  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        elif hasattr(other, "keys"):
            items = [(key, other[key]) for key in other.keys()]  # noqa: SIM118 - that is all it has in common with a mapping
        else:
            items = list(other)
        super().update(items, **names)

    def _empty(self) -> Self:
        other = type(self).__new__(type(self))
        other._set_options(**self._options())
        restore(other, attributes(self))
        return other

    def copy(self) -> Self:
        """Return an independent mapping of the same class with the members that live; members and values are the same objects."""
        other = self._empty()
        other.update(self)
        return other

    def __copy__(self) -> Self:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return a copy, its attributes copied deeply; what is held weakly is the same in both, as copies of that would die at once."""
        other = type(self).__new__(type(self))
        memo[id(self)] = other
        other._set_options(**self._options())
        restore(other, deepcopy(attributes(self), memo))
        for key, value in self._walk():
            other[key] = self._deepen(value, memo)
        return other

    def _deepen(self, value: V, _memo: dict[int, Any]) -> V:
        return value

    def __or__(self, other: object) -> Self:
        if not isinstance(other, Mapping):
            return NotImplemented
        merged: Any = self.copy()
        merged.update(other)
        return merged  # type: ignore[no-any-return]

    def __ror__(self, other: object) -> Self:
        if not isinstance(other, Mapping):
            return NotImplemented
        merged: Any = self._empty()
        merged.update(other)
        merged.update(self)
        return merged  # type: ignore[no-any-return]

    def __ior__(self, other: Any) -> Self:  # type: ignore[misc]
        self.update(other)
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        state = (self._options(), list(self._walk()), attributes(self))
        return copyreg.__newobj__, (type(self),), state  # type: ignore[attr-defined] # how pickle makes an object without calling __init__

    def __setstate__(self, state: tuple[dict[str, Any], list[tuple[K, V]], dict[str, Any]]) -> None:
        options, pairs, names = state
        self._set_options(**options)
        restore(self, names)
        for key, value in pairs:
            self[key] = value
