"""The pure identity core: what is known about objects, found by their identity and dropped after their death.

A table leads from the address of an owner to a weak reference and a value. An address is given to another object when its owner has died, so
an entry counts only if its reference leads to the very object asked about.

Every table operation is a single step of the interpreter. The lock is only for steps that must not come between those of others: putting an
owner in, and taking out the entry of a dead one. The callback of all references of a core is `append` of its pending deaths, which the next
operation works off: no lock is taken and no Python code runs when an owner dies.
"""

from __future__ import annotations

import weakref
from collections import deque
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from safemem._compat import MISSING, V
from safemem.core._locks import new_lock
from safemem.core._weakable import check_weakable, unweakable

if TYPE_CHECKING:
    from _thread import RLock
    from typing import Self

__all__ = ["IdentityCore", "IdentitySetCore", "O"]

O = TypeVar("O")  # noqa: E741 - reads well where it is used

_ROLE: Final = "owner"


class Ref(weakref.ref[Any]):
    """A weak reference that knows where its entry is."""

    __slots__ = ("number",)

    number: int

    # References of owners must not compare or hash the owners.
    __eq__ = object.__eq__
    __hash__ = object.__hash__


class IdentitySetCore(Generic[O]):
    """Owners by identity, in the order in which they came."""

    __slots__ = ("_data", "_lock", "_pending")

    _data: dict[int, tuple[Ref, Any]]
    _lock: RLock
    _pending: deque[Ref]

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self:
        """Make it whole, whatever a subclass does in `__init__`."""
        self = super().__new__(cls)
        self._data = {}
        self._pending = deque()
        self._lock = new_lock()
        return self

    def __len__(self) -> int:
        """Return how many owners live."""
        if self._pending:
            self._drain()
        return len(self._data)

    def __contains__(self, owner: object) -> bool:
        """Whether this very object is here."""
        if self._pending:
            self._drain()
        entry = self._data.get(id(owner))
        return entry is not None and entry[0]() is owner

    def clear(self) -> None:
        """Remove all owners."""
        self._drain()
        entries = list(self._data.values())  # let go of below, when the table is empty
        self._data.clear()
        del entries

    def _put(self, owner: O, value: Any) -> None:
        """Store the value of an owner; a new one comes last, another keeps its place."""
        data = self._data
        number = id(owner)
        entry = data.get(number)
        if entry is not None and entry[0]() is owner:  # it lives, so nobody else can come to this place meanwhile
            data[number] = (entry[0], value)
            return
        self._join(owner, value)

    def _join(self, owner: O, value: Any) -> Any:
        """Store the value of a new owner and return MISSING; return the value that another thread stored meanwhile."""
        pending = self._pending
        try:
            ref = Ref(owner, pending.append)
        except TypeError:
            raise unweakable(_ROLE, owner) from None
        number = ref.number = id(owner)
        if pending:
            self._drain()
        entry = (ref, value)
        while True:
            with self._lock:
                former = self._data.setdefault(number, entry)
                if former is entry:
                    return MISSING
                if former[0]() is not owner:  # another's, whose death has not been reported yet
                    self._data.pop(number, None)
                    continue
            return former[1]

    def _pull(self, owner: object) -> tuple[Ref, Any] | None:
        """Take the entry of an owner out; None if there is none."""
        if self._pending:
            self._drain()
        number = id(owner)
        entry = self._data.get(number)
        if entry is None or entry[0]() is not owner:
            return None
        return self._data.pop(number, None)  # it lives, so the place is its own

    def _add(self, owner: O) -> None:
        if owner not in self:
            self._join(owner, None)

    def _discard(self, owner: object) -> bool:
        """Remove an owner; return whether it was here."""
        return self._pull(owner) is not None

    def _pop_last(self) -> tuple[O, Any] | None:
        """Remove and return the owner that came last, and its value; None if there is none."""
        self._drain()
        while True:
            try:
                (ref, value) = self._data.popitem()[1]
            except KeyError:
                return None
            owner = ref()
            if owner is not None:
                return owner, value

    def _refs(self) -> list[weakref.ref[O]]:
        """Return references to all owners."""
        # In one step, and one in which nothing is allocated that could start the collector.
        self._drain()
        return [entry[0] for entry in list(self._data.values())]

    def _entries(self) -> list[tuple[weakref.ref[O], Any]]:
        """Return a reference to each owner and its value."""
        self._drain()
        return list(self._data.values())

    def _drain(self) -> None:
        """Take out the entries of owners that have died."""
        pending, data = self._pending, self._data
        gone: list[tuple[Ref, Any]] = []  # let go of when nothing is locked
        while pending:
            with self._lock:
                try:
                    ref = pending.popleft()
                except IndexError:  # another thread was faster
                    break
                number = ref.number
                entry = data.get(number)
                if entry is None or entry[0] is not ref or ref() is not None:  # who gets hold of one that lives can put it here too
                    continue
                entry = data.pop(number, None)
                if entry is not None and entry[0] is not ref:  # a finaliser came in between and put a new owner there
                    data.setdefault(number, entry)
                elif entry is not None:
                    gone.append(entry)

    def _check(self) -> None:
        """Raise AssertionError if the inner structure is out of step; for tests."""
        self._drain()
        for number, (ref, _value) in list(self._data.items()):
            owner = ref()
            assert ref.number == number, "an entry is in the wrong place"
            assert owner is None or id(owner) == number, "an entry is in the place of another object"


