"""Audit: one stretch of a program, from start() to stop(), without rounds: what stays open, what was growing until the end, what hangs in cycles."""

from __future__ import annotations

import gc
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any, Final

from safemem._graph import class_of
from safemem.leaks.census import Suspect, dicts_of
from safemem.leaks.circles import circles_left
from safemem.leaks.evidence import Evidence
from safemem.leaks.fills import is_importing, is_variable_of_program, variables_of_program
from safemem.leaks.findings import findings_of_audit
from safemem.leaks.frozen import all_objects, set_aside
from safemem.leaks.heap import census, referents_of
from safemem.leaks.openings import opened_since
from safemem.leaks.probes import snapshot
from safemem.leaks.report import LeakReport
from safemem.leaks.watch import overdue

if TYPE_CHECKING:
    from typing import Self

    from safemem.leaks.report import Leak
    from safemem.leaks.walk import Way

__all__ = ["Audit"]

_AT_ONCE: Final = 8  # looks before their cost counts
_SHARE: Final = 20  # a look may take this part of the time
_LOOKS: Final = 4  # that are enough to tell what goes on growing from what is full
_ENTRIES: Final = 200  # that something must have grown by
_CONTAINERS: Final = 700  # made since the last look, half of which are enough for another; if the collector does not tell
_FRAMES: Final = 16


