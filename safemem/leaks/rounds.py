"""The rounds of a check: when they are made longer, when they end, and what they have shown."""

from __future__ import annotations

import gc
import sys
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Any, Final

from safemem.leaks.census import Following
from safemem.leaks.circles import circles_left
from safemem.leaks.evidence import Evidence
from safemem.leaks.findings import Findings, add_arrays, benign_among, leaks_of
from safemem.leaks.native import Native
from safemem.leaks.openings import Openings
from safemem.leaks.probes.contents import arrays, sizes_of
from safemem.leaks.roots import Root
from safemem.leaks.walk import NATIVE

if TYPE_CHECKING:
    from collections.abc import Generator

    from safemem.leaks.report import Leak

__all__ = ["Rounds"]

_LONGER: Final = 8
_LONGEST: Final = 512  # calls in one round
_SECONDS: Final = 8.0  # that the first longer rounds may take together, where there is a choice
_FEW: Final = 3  # rounds, where they are long
_PATIENCE: Final = 0.5  # seconds that even longer ones may take together
_CLOSELY: Final = 2  # calls that are looked at closely
_BYTES: Final = 100_000_000  # that what leaks may come to
_SOON: Final = 2000  # calls that there may be yet


class Rounds:
    """One check, as a generator that asks for each call: `for _ in rounds.run(): func()`. Its `leaks` are there when it has ended."""

    __slots__ = (
        "_calls",
        "_following",
        "_func",
        "_left",
        "_native",
        "_openings",
        "_rounds",
        "_seconds",
        "_was_off",
        "cycles",
        "leaks",
        "resources",
        "warmup",
    )

    def __init__(self, func: Any, rounds: int, warmup: int, *, resources: bool, cycles: str, was_off: bool) -> None:
        self._func = func
        self._rounds = rounds
        self.warmup = warmup
        self.resources = resources
        self.cycles = cycles
        self._was_off = was_off
        self._calls = 0
        self._seconds = 0.0  # of one call
        self._left: bool = cycles != "never"  # whether each round has left something to the collector
        self._following = Following()
        self._openings = Openings(resources)
        self._native = Native(resources)
        self.leaks: list[Leak] = []

    def run(self) -> Generator[None, None, None]:
        """Ask for the calls, one at a time."""
        for _ in range(self.warmup):
            yield
        gc.collect()
        gc.collect()
        self._following.begin()
        self._openings.begin()
        self._native.begin()
        yield from self._stage(1, self._rounds)
        self._drop_benign()
        left = self._left
        yield from self._longer()
        yield from self._conclude()
        if left and self.cycles != "never":
            yield from self._circles()

    def _stage(self, calls: int, rounds: int) -> Generator[None, None, None]:
        """Make the rounds, all of `calls` calls."""
        shortest = float("inf")
        for _ in range(rounds):
            start = perf_counter()
            for _ in range(calls):
                yield
            shortest = min(shortest, (perf_counter() - start) / calls)
            self._calls += calls
            self._left = bool(gc.collect()) and self._left
            self._openings.after_round(calls)
            self._native.after_round(calls)
            self._following.after_round(calls)
        self._seconds = shortest

    @property
    def _is_suspicious(self) -> bool:
        return bool(
            self._following.suspects
            or self._following.swelling
            or self._following.handlers
            or self._following.variables
            or self._following.more_variables
            or self._openings.kinds
            or self._native.grows
            or self._openings.arrays_grow
        )

    def _longer(self) -> Generator[None, None, None]:
        """Make longer and longer rounds for as long as something grows in each, and time and memory allow."""
        calls = _LONGER if self._seconds * _LONGER * self._rounds <= _SECONDS else max(2, int(_SECONDS / self._seconds / self._rounds))
        grown = 0
        while self._is_suspicious and calls <= _LONGEST:
            if calls > _LONGER and (self._openings.kinds or self._seconds * calls * self._rounds > _PATIENCE or grown * _LONGER > _BYTES):
                return
            before = self._openings.resident()
            yield from self._stage(calls, self._rounds if calls <= _LONGER else min(self._rounds, _FEW))
            grown = self._openings.resident() - before
            self._drop_benign()
            if calls < _LONGER:
                return
            calls *= _LONGER

    def _drop_benign(self, soon: int = _SOON) -> None:
        """Forget what has a bound that longer rounds, of `soon` calls together, do not reach, and the objects in it."""
        if self._following.suspects:
            dropped = benign_among(self._following.found(), self, self._root(), soon=soon)
            if dropped:
                self._native.forget()
                if self._following.forget(dropped):
                    self._following.swelling = {}

    def _root(self) -> Root:
        return Root(self._func, "the function that is checked")

    def _conclude(self) -> Generator[None, None, None]:
        """Look closely at one more call, and say what it is that leaks."""
        self._drop_benign(soon=0)
        if not self._is_suspicious:
            return
        root = self._root()
        evidence = Evidence(_CLOSELY)
        try:
            evidence.begin()
            known = sizes_of(arrays()) if self._openings.arrays_grow else set[tuple[int, int]]()
            self._openings.look_closely()
            for _ in range(_CLOSELY):
                yield
            evidence.gather()
            self._wait_for_others()
            leaks = self._openings.leaks(root)
            findings = leaks_of(self._following, evidence, self._calls, self, root)
            if self._openings.arrays_grow and not findings.sure:
                add_arrays(findings, known, self, root)
        finally:
            evidence.close()
        self.leaks += self._together(leaks, findings)

    def _wait_for_others(self) -> None:
        """Give threads time to work off what they were given; what they did is no suspect then."""
        threading = sys.modules.get("threading")
        if threading is None or threading.active_count() < 2 or not self._following.suspects:
            return
        for _ in range(5):
            sleep(0.02)
            if not self._following.drop_shrunk():
                return

    def _together(self, opened: list[Leak], findings: Findings) -> list[Leak]:
        """Leave out what only follows from something else."""
        reached = self._openings.reached
        grown = [leak for leak, way in findings.sure if not way & reached]
        if any(leak.kind == "thread" for leak in opened):  # it is their variables that grow, and what starting them takes
            grown = [leak for leak in grown if not leak.holder.startswith(("thread ", NATIVE)) and "._waiters" not in leak.holder]
        if any(leak.kind == "listener" for leak in grown):  # the logger's list, which says more than the number of handlers
            opened = [leak for leak in opened if leak.kind != "listener"]
        if any(leak.kind == "file" for leak in grown):  # objects that do not tell which descriptor they have
            opened = [leak for leak in opened if leak.path is not None or leak.kind != "file"]
        return opened + grown or self._native.leaks() or findings.weak

    def _circles(self) -> Generator[None, None, None]:
        """Make one more call to see what the cycles are; those that matter, as a rule."""
        import tracemalloc

        started = not tracemalloc.is_tracing()
        if started:
            tracemalloc.start(8)
        try:
            yield
            self.leaks += circles_left(every=self.cycles == "always" or self._was_off or not gc.isenabled())
        finally:
            if started:
                tracemalloc.stop()
