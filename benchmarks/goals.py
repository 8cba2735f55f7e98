"""What is aimed at: for a row, safemem's time is at most so many times that of the one named."""

from __future__ import annotations

from typing import NamedTuple

from benchmarks.results import SUBJECT, Results, alone

__all__ = ["GOALS", "Goal", "goals_in_words"]


class Goal(NamedTuple):
    """A limit for one core: a ratio to `against`, or where that is None a number of bytes."""

    core: str
    row: str
    against: str | None
    limit: float

    def reached(self, results: Results) -> float | None:
        """Return what was measured; None if it was not."""
        if self.against is None:
            return results.median(self.row, self.core)
        ratio = results.ratio(self.row, self.core, self.against)
        return None if ratio is None else ratio.value

    def allows(self, reached: float) -> bool:
        """Return whether that is good enough, to the two digits that are shown."""
        return round(reached, 2) <= self.limit


_BY_KEYWORD = {"slots_class": "slots class"}


def _goals(core: str, rows: str, **limits: float) -> list[Goal]:
    return [Goal(core, row, _BY_KEYWORD.get(who, who.replace("_", "-")), limit) for row in rows.split() for who, limit in limits.items()]


_EMISSIONS = "signals-emit-function-1 signals-emit-function-10 signals-emit-method-1 signals-emit-method-10"

GOALS = (
    *_goals(
        "pure", "lru-hit-1000 lru-hit-equal-1000 lru-hit-tuple-1000 lru-hit-int-1000 lru-hit-hot-100000 lru-hit-100000", cachetools=1.1
    ),
    *_goals("pure", "lru-insert-1000 lru-insert-1023 lru-insert-1360 lru-insert-100000", cachetools=0.7),
    *_goals("pure", "ttl-hit-1000 ttl-hit-int-1000 ttl-hit-hot-100000 ttl-hit-100000", cachetools=1.0),
    *_goals("pure", "ttl-insert-1000 ttl-insert-100000", cachetools=0.7),
    *_goals("native", "lru-hit-1000 lru-hit-equal-1000", dict=1.1, cachebox=0.9, lru_dict=0.95),
    *_goals("native", "lru-hit-tuple-1000 lru-hit-tuple-equal-1000 lru-hit-int-1000 lru-hit-int-equal-1000", dict=1.1),
    *_goals("native", "lru-hit-100000 lru-hit-int-100000 lru-hit-steady-100000 lru-hit-int-steady-100000", dict=1.3, cachebox=1.05),
    *_goals("native", "lru-get-1000 lru-get-miss-1000 lru-in-1000 lru-in-miss-1000", dict=1.1),
    *_goals("native", "lru-insert-1000 lru-insert-1023 lru-insert-1360 lru-insert-100000", cachebox=0.9, lru_dict=0.55),
    *_goals("native", "ttl-hit-1000", dict=1.35, cachebox=0.7),
    *_goals("native", "ttl-insert-1000 ttl-insert-100000", cachebox=0.55),
    *_goals("native", "lru_cache-str-1000 lru_cache-int-1000 cached-str-1000 cached-int-1000", functools=0.65),
    *_goals("native", "cached-method-1000", functools=0.7),
    *_goals("native", "lru_cache-three-1000 cached-three-1000", functools=0.55),
    *_goals("native", "lru_cache-keywords-1000 cached-keywords-1000 lru_cache-typed-1000 cached-typed-1000", functools=0.4),
    *_goals("native", "cached-coroutine-1000", async_lru=0.12),
    *_goals("pure", "weak-hit-1000 weak-bare-hit-1000 weak-set-1000 weak-bare-die-1000 weak-owners-hit-1000", weakref=1.0),
    *_goals("native", "weak-hit-1000 weak-bare-hit-1000", weakref=0.45),
    *_goals("native", "weak-set-1000 weak-bare-set-1000", weakref=0.25),
    *_goals("native", "weak-bare-die-1000", weakref=0.35),
    *_goals("native", "weak-owners-hit-1000", weakref=0.3),
    *_goals("native", "signals-emit-0", blinker=0.25),
    *_goals("pure", "signals-emit-0", blinker=0.25),
    *_goals("native", _EMISSIONS, blinker=0.1, psygnal_fast=0.5, for_loop=1.3),
    *_goals("pure", _EMISSIONS, blinker=0.25),
    *(goal for core in ("pure", "native") for goal in _goals(core, "signals-connect-function-0 signals-connect-method-0", blinker=0.5)),
    *(Goal(core, "traced-signal idle-50000", "nobody", 1.0) for core in ("pure", "native")),
    *(Goal(core, f"{method}-signal in use-50000", "psygnal", 0.25) for core in ("pure", "native") for method in ("rss", "traced")),
    *_goals("native", "tree-bush-1000 tree-bush-100000", slots_class=3.0, anytree=0.2, bigtree=0.2),
    *_goals("native", "resources-shm-create-4096 resources-shm-create-1048576 resources-shm-create-67108864", stdlib=1.0),
    *_goals("native", "resources-shm-named-4096 resources-shm-named-1048576 resources-shm-named-67108864", stdlib=1.0),
    *_goals("native", "resources-shm-fill-4096 resources-shm-fill-65536 resources-shm-fill-1048576", stdlib=1.0),
    *(
        goal
        for core in ("pure", "native")
        for goal in _goals(core, "sizes-text-1000 sizes-row-1 sizes-numbers-10000 sizes-rows-1000 sizes-objects-1000", pympler=0.5)
    ),
    *_goals("native", "resources-shm-attach-1", stdlib=1.3),
    *(Goal("native", f"{method}-{kind}-500000", "weakref", 1.0) for method in ("rss", "traced") for kind in ("weak", "weak bare")),
    Goal("native", "rss-lru-500000", None, 56),
    Goal("native", "rss-ttl-500000", None, 72),
    *(Goal("native", f"rss-lru-{n}", None, 72) for n in (132_000, 530_000, 1_050_000)),
    *(Goal("native", f"rss-ttl-{n}", None, 88) for n in (132_000, 530_000, 1_050_000)),
    *_goals("native", "pause-lru-1000000", dict=1.1),
    *_goals("native", "pause-lru-list-1000000", dict=1.25),
    *(Goal("native", row, alone(SUBJECT), 3) for row in ("threads-hit-1000", "threads-hit-int-1000", "threads-one-key-1")),
)


def goals_in_words(results: Results) -> list[str]:
    """Return a line for each goal that these results tell something about."""
    lines: list[str] = []
    for goal in GOALS:
        reached = goal.reached(results)
        if reached is not None:
            verdict = "ok  " if goal.allows(reached) else "MISS"
            what = f"{goal.limit:g} x {goal.against}" if goal.against else f"{goal.limit:g} bytes"
            lines.append(f"{verdict}  {goal.row:<24} {goal.core:<6}  {reached:6.2f}  aim: <= {what}")
    return lines
