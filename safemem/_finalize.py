"""The one way to attach clean-up to an object: knows forks and the end of the interpreter, never blocks, tells nobody who did not ask of errors.

The registry of what is to be run is a dict whose changes are single steps of the interpreter: whoever takes an entry out runs it, so it runs
once, and there is no lock that a finaliser, called by the collector in the middle of anything, could wait for.
"""

from __future__ import annotations

import atexit
import os
import sys
import warnings
import weakref
from itertools import count
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

from safemem._graph import held_by
from safemem.core._report import report_unraisable
from safemem.core._weakable import check_weakable
from safemem.errors import CycleWarning

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["attach", "finalize", "forget", "is_dropped", "watch_exit"]

T = TypeVar("T")


class _Entry:
    """What one finaliser is to do."""

    __slots__ = ("args", "atexit", "func", "kwargs", "number", "process", "ref")

    def __init__(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], process: int) -> None:
        self.func = func
        self.args = args
        self.kwargs = kwargs
        self.number = next(_numbers)
        self.process = process
        self.atexit = True
        self.ref: Any = None


_registry: Final[dict[Any, _Entry]] = {}
_numbers: Final = count()
_latest = -1  # the number of the one made last
_exiting = False  # whether those that are left are being run
_watching: tuple[int, bool] | None = None  # the process, and whether it was known to be a child of multiprocessing


