"""Watching what the collector would have to clean up, and what a reference count alone frees."""

from __future__ import annotations

import gc
import weakref
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

_inside: list[bool] = []


def set_heap_aside() -> None:
    """Keep what is there by now from the collector and from audits, for good: they would look at it each time."""
    gc.collect()
    gc.freeze()


@contextmanager
def collector_off() -> Iterator[None]:
    """Run a block with the collector off, whatever it was before, and with no garbage from before."""
    if _inside:  # a collection would take what the outer block made
        yield
        return
    was_enabled = gc.isenabled()
    gc.disable()
    gc.collect()
    _inside.append(True)
    try:
        yield
    finally:
        _inside.clear()
        if was_enabled:
            gc.enable()


@contextmanager
def no_cyclic_garbage(what: str = "the block") -> Iterator[None]:
    """Fail if the block leaves anything that only the collector can free."""
    flags = gc.get_debug()
    with collector_off():
        gc.set_debug(gc.DEBUG_SAVEALL)
        kept = len(gc.garbage)
        try:
            yield
            gc.collect()
            left = Counter(f"{type(item).__module__}.{type(item).__qualname__}" for item in gc.garbage[kept:])
        finally:
            gc.set_debug(flags)
            del gc.garbage[kept:]
    assert not left, f"{what} left cyclic garbage: {dict(left)}"


@contextmanager
def freed_by_count() -> Iterator[list[weakref.ref[object]]]:
    """Hand out a list for weak references; all of them must be dead when the block ends, with the collector off."""
    references: list[weakref.ref[object]] = []
    with collector_off():
        yield references
        alive = [repr(reference()) for reference in references if reference() is not None]
    assert references, "the block watched nothing"
    assert not alive, f"still alive without the collector: {alive}"


def classes_are_collected() -> bool:
    """Whether this interpreter lets go of any class: CPython 3.13 without a GIL keeps all that are made once there was a second thread."""
    watch = weakref.ref(type("Passing", (), {}))
    gc.collect()
    return watch() is None


class Thing:
    """Something that can be watched: weakly referable, unique, with an equality that does nothing odd."""

    __slots__ = ("__weakref__", "name", "other")

    def __init__(self, name: object = None) -> None:
        self.name = name
        self.other: object = None

    def __repr__(self) -> str:
        return f"Thing({self.name!r})"
