"""WeakRegistry: names of objects that live elsewhere, which the registry finds but does not keep alive.

Reads are single steps of the interpreter and take no lock. Changes hold a lock for as long as two steps must not be parted; the only foreign
code under it is `__hash__` and `__eq__` of names. The callback of all references of a registry is `append` of its pending deaths, which the
next operation works off, without a lock: a dead entry is taken out in one step, and whoever looks at it before sees that it is dead.
"""

from __future__ import annotations

import sys
import weakref
from _weakref import _remove_dead_weakref  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType]
from collections import deque
from functools import partial
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, TypeVar, overload

from safemem._compat import MISSING, D, K, V
from safemem.core import RemovalCause, new_lock, report_unraisable
from safemem.core._pinned import warn_if_immortal
from safemem.core._weakable import unweakable
from safemem.weak.mappings import WeakMapping

if TYPE_CHECKING:
    from _thread import RLock
    from collections.abc import Callable, Iterable, Iterator, Mapping

__all__ = ["WeakRegistry"]

W = TypeVar("W")

_DEV_MODE = sys.flags.dev_mode


class Ref(weakref.ref[Any]):
    """A weak reference that knows its name."""

    __slots__ = ("name",)

    name: Any

    # References must not compare or hash what they refer to.
    __eq__ = object.__eq__
    __hash__ = object.__hash__