class Audit:
    """An audit of a stretch of a program: `start()`, the program, `report = stop()`; or a `with` block and `.report`.

    Reported are resources that were opened in between and are open, objects given to `watch` that are alive, reference cycles that nobody
    collected and that matter (as with `check_leaks`), and containers that held more at each of several looks and at the end, by two hundred entries
    or more. A look is taken when the collector has run, at most a twentieth of the time goes to them, and `look()` takes one more. What was filled
    once and then used is no leak; a program that ends while it is still filling something looks as if it leaked, and only `check_leaks` can tell.

    With `trace=True` tracemalloc is on meanwhile, and the report has the lines where things were made; the program takes about six times as long.
    Start and stop are to be called from one thread; others are audited as well. Nothing stays behind after `stop()`.

    >>> visits = []
    >>> class Visit: ...
    >>> audit = Audit()
    >>> audit.start()
    >>> for _ in range(2000):
    ...     visits.append(Visit())
    >>> report = audit.stop()
    >>> report.leaks[0].kind
    'growth'
    """

    __module__ = "safemem"
    __slots__ = (
        "_aside",
        "_before",
        "_began",
        "_due",
        "_last",
        "_lengths",
        "_looks",
        "_made",
        "_made_first",
        "_next",
        "_running",
        "_since",
        "_sizes",
        "_streaks",
        "_table",
        "_traces",
        "_tracing",
        "report",
    )

    def __init__(self, trace: bool = False) -> None:
        if class_of(trace) is not bool:
            msg = f"trace must be a bool, got {trace!r}"
            raise TypeError(msg)
        self._tracing = trace
        self._running = False
        self._traces = False
        self.report: LeakReport | None = None

    def start(self) -> None:
        """Begin.

        Raises:
            RuntimeError: it has begun already.
        """
        if self._running:
            msg = "the audit has been started already: stop() it first"
            raise RuntimeError(msg)
        self.report = None
        gc.collect()
        self._aside = set_aside()
        objects = self._objects()
        self._table = census(objects)[0]
        self._lengths = {
            id(obj): len(referents_of(obj)) for obj in objects if class_of(obj) is dict or class_of(obj) is list or class_of(obj) is set
        }
        objects.clear()
        self._sizes: dict[int, int] = {}  # by address, of what has grown
        self._streaks: dict[int, int] = {}  # by address: looks in a row at which it had grown
        self._made_first: set[int] = set()
        self._looks = 0
        self._made = 0  # containers since the last look, as far as the collector counts them
        self._since = self._last = self._began = process_time()
        self._due = False  # whether there is a look when the collector has run
        self._next = 0.0
        self._before: Any = snapshot(explain=False)
        if self._tracing:  # not before, as it makes everything slower
            self._trace()
        self._running = True
        gc.callbacks.append(self._after_collection)

    def _trace(self) -> None:
        import tracemalloc

        self._traces = not tracemalloc.is_tracing()
        if self._traces:
            tracemalloc.start(_FRAMES)

    def _after_collection(self, phase: str, _info: dict[str, int]) -> None:
        if phase == "start":
            self._made += gc.get_count()[0]
            self._due = self._has_gone_on() and (self._looks < _AT_ONCE or perf_counter() >= self._next)
            self._began = process_time()
            return
        spent = process_time() - self._began
        self._since += spent
        self._last += spent
        if self._due:
            self.look()

    def _has_gone_on(self) -> bool:
        """Whether so much has happened since the last look, other than collections, that it means something if a container has not grown."""
        now = process_time()
        return self._made >= (gc.get_threshold()[0] or _CONTAINERS) // 2 or now - self._last >= (now - self._since) / _SHARE

    def look(self) -> None:
        """Look what has grown since the last look; nothing happens unless the audit is running."""
        if not self._running:
            return
        start = perf_counter()
        objects = self._objects()
        self._table, grown, _ = census(objects, self._table)
        objects.clear()
        if not is_importing():  # what imports fill is full when they are through
            self._note(grown)
        grown.clear()
        self._looks += 1
        self._made = 0
        self._last = process_time()
        self._next = perf_counter() + (perf_counter() - start) * _SHARE

    def _note(self, grown: list[Any]) -> None:
        """Count for what has grown how many times in a row it has, and note what had no name in the main module then."""
        sizes = {id(obj): len(referents_of(obj)) for obj in grown}
        streaks, before = self._streaks, self._sizes
        self._streaks = {number: streaks.get(number, 0) + 1 for number, size in sizes.items() if size > before.get(number, -1)}
        self._sizes = sizes
        named = variables_of_program()
        self._made_first = {id(obj) for obj in grown if id(obj) not in named or id(obj) in self._made_first}

    def stop(self) -> LeakReport:
        """End, and return what leaks.

        Raises:
            RuntimeError: it has not been started.
        """
        if not self._running:
            msg = "the audit has not been started: start() it first"
            raise RuntimeError(msg)
        leaks: list[Leak] = []
        try:
            leaks += self._left_so_far()
            self._running = False
            leaks += opened_since(self._before)
            leaks += overdue()
        finally:
            self._running = False
            self._table = self._before = None
            self._aside = []
            self._streaks = self._lengths = self._sizes = {}
            self._made_first = set()
            if self._traces:
                self._end_trace()
        self.report = LeakReport(tuple(leaks), "audit")
        return self.report

    def _left_so_far(self) -> list[Leak]:
        """Return the cycles, and what was growing; from now on there is no look."""
        if self._after_collection in gc.callbacks:  # the program may have cleared them
            gc.callbacks.remove(self._after_collection)
        self._made += gc.get_count()[0]
        once_more = not self._looks or self._has_gone_on()
        circles = circles_left(every=not gc.isenabled())
        if once_more:
            self.look()
        return circles + self._grown()

    def _end_trace(self) -> None:
        import tracemalloc

        self._traces = False
        tracemalloc.stop()

    def _grown(self) -> list[Leak]:
        """Return the containers that were growing up to the last look."""
        objects = self._objects()
        new = census(objects, self._table, fresh=True)[2]
        pairs: list[tuple[Suspect, Any]] = []
        hidden = self._growing().difference(map(id, objects))
        for obj in [*objects, *dicts_of(objects, hidden)]:
            least = self._least(obj)
            if least:
                suspect = Suspect(obj)
                suspect.grew = suspect.size - self._lengths.get(id(obj), 0)
                if suspect.grew >= least:
                    pairs.append((suspect, obj))
        objects.clear()
        evidence = Evidence.of(new, traced=self._tracing)
        new.clear()
        try:
            return findings_of_audit(pairs, evidence, self, self._is_filled) if pairs else []
        finally:
            pairs.clear()
            evidence.close()

    def _growing(self) -> set[int]:
        """Return the addresses of all that was growing."""
        return set(self._streaks)

    def _least(self, obj: Any) -> int:
        """Return by how much a container must have grown to be reported; 0 if it was not growing at every look."""
        return _ENTRIES if self._streaks.get(id(obj), 0) >= min(_LOOKS, self._looks) else 0

    def _is_filled(self, way: Way, obj: Any) -> bool:
        """Whether a container that was growing is full: the program made it first, and then gave it the name that it is found by."""
        return id(obj) in self._made_first and is_variable_of_program(way, obj)

    def _objects(self) -> list[Any]:
        return all_objects(self._aside)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
