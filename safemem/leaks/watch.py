"""watch and watch_class: objects that should be gone by the next check."""

from __future__ import annotations

import gc
import weakref
from time import monotonic, sleep
from typing import Any, Final

from safemem._graph import class_of, mro_of, type_name
from safemem.leaks.fixes import fix_for
from safemem.leaks.frozen import all_objects, set_aside
from safemem.leaks.report import Leak
from safemem.leaks.walk import in_words, ways_to
from safemem.leaks.words import signature_of

__all__ = ["overdue", "watch", "watch_class"]

_SHOWN: Final = 20
_reference: Final[Any] = vars(weakref.ref)["__call__"]


class _Watched(weakref.ref):  # type: ignore[type-arg]
    """A reference that goes with its object, and is told from others by identity alone."""

    __slots__ = ("due", "reason")

    __hash__ = object.__hash__
    __eq__ = object.__eq__

    reason: str
    due: float


_watched: Final[set[_Watched]] = set()
_forget: Final = _watched.discard
_classes: dict[int, tuple[Any, dict[int, Any], str]] = {}  # by address: the class, what there was of it, why


def watch(obj: Any, reason: str = "", *, grace: float = 0.0) -> None:
    """Say that an object should be gone by the next check: `check_leaks`, the end of a `no_leaks` block, or `Audit.stop`.

    If it is still alive then, `grace` seconds after this call at the earliest and after a collection, the report says who holds it, and why it
    should be gone. Nothing is kept: the object dies when it would, and is then forgotten. Costs less than a microsecond; for any number of objects,
    from any thread.

    Raises:
        TypeError: the object cannot be weakly referenced (an int, a list, an instance with `__slots__` that lack `__weakref__`).
        ValueError: `grace` is negative.

    >>> from safemem import no_leaks
    >>> class Request: ...
    >>> def handle():
    ...     request = Request()
    ...     watch(request, "the request is answered")
    >>> with no_leaks():
    ...     handle()
    """
    if grace:
        _check_grace(grace)
    try:
        watched = _Watched(obj, _forget)
    except TypeError:
        msg = f"obj must be weakly referenceable, got one of {type_name(obj)}: watch_class() can watch instances that are not"
        raise TypeError(msg) from None
    watched.reason = reason
    watched.due = monotonic() + grace if grace else 0.0
    _watched.add(watched)


watch.__module__ = "safemem"


def _check_grace(grace: Any) -> None:
    if isinstance(grace, bool) or not isinstance(grace, (int, float)):
        msg = f"grace must be a number of seconds, got {grace!r}"
        raise TypeError(msg)
    if not 0 <= grace < float("inf"):
        msg = f"grace must not be negative, and finite, got {grace!r}"
        raise ValueError(msg)


def watch_class(cls: type, reason: str = "") -> None:
    """Say that instances of a class made from now on, and of its subclasses, should be gone by the next check.

    The class is not touched: its instances are looked for when the check is made, and those that are there now are let pass.

    Raises:
        TypeError: `cls` is no class.

    >>> from safemem import no_leaks
    >>> class Session: ...
    >>> watch_class(Session)
    >>> sessions = [Session()]
    >>> with no_leaks():
    ...     pass
    Traceback (most recent call last):
    ...
    safemem.LeakError: 1 leak...
    """
    _check_class(cls)
    _classes[id(cls)] = (weakref.ref(cls), {id(obj): _weak(obj) for obj in _instances(cls)}, reason)


watch_class.__module__ = "safemem"


def _check_class(cls: Any) -> None:
    if not isinstance(cls, type):
        msg = f"cls must be a class, got {cls!r}"
        raise TypeError(msg)


def _instances(cls: type) -> list[Any]:
    found = all_objects(set_aside())
    kinds: dict[int, bool] = {}  # by the address of the class: classes may have a hash of their own
    chosen: list[Any] = []
    for obj in found:
        kind = class_of(obj)
        known = kinds.get(id(kind))
        if known is None:
            known = kinds[id(kind)] = any(base is cls for base in mro_of(kind))
        if known:
            chosen.append(obj)
    found.clear()
    return chosen


def _weak(obj: Any) -> Any:
    try:
        return weakref.ref(obj)
    except TypeError:
        return None


def overdue() -> list[Leak]:
    """Return what should be gone by now and is not, and forget it: it is told once. Waits for those whose grace is not over."""
    if not _watched and not _classes:
        return []
    gc.collect()
    _wait()
    late: list[tuple[Any, str]] = []
    for watched in list(_watched):
        obj = _reference(watched)
        if obj is not None:
            late.append((obj, watched.reason))
        _watched.discard(watched)
    late += _late_instances()
    obj = None
    if not late:
        return []
    try:
        return _leaks(late)
    finally:
        late.clear()


def _wait() -> None:
    while True:
        waiting = [watched.due for watched in list(_watched) if watched.due and _reference(watched) is not None]
        left = max(waiting, default=0.0) - monotonic()
        if left <= 0:
            return
        sleep(min(left, 0.05))


def _late_instances() -> list[tuple[Any, str]]:
    late: list[tuple[Any, str]] = []
    for cls, before, reason in list(_classes.values()):
        found = cls()
        if found is None:
            continue
        for obj in _instances(found):
            known = before.get(id(obj), before)
            if known is before or (known is not None and known() is not obj):
                late.append((obj, reason or f"a {type_name(obj)} was made since watch_class()"))
    _classes.clear()
    return late


def _leaks(late: list[tuple[Any, str]]) -> list[Leak]:
    targets = [obj for obj, _ in late[:_SHOWN]]
    ways = ways_to(targets, avoid=[late, *late, targets])
    grouped: dict[tuple[str, str, str], tuple[Any, int]] = {}
    for place, way in enumerate(ways):
        path = in_words(way)
        key = (type_name(targets[place]), path.holder if path else "", late[place][1])
        grouped[key] = (path, grouped.get(key, (path, 0))[1] + 1)
    ways.clear()
    targets.clear()
    return [_leak(*key, path, count) for key, (path, count) in grouped.items()]


def _leak(name: str, holder: str, reason: str, path: Any, count: int) -> Leak:
    what = f"{count} {name}{'' if count == 1 else ' objects'} still alive{f': {reason}' if reason else ''}"
    return Leak("growth", what, None, holder, 0, signature_of("growth", name, holder), fix_for("watched"), path, count)