class WeakRegistry(WeakMapping[K, V]):
    """Names for objects: a mapping from name to object that keeps no object alive.

    Made empty, or with the items of a mapping or of pairs and those of keywords, as a dict is. A name is gone when its object is. The order is that of insertion, loops walk a snapshot, and every single operation is atomic.
    `on_remove(name, object, cause)` hears of every entry that leaves, after the registry is consistent again and with no lock held, in the
    thread whose call removed it: `EXPLICIT` (deleted, popped, cleared), `REPLACED` (not by the same object), or `COLLECTED`, with None for
    the object, told at the next operation on the registry. An exception in it goes to `sys.unraisablehook`.

    >>> plugins = WeakRegistry()
    >>> @plugins.register
    ... def resize():
    ...     pass
    >>> plugins["resize"] is resize
    True
    >>> del resize
    >>> list(plugins)
    []
    """

    __module__ = "safemem"
    __slots__ = ("__dict__", "__weakref__", "_data", "_lock", "_note", "_on_remove", "_owed", "_pending")

    _data: dict[K, Ref]
    _lock: RLock
    _note: Callable[[Ref], None]
    _on_remove: Callable[[K, V | None, RemovalCause], object] | None
    _owed: set[Ref]
    _pending: deque[Ref]

    def __init__(
        self,
        data: Mapping[K, V] | Iterable[tuple[K, V]] | None = None,
        /,
        *,
        on_remove: Callable[[K, V | None, RemovalCause], object] | None = None,
        **names: V,
    ) -> None:
        self.clear()
        self._set_options(on_remove=on_remove)
        if data is not None or names:
            self.update(() if data is None else data, **names)

    def _make(self) -> None:
        self._data = {}
        self._lock = new_lock()
        self._on_remove = None
        self._owed = set()
        self._pending = deque()
        self._note = self._pending.append

    def _options(self) -> dict[str, Any]:
        return {"on_remove": self._on_remove}

    def _set_options(self, **options: Any) -> None:
        on_remove = options["on_remove"]
        if on_remove is not None and not callable(on_remove):
            msg = f"on_remove must be callable, got {on_remove!r}"
            raise TypeError(msg)
        self._on_remove = on_remove

    # -- looking up -----------------------------------------------------------------------------------------------------------------

    def __getitem__(self, name: K) -> V:
        """Return the object of this name."""
        if self._pending:
            self._settle()
        obj = self._data[name]()
        if obj is None:
            raise KeyError(name)
        return obj  # type: ignore[no-any-return]

    @overload
    def get(self, name: K, default: None = None) -> V | None: ...
    @overload
    def get(self, name: K, default: V) -> V: ...
    @overload
    def get(self, name: K, default: D) -> V | D: ...
    def get(self, name: K, default: Any = None) -> Any:
        """Return the object of `name`, or `default`."""
        if self._pending:
            self._settle()
        ref = self._data.get(name)
        if ref is None:
            return default
        obj = ref()
        return default if obj is None else obj

    def __contains__(self, name: object) -> bool:
        if self._pending:
            self._settle()
        ref = self._data.get(name)  # type: ignore[arg-type]
        return ref is not None and ref() is not None

    def __len__(self) -> int:
        if self._pending:
            self._settle()
        return len(self._data)

    def _walk(self, *, backwards: bool = False) -> Iterator[tuple[K, V]]:
        refs = self._snapshot()
        for ref in reversed(refs) if backwards else refs:
            obj = ref()
            if obj is not None:
                yield ref.name, obj

    def __iter__(self) -> Iterator[K]:
        for ref in self._snapshot():
            if ref() is not None:
                yield ref.name

    def __reversed__(self) -> Iterator[K]:
        for ref in reversed(self._snapshot()):
            if ref() is not None:
                yield ref.name

    def _snapshot(self) -> list[Ref]:
        self._settle()
        return list(self._data.values())  # one step, and nothing is allocated in it that could start the collector

    def valuerefs(self) -> list[weakref.ref[V]]:
        """Return a list of weak references to the objects, as `weakref.WeakValueDictionary` does."""
        return [weakref.ref(obj) for obj in self.values()]

    def itervaluerefs(self) -> Iterator[weakref.ref[V]]:
        """Return an iterator over weak references to the objects, as `weakref.WeakValueDictionary` does."""
        return iter(self.valuerefs())

    # -- changing -------------------------------------------------------------------------------------------------------------------

    def __setitem__(self, name: K, obj: V) -> None:
        """Name an object; whoever had the name before has lost it."""
        self._store(name, obj, None)

    @overload
    def register(self, obj: W, name: Any = None, *, replace: bool = False) -> W: ...
    @overload
    def register(self, *, name: Any = None, replace: bool = False) -> Callable[[W], W]: ...
    def register(self, obj: Any = MISSING, name: Any = None, *, replace: bool = False) -> Any:
        """Name an object and return it; also a decorator, with or without arguments.

        The default name is the object's `__name__`, and a ValueError if it has none. A name that another live object has is a ValueError
        too, unless `replace=True`; registering the same object again changes nothing.

        >>> shapes = WeakRegistry()
        >>> @shapes.register(name="round")
        ... class Circle:
        ...     pass
        >>> shapes["round"] is Circle
        True
        """
        if obj is MISSING:
            return partial(self.register, name=name, replace=replace)
        if not type(obj).__weakrefoffset__:
            raise unweakable("obj", obj)
        if name is None:
            name = getattr(obj, "__name__", None)
            if name is None:
                msg = f"name must be given for an object without a __name__, got {obj!r}"
                raise ValueError(msg)
        other = self._store(name, obj, lambda other: replace or other is obj)
        if other is not MISSING:
            msg = f"name {name!r} is taken by {other!r}; pass replace=True to take it over"
            raise ValueError(msg)
        return obj

    def setdefault(self, name: K, default: Any = None) -> Any:
        """Return the object of `name`, or name `default` so and return that; one atomic step."""
        found = self.get(name, MISSING)
        if found is not MISSING:
            return found
        other = self._store(name, default, lambda _other: False)
        return default if other is MISSING else other

    def _store(self, name: K, obj: Any, may_replace: Callable[[Any], bool] | None) -> Any:
        """Name an object and return MISSING; return the live object that has the name and keeps it."""
        try:
            ref = Ref(obj, self._note)
        except TypeError:
            raise unweakable("a registered object", obj) from None
        ref.name = name
        if self._pending:
            self._settle()
        told = self._on_remove is not None
        other = None
        with self._lock:
            former = self._data.get(name)
            if former is not None:
                other = former()
                if other is None:  # its death has not been reported yet; the name comes anew, and last
                    self._data.pop(name, None)
                elif may_replace is not None and not may_replace(other):
                    return other
                elif other is obj:
                    return MISSING
                else:
                    ref.name = former.name  # what the table keeps, so that no name is let go of under the lock
            if told:
                self._owed.add(ref)
            self._data[name] = ref
        if told and former is not None:
            self._tell([(former, other, RemovalCause.COLLECTED if other is None else RemovalCause.REPLACED)])
        if _DEV_MODE:
            warn_if_immortal(name, obj, type(self).__name__)
        return MISSING

    def __delitem__(self, name: K) -> None:
        """Forget a name."""
        self.pop(name)

    @overload
    def pop(self, name: K) -> V: ...
    @overload
    def pop(self, name: K, default: V) -> V: ...
    @overload
    def pop(self, name: K, default: D) -> V | D: ...
    def pop(self, name: K, default: Any = MISSING) -> Any:
        """Forget `name` and return its object, else `default` if given, else raise KeyError; one atomic step."""
        self._settle()
        with self._lock:
            ref = self._data.pop(name, None)
        if ref is not None:
            obj = ref()
            self._tell([(ref, obj, RemovalCause.COLLECTED if obj is None else RemovalCause.EXPLICIT)])
            if obj is not None:
                return obj
        if default is MISSING:
            raise KeyError(name)
        return default

    def popitem(self) -> tuple[K, V]:
        """Forget the name that came last and return the `(name, object)` pair; KeyError if there is none."""
        self._settle()
        while True:
            with self._lock:
                if not self._data:
                    break
                ref = self._data.popitem()[1]
            obj = ref()
            self._tell([(ref, obj, RemovalCause.COLLECTED if obj is None else RemovalCause.EXPLICIT)])
            if obj is not None:
                return ref.name, obj
        msg = f"{type(self).__name__} is empty"
        raise KeyError(msg)

    def clear(self) -> None:
        """Forget all names."""
        self._settle()
        with self._lock:
            refs = list(self._data.values())
            self._data.clear()
        gone = [(ref, ref()) for ref in refs]
        self._tell([(ref, obj, RemovalCause.COLLECTED if obj is None else RemovalCause.EXPLICIT) for ref, obj in gone])

    # -- deaths and news ------------------------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Take out the entries of objects that have died, and tell."""
        pending = self._pending
        while pending:
            try:
                ref = pending.popleft()
            except IndexError:  # another thread was faster
                return
            try:
                _remove_dead_weakref(self._data, ref.name)  # in one step, and only if what is there has died
            except Exception as error:  # noqa: BLE001 - the name's __hash__ or __eq__; its caller did not ask about this name
                report_unraisable(error)
            if self._on_remove is not None:
                self._tell([(ref, None, RemovalCause.COLLECTED)])

    def _tell(self, gone: list[tuple[Ref, Any, RemovalCause]]) -> None:
        on_remove = self._on_remove
        if on_remove is None:
            return
        for ref, obj, cause in gone:
            try:
                self._owed.remove(ref)  # of those who see it gone, one tells
            except KeyError:
                continue
            try:
                on_remove(ref.name, obj, cause)
            except BaseException as error:  # noqa: BLE001 - it belongs to no caller
                report_unraisable(error)

    @recursive_repr("...")
    def __repr__(self) -> str:
        pairs = ", ".join(f"{name!r}: {obj!r}" for name, obj in self._walk())
        return f"{type(self).__name__}({{{pairs}}})"
