"""What is open, running or left behind, over rounds: only what there is more of after each of them counts."""

from __future__ import annotations

import sys
from time import sleep
from typing import TYPE_CHECKING, Any, Final

from safemem.leaks.origins import LIBRARY, PROGRAM, origin_of, origin_of_module
from safemem.leaks.probes import POOLED, compare, snapshot
from safemem.leaks.probes.memory import resident
from safemem.leaks.walk import CIRCLE, in_words, ways_to

if TYPE_CHECKING:
    from safemem.leaks.probes import Snapshot
    from safemem.leaks.report import Leak, RetentionPath
    from safemem.leaks.roots import Root
    from safemem.leaks.walk import Way

__all__ = ["Openings", "opened_since", "settled"]

_ELEMENT: Final = 8  # bytes that come to an array in a call, at least
_SLEEPS: Final = (0.002, 0.01, 0.05, 0.1)
_FUTILE: Final = 1  # rounds, after which waiting has not helped
_ENDING: Final = {"event_loop", "process", "socket", "thread"}  # that may be about to end by themselves
_LAST_SLEEPS: Final = (*_SLEEPS, 0.2, 0.4, 0.8)


class Openings:
    """The resources of the program over rounds. Costs a snapshot and a comparison a round, and a short wait for what is on its way to end."""

    __slots__ = ("_last", "_roots", "_slow", "_wanted", "arrays_grow", "kinds", "reached")

    def __init__(self, wanted: bool) -> None:
        self._wanted = wanted
        self._last: Any = None
        self._slow = 0  # rounds in which waiting did not help
        self._roots: tuple[Root, ...] = ()
        self.kinds: set[str] | None = None  # of which there was more after each round
        self.arrays_grow: bool | None = None  # whether there was more in NumPy arrays after each round
        self.reached: set[int] = set()  # addresses on the way to what is open

    def begin(self) -> None:
        """Look for the first time."""
        if self._wanted:
            self._last = snapshot(explain=False)

    def after_round(self, calls: int) -> None:
        """Look again; what did not grow is forgotten."""
        if not self._wanted or (self.kinds is not None and not self.kinds and not self.arrays_grow):
            return
        now, leaks = settled(self._last, sleeps=_SLEEPS if self._slow < _FUTILE else ())
        grown: dict[str, int] = {}
        for leak in leaks:
            grown[leak.kind] = grown.get(leak.kind, 0) + leak.count
        kinds = {kind for kind, count in grown.items() if count >= max(1, calls // 2)}
        self._slow += bool(kinds & _ENDING)
        self.kinds = kinds if self.kinds is None else self.kinds & kinds
        more = now.array_bytes - self._last.array_bytes >= max(1, calls // 2) * _ELEMENT
        self.arrays_grow = more and self.arrays_grow is not False
        self._last = now

    def look_closely(self) -> None:
        """Look once more: what comes from now on is what will be named."""
        if self.kinds:
            self._last = snapshot(explain=False)

    @staticmethod
    def resident() -> int:
        """Return the memory of this process, in bytes; 0 if the system does not tell."""
        return resident() or 0

    def leaks(self, *roots: Root) -> list[Leak]:
        """Return what leaks, by what came since the last look, with who holds it; after a longer wait for what may end by itself."""
        if not self.kinds:
            return []
        self._roots = roots
        now, leaks = settled(self._last, sleeps=_LAST_SLEEPS)
        if not any(leak.kind in self.kinds for leak in leaks):
            return []
        found = compare(self._last, now, name_holder=self._holder, repeated=True)
        return [leak for leak in found if leak.kind in self.kinds or not leak.is_failure]

    def _holder(self, obj: object) -> RetentionPath | None:
        way = ways_to([obj], *self._roots)[0]
        if way is None or way.root.source == CIRCLE:
            return None
        self.reached.update(map(id, way.nodes))
        return in_words(way)


def opened_since(before: Snapshot) -> list[Leak]:
    """Return what is open and was not before, with who holds it; what is about to end is waited for."""
    _, leaks = settled(before, sleeps=_LAST_SLEEPS)
    if not any(leak.is_failure for leak in leaks):
        return []
    kept: set[str] = set()

    def name_holder(obj: object) -> RetentionPath | None:
        way = ways_to([obj])[0]
        if way is None or way.root.source == CIRCLE:
            return None
        path = in_words(way)
        if path is not None and _is_kept_by_library(way):
            kept.add(path.holder)
        return path

    found = compare(before, snapshot(explain=False), name_holder=name_holder)
    return [leak for leak in found if leak.holder not in kept or leak.count > POOLED]


def _is_kept_by_library(way: Way) -> bool:
    """Whether an installed library's module holds it, and nothing of the program's is on the way: it is the library's to close."""
    module = way.root.source.removeprefix("module ")
    return module != way.root.source and origin_of_module(module) == LIBRARY and not any(origin_of(node) == PROGRAM for node in way.nodes)


def settled(before: Snapshot, *, sleeps: tuple[float, ...]) -> tuple[Snapshot, list[Leak]]:
    """Return what there is now and what of it is new, once what is about to end has had time to."""
    now = snapshot(explain=False)
    leaks = compare(before, now, name_holder=_nobody, repeated=True)
    for seconds in sleeps:
        if not any(leak.kind in _ENDING for leak in leaks) or not _may_end(leaks):
            break
        sleep(seconds)
        now = snapshot(explain=False)
        leaks = compare(before, now, name_holder=_nobody, repeated=True)
    return now, leaks


def _may_end(leaks: list[Leak]) -> bool:
    """Whether what is new may end by itself: threads and processes do, and whatever other threads are about to close."""
    threading = sys.modules.get("threading")
    return any(leak.kind in {"process", "thread"} for leak in leaks) or (threading is not None and threading.active_count() > 1)


def _nobody(_obj: object) -> None:
    return None
