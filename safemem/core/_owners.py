"""One object for each owner, kept for as long as the owner lives and never longer: how methods cache without pinning their instance.

The object lies in the owner's own `__dict__` where it has one, so that an owner that its own cached value refers to is plain cyclic garbage.
Owners without a `__dict__` are looked up by identity in a table of weak references.
"""

from __future__ import annotations

import sys
import warnings
import weakref
from collections import deque
from typing import Any, Final, Generic, TypeVar

from safemem._compat import MISSING
from safemem.core._locks import new_lock
from safemem.errors import CycleWarning

__all__ = ["Handle", "Owners", "warn_if_pinned"]

_read_attribute: Final = object.__getattribute__
_write_attribute: Final = object.__setattr__

O = TypeVar("O")  # noqa: E741 - reads well where it is used


class Handle(weakref.ref[Any], Generic[O]):
    """A weak reference to an owner that holds what it owns; `home` says for which method.

    The callback is the slot's own deletion, a function of the interpreter's: no lock is taken and no Python code runs when an owner dies,
    and what it owned goes, even if a copy of its `__dict__` still has this handle.
    """

    __slots__ = ("home", "owned")

    home: object
    owned: O

    # Two handles in the dictionaries of two owners must not compare the owners, which may be comparing their dictionaries.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __reduce__(self) -> tuple[Any, ...]:
        # An owner's copy or pickle takes its __dict__ along. What lies there belongs to the original alone.
        return _nobody, ()


class _Nobody:
    """What a deep copy or pickle of an owner has in place of its original's handle."""

    __slots__ = ()
    home = None

    def __call__(self) -> object:
        """Return an owner that no object is."""
        return MISSING

    def __reduce__(self) -> tuple[Any, ...]:
        return _nobody, ()


def _nobody() -> _Nobody:
    return _Nobody()


_let_go: Final[Any] = vars(Handle)["owned"].__delete__


class Owners(Generic[O]):
    """A mapping from owner to its object, for one decorated method; `home` marks the objects that are its own."""

    __slots__ = ("_attribute", "_given", "_peak", "_queue", "_table", "home", "lock")

    def __init__(self, attribute: str) -> None:
        self.home = object()
        self._attribute = sys.intern(attribute)  # names of attributes are found by identity
        self.lock = new_lock()
        self._given = 0
        self._table: dict[int, Handle[O]] = {}
        self._peak = 0
        self._queue: deque[int] = deque()  # the keys of the table, in the order in which they are looked at next

    def find(self, owner: Any) -> O | None:
        """Return the owner's object, if it has one."""
        handle = self._look_up(owner)
        return handle.owned if handle is not None and handle.home is self.home and handle() is owner else None

    def _look_up(self, owner: Any) -> Handle[O] | None:
        try:
            return self._read(owner)
        except (AttributeError, KeyError):
            return self._table.get(id(owner))

    def _read(self, owner: Any) -> Handle[O]:
        if isinstance(owner, type):
            return type.__getattribute__(owner, "__dict__")[self._attribute]  # type: ignore[no-any-return]
        return _read_attribute(owner, self._attribute)  # type: ignore[no-any-return]

    def give(self, owner: Any, owned: O) -> O:
        """Make `owned` the owner's object, unless another thread was quicker; return the one that is.

        TypeError if the owner cannot be weakly referenced.
        """
        handle: Handle[O] = Handle(owner, _let_go)
        handle.owned = owned
        handle.home = self.home
        key = id(owner)
        is_class = isinstance(owner, type)
        with self.lock:
            while True:
                # Finalisers and signal handlers may come in between, and ask for the same.
                given = self._given
                there = self._look_up(owner)
                if there is not None and there() is owner:
                    if there.home is self.home:
                        return there.owned
                    self._attribute = sys.intern(f"{self._attribute}#{id(self):x}")  # a method of the same name of a class of the same name
                tabled = not is_class and not type(owner).__dictoffset__
                if self._given == given:
                    break
            self._given = given + 1
            if not tabled:
                try:
                    if is_class:
                        type.__setattr__(owner, self._attribute, handle)
                    else:
                        _write_attribute(owner, self._attribute, handle)
                except (AttributeError, TypeError):  # a class that guards its attributes in C
                    tabled = True
            if tabled:
                table = self._table
                known = key in table
                table[key] = handle
                self._tend(key, known=known)
            return owned

    def _tend(self, key: int, *, known: bool) -> None:
        """Look after the table when an owner has come into it."""
        table, queue = self._table, self._queue
        if not known:  # else a dead one of that address is in the queue already, and its turn comes once
            queue.append(key)
        for _ in range(min(len(queue), 3)):  # for each that comes, three are looked at: what a crowd left behind is soon gone
            number = queue.popleft()
            other = table.get(number)
            if other is not None and other() is None:
                table.pop(number, None)
            elif other is not None:
                queue.append(number)
        self._peak = max(self._peak, len(table))
        if 4 * len(table) < self._peak:  # a dict keeps the room it once needed
            given = self._given
            smaller = dict(table)
            if self._given == given:  # else one has come meanwhile
                self._table, self._peak = smaller, len(smaller)


def warn_if_pinned(owner: object, value: object, name: str) -> None:
    """Under `-X dev`: warn if a value that is cached for an owner without a `__dict__` leads back to the owner, which it then keeps alive."""
    if not sys.flags.dev_mode or type(owner).__dictoffset__:
        return
    import gc

    queue, seen = [value], {id(value)}
    while queue and len(seen) < 1000:
        item = queue.pop()
        if item is owner:
            msg = (
                f"a value cached by {name} refers to its own {type(owner).__name__} instance, which has no __dict__ and is kept alive"
                " until the cache is cleared; return something that does not refer to it, or give the class a __dict__"
            )
            warnings.warn(msg, CycleWarning, stacklevel=3)
            return
        if isinstance(item, type) or type(item).__name__ in {"module", "function"}:
            continue
        for other in gc.get_referents(item):
            if id(other) not in seen:
                seen.add(id(other))
                queue.append(other)