class finalize(Generic[T]):  # noqa: N801 - the name of the class in weakref that it takes the place of
    """Call a function when an object dies, or at exit if it lives that long; once at most.

    As `weakref.finalize`, but

    * what would keep the object alive for ever is refused: a bound method of it, a partial of one, the object among the arguments
      (TypeError), and warned about if a closure captures it (`CycleWarning`);
    * a forked child never runs what its parent attached: there `alive` is False and a call does nothing;
    * one that is made late, when the interpreter's exit handlers are already running, still works when its object dies;
    * an exception at exit goes to `sys.unraisablehook`, as one at the object's death does.

    Finalisers still alive at exit, whose `atexit` is true, run in reverse order of creation.

    >>> class Connection:
    ...     pass
    >>> connection = Connection()
    >>> closing = finalize(connection, print, "closed")
    >>> closing.alive
    True
    >>> del connection
    closed
    >>> closing.alive
    False
    """

    __module__ = "safemem"
    __slots__ = ("__weakref__",)

    def __init__(self, obj: T, func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> None:
        check_weakable("obj", obj)
        _check_callable(func)
        _refuse_to_pin(obj, func, args, kwargs)
        _register(self, obj, _Entry(func, args, kwargs, watch_exit()))

    def __call__(self, _ref: object = None, /) -> Any:
        """Call the function now, unless that has happened or it was detached; return its result, else None."""
        entry = _registry.pop(self, None)
        if entry is None or entry.process != os.getpid():
            return None
        return entry.func(*entry.args, **entry.kwargs)

    def detach(self) -> tuple[T, Callable[..., Any], tuple[Any, ...], dict[str, Any]] | None:
        """Give the finaliser up; return `(obj, func, args, kwargs)`, or None if it was not alive."""
        found = self.peek()
        if found is None or _registry.pop(self, None) is None:
            return None
        return found

    def peek(self) -> tuple[T, Callable[..., Any], tuple[Any, ...], dict[str, Any]] | None:
        """Return `(obj, func, args, kwargs)`, or None if it is not alive."""
        entry = self._entry()
        obj = None if entry is None else entry.ref()
        return None if entry is None or obj is None else (obj, entry.func, entry.args, entry.kwargs)

    @property
    def alive(self) -> bool:
        """Whether it will still be called in this process."""
        return self._entry() is not None

    @property
    def atexit(self) -> bool:
        """Whether it is called at exit if the object lives that long; True at first, may be set."""
        entry = self._entry()
        return entry is not None and entry.atexit

    @atexit.setter
    def atexit(self, value: bool) -> None:
        entry = self._entry()
        if entry is not None:
            entry.atexit = bool(value)

    def _entry(self) -> _Entry | None:
        entry = _registry.get(self)
        return entry if entry is not None and entry.process == os.getpid() else None

    def __repr__(self) -> str:
        found = self.peek()
        if found is None:
            return f"<{type(self).__name__} object at {id(self):#x}; dead>"
        return f"<{type(self).__name__} object at {id(self):#x}; for {type(found[0]).__name__!r} at {id(found[0]):#x}>"

    def __reduce__(self) -> Any:
        msg = "a finaliser cannot be copied or pickled: make another one for the other object"
        raise TypeError(msg)


def attach(obj: T, func: Callable[..., Any], /, *args: Any) -> finalize[T]:
    """Make a finaliser without looking for what would keep the object alive: for a function and arguments that are known not to."""
    made = cast("finalize[T]", finalize.__new__(finalize))
    _register(made, obj, _Entry(func, args, {}, watch_exit()))
    return made


def forget(finalizer: finalize[Any]) -> bool:
    """Give a finaliser up, as its `detach()` does; return whether it was alive."""
    entry = _registry.pop(finalizer, None)
    return entry is not None and entry.process == os.getpid()


def is_dropped(ref: weakref.ref[Any]) -> bool:
    """Whether a finaliser runs because its object died, not because the program ends; `ref` is a weak reference to that object.

    From Python 3.15 on, while the collector takes an object away, such a reference may still lead to it.
    """
    return not _exiting or ref() is None


def _check_callable(func: object) -> None:
    if not callable(func):
        msg = f"func must be callable, got {func!r}"
        raise TypeError(msg)


def _refuse_to_pin(obj: object, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Raise, or warn, if what is to be called holds the object, which would then never die."""
    place = held_by(func, obj)
    if place is None and any(argument is obj for argument in args):
        place = "an argument"
    elif place is None:
        place = next((f"argument {name!r}" for name, value in kwargs.items() if value is obj), None)
    if place is None:
        return
    rule = (
        f"func keeps the {type(obj).__name__} object alive that it is to outlive ({place}): pass a function that takes what is to be cleaned"
        " up, not the object, as in finalize(obj, os.close, obj.fd)"
    )
    if place.startswith(("its closure", "a default", "the default")):
        warnings.warn(rule, CycleWarning, stacklevel=3)
    else:
        raise TypeError(rule)


def _register(finalizer: finalize[Any], obj: object, entry: _Entry) -> None:
    global _latest  # noqa: PLW0603 - a number, and the only one
    _registry[finalizer] = entry
    entry.ref = weakref.ref(obj, finalizer)
    _latest = entry.number


def watch_exit() -> int:
    """See to it that this process, which may be a new one, runs its finalisers at exit; return its number. Importing changes nothing.

    A child that multiprocessing forked ends without exit handlers (before 3.13), or has forgotten those it inherited; it runs its own.
    """
    global _watching  # noqa: PLW0603 - what is watched is the process
    parents = sys.modules.get("multiprocessing.process")
    process = os.getpid()
    now = (process, parents is not None and parents.parent_process() is not None)
    if now == _watching:
        return process
    _watching = now
    atexit.unregister(_run_at_exit)
    atexit.register(_run_at_exit)
    if now[1]:
        from multiprocessing.util import Finalize

        Finalize(None, _run_at_exit, exitpriority=-100)  # after its own children were waited for
    return process


def _run_at_exit() -> None:
    """Run what is left, the newest first, and what comes up meanwhile."""
    global _exiting  # noqa: PLW0603 - of the process
    latest = _latest
    _exiting = True
    try:
        while waiting := _waiting():
            while waiting and latest == _latest:  # else there is a newer one
                _run_one(waiting.pop()[1])
            latest = _latest
    finally:
        _exiting = False
    for each in list(_registry):  # those that were not to run at exit, which the end of all modules would otherwise make them do
        _registry.pop(each, None)
    # Modules are torn down in no useful order; those who die in that find this one only if it is held by what goes last.
    sys.__dict__["_safemem_finalizers"] = _registry


def _waiting() -> list[tuple[int, finalize[Any]]]:
    """Return those to be run at exit, the newest last."""
    return sorted((entry.number, each) for each, entry in list(_registry.items()) if entry.atexit and entry.process == os.getpid())


def _run_one(finalizer: finalize[Any]) -> None:
    if not finalizer.atexit:  # no more
        return
    try:
        finalizer()
    except BaseException as error:  # noqa: BLE001 - nobody is there to hear of it
        report_unraisable(error)