class IdentityCore(IdentitySetCore[O], Generic[O, V]):
    """Values by the identity of their owner."""

    __slots__ = ()

    def __getitem__(self, owner: O) -> V:
        """Return the value of this very object."""
        # What has died is not looked after where an owner is found: this is the hot path.
        try:
            ref, value = self._data[id(owner)]
        except KeyError:
            pass
        else:
            if ref() is owner:
                return value  # type: ignore[no-any-return]
        self._drain()
        check_weakable(_ROLE, owner)
        raise KeyError(owner)

    def __setitem__(self, owner: O, value: V) -> None:
        """Store the value of an owner."""
        # As `_put`, but for a call less.
        data = self._data
        number = id(owner)
        entry = data.get(number)
        if entry is not None and entry[0]() is owner:
            data[number] = (entry[0], value)
        elif self._join(owner, value) is not MISSING:
            self._put(owner, value)

    def __delitem__(self, owner: O) -> None:
        """Remove an owner and its value."""
        if self._pull(owner) is None:
            check_weakable(_ROLE, owner)
            raise KeyError(owner)

    def get(self, owner: Any, default: Any = None) -> Any:
        """Return the value of `owner`, or `default`."""
        if self._pending:
            self._drain()
        entry = self._data.get(id(owner))
        return entry[1] if entry is not None and entry[0]() is owner else default

    def setdefault(self, owner: O, default: Any = None) -> Any:
        """Return the value of `owner`, or store `default` and return that; one atomic step."""
        entry = self._data.get(id(owner))
        if entry is not None and entry[0]() is owner:
            return entry[1]
        other = self._join(owner, default)
        return default if other is MISSING else other

    def pop(self, owner: Any, default: Any = MISSING) -> Any:
        """Remove `owner` and return its value, else `default` if given, else raise KeyError; one atomic step."""
        entry = self._pull(owner)
        if entry is not None:
            return entry[1]
        if default is MISSING:
            check_weakable(_ROLE, owner)
            raise KeyError(owner)
        return default

    def popitem(self) -> tuple[O, V]:
        """Remove and return the `(owner, value)` pair that came last; KeyError if there is none."""
        pair = self._pop_last()
        if pair is None:
            msg = f"{type(self).__name__} is empty"
            raise KeyError(msg)
        return pair
