"""How a write to a field is noticed: its class is given a `__setattr__` and a `__delattr__` when somebody observes, and not before.

Reading is as it was, and so is everything in a class of which nobody observes any instance. The watch of an instance lies with it, as its signals
do: in its `__dict__`, or in a table of weak references if it has none. What cannot even be weakly referenced takes its watch out of a table when it
is finalised: then the class is given a `__del__` too.
"""

from __future__ import annotations

from functools import partial
from types import FunctionType, WrapperDescriptorType
from typing import TYPE_CHECKING, Any, Final

from safemem._graph import class_of
from safemem.core._owners import Owners
from safemem.observers.watching import MISSING, Watch, is_equal, value_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from safemem.core._owners import Handle

__all__ = ["find_watch", "give_watch", "hook"]

_get: Final = object.__getattribute__
_set: Final = object.__setattr__
_made: Final[dict[str, Owners[Watch]]] = {}  # with the first observer: there is a lock in it, and importing makes none


def _owners() -> Owners[Watch]:
    owners = _made.get("watches")
    return _made.setdefault("watches", Owners("_safemem_watch")) if owners is None else owners


class _Kept:
    """What the table has for an instance that cannot be weakly referenced."""

    __slots__ = ("owned",)

    def __init__(self, watch: Watch) -> None:
        self.owned = watch


class _Bare:
    """The table of instances that cannot be weakly referenced: by their addresses, until they are finalised."""

    __slots__ = ("_table",)

    def __init__(self) -> None:
        self._table: dict[int, _Kept] = {}

    def find(self, obj: object) -> Watch | None:
        """Return the watch of an instance, if it has one."""
        kept = self._table.get(id(obj))
        return None if kept is None else kept.owned

    def give(self, obj: object, watch: Watch) -> Watch:
        """Give an instance a watch, unless it has one; return the one it has."""
        import gc

        if gc.is_finalized(obj):
            msg = f"an object that has been finalised can be observed only if it can be weakly referenced, got one of type {type(obj).__qualname__}"
            raise TypeError(msg)
        hook(type(obj))
        return self._table.setdefault(id(obj), _Kept(watch)).owned


_bare: Final = _Bare()


def _home(cls: type) -> Owners[Watch] | _Bare:
    return _owners() if cls.__weakrefoffset__ else _bare


def _is_tabled(cls: type) -> bool:
    return not (cls.__weakrefoffset__ and cls.__dictoffset__)


def find_watch(obj: object) -> Watch | None:
    """Return the watch of an instance, if it has one."""
    return _home(type(obj)).find(obj)


def give_watch(obj: object, watch: Watch) -> Watch:
    """Give an instance a watch, unless it has one; return the one it has."""
    return _home(type(obj)).give(obj, watch)


def hook(cls: type) -> None:
    """Have the writes to all instances of a class looked at; nothing to do if they are."""
    if _is_hooked(cls):
        return
    home = _home(cls)
    with _owners().lock:  # no code of anybody else's runs here: a metaclass is passed over
        if not _is_hooked(cls):
            if not _is_tabled(cls):
                type.__setattr__(cls, "_safemem_watch", None)  # what is found in an instance that is not observed
            if home is _bare:
                type.__setattr__(cls, "__del__", _finaliser(cls))
            type.__setattr__(cls, "__delattr__", _deleter(cls, home))
            type.__setattr__(cls, "__setattr__", _setter(cls, home))


def _is_hooked(cls: type) -> bool:
    # Its own: what a base has would do, but takes longer.
    names = vars(cls)
    return hasattr(names.get("__setattr__"), "passes_to") and hasattr(names.get("__delattr__"), "passes_to")


def _setter(cls: type, home: Any) -> Any:
    tabled, bare = _is_tabled(cls), home is _bare
    store, always = _next(cls, "__setattr__")

    def __setattr__(self: Any, name: str, value: Any, /) -> None:  # noqa: N807
        handle: Handle[Watch] | None = home._table.get(id(self)) if tabled else self._safemem_watch
        if handle is not None and (bare or handle() is self):
            watch = handle.owned
            field = watch.fields.get(name)
            # Of several such functions in a row, in a class and in its base, that of the class tells.
            if field is not None and field._links and type(self) is cls:
                try:
                    old = _get(self, name)
                except Exception:  # noqa: BLE001 - as in value_of(), without a call
                    old = MISSING
                store(self, name, value)
                if store is not _set:
                    value = value_of(self, name)
                if watch.open or watch.first:
                    watch.note(field, name, self, old, value)
                elif old is not value and not is_equal(old, value):
                    field.tell(name, old, value)
                return
            if bare and name == "__class__":
                store(self, name, value)
                hook(class_of(self))  # its finaliser is to take the watch out of the table
                return
        if always or type(self) is cls:
            store(self, name, value)
        else:  # a subclass, which may have other bases in between
            super(cls, self).__setattr__(name, value)  # type: ignore[arg-type] # pyright: ignore[reportUnknownMemberType]

    return _finished(__setattr__, cls, store if always else None)


def _deleter(cls: type, home: Any) -> Any:
    tabled, bare = _is_tabled(cls), home is _bare
    remove, always = _next(cls, "__delattr__")

    def __delattr__(self: Any, name: str, /) -> None:  # noqa: N807
        handle: Handle[Watch] | None = home._table.get(id(self)) if tabled else self._safemem_watch
        if handle is not None and (bare or handle() is self):
            watch = handle.owned
            field = watch.fields.get(name)
            if field is not None and field._links and type(self) is cls:
                old = value_of(self, name)
                remove(self, name)
                watch.note(field, name, self, old, value_of(self, name))
                return
        if always or type(self) is cls:
            remove(self, name)
        else:
            super(cls, self).__delattr__(name)  # type: ignore[arg-type] # pyright: ignore[reportUnknownMemberType]

    return _finished(__delattr__, cls, remove if always else None)


def _finaliser(cls: type) -> Any:
    own = vars(cls).get("__del__")

    def __del__(self: Any) -> None:  # noqa: N807
        try:
            if own is not None:
                own(self)
            else:
                further: Any = getattr(super(cls, self), "__del__", None)  # pyright: ignore[reportUnknownArgumentType]
                if further is not None:
                    further()
        finally:
            _bare._table.pop(id(self), None)

    return _finished(__del__, cls, None)


def _finished(method: Any, cls: type, passes_to: Any) -> Any:
    method.__module__, method.__qualname__ = cls.__module__, f"{cls.__qualname__}.{method.__name__}"
    method.passes_to = passes_to
    return method


def _next(cls: type, name: str) -> tuple[Callable[..., None], bool]:
    """Return what a class did so far, and whether that is its own and so the same for its subclasses."""
    found: Any = None
    base = cls
    for base in cls.__mro__:
        found = vars(base).get(name)
        if hasattr(found, "passes_to"):  # of ours: what was there before
            found = found.passes_to
        if found is not None:
            break
    if isinstance(found, (FunctionType, WrapperDescriptorType)):
        return found, base is cls

    return partial(_call_bound, found), base is cls


def _call_bound(method: Any, obj: Any, *args: Any) -> None:
    """Call a method that is an unusual descriptor."""
    method.__get__(obj, type(obj))(*args)
