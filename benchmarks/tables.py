"""Markdown tables of results."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence

from benchmarks.container import NOBODY
from benchmarks.goals import GOALS, Goal
from benchmarks.memory import BYTES, KINDS, PAUSES, Row
from benchmarks.operations import OPERATIONS, Operation
from benchmarks.peers import NAMES
from benchmarks.results import SUBJECT, Ratio, Results, alone
from benchmarks.run import IMPORT
from benchmarks.sampling import LOOP
from benchmarks.threads import ROWS as THREADS

__all__ = [
    "bytes_table",
    "goals_table",
    "growth_table",
    "import_table",
    "losses",
    "memory_losses",
    "pause_table",
    "spread",
    "threads_table",
    "times_table",
]

_ORDER = [*NAMES, LOOP, NOBODY]

# A ratio below this is not called a loss: the same code measured twice differs by as much.
_NOISE = 1.05


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table whose first column is text, and the others numbers; empty if there are no rows."""
    body = ["| " + " | ".join(row) + " |" for row in rows]
    if not body:
        return ""
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "|".join(["---", *["--:"] * (len(head) - 1)]) + "|", *body])


def _operations(results: Results, group: str, core: str) -> list[Operation]:
    found = [operation for operation in OPERATIONS if operation.group == group]
    return [operation for operation in found if results.median(operation.name, core) is not None]


def _contestants(results: Results, rows: Iterable[str], core: str) -> list[str]:
    """Return all who have a number in one of the rows, in the order of columns, without safemem."""
    found = {name for row in rows for name in results.contestants(row, core)} - {SUBJECT}
    return sorted(found, key=lambda name: _ORDER.index(name) if name in _ORDER else len(_ORDER))


def _nanoseconds(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds * 1e9:.1f}" if seconds < 10e-9 else f"{seconds * 1e9:,.0f}"


def _beside(results: Results, row: str, core: str, contestant: str, number: str) -> str:
    """Return another's number, with safemem's ratio to it."""
    ratio = results.ratio(row, core, contestant)
    return "" if ratio is None else f"{number} ({ratio.value:.2f})"


def times_table(results: Results, group: str, core: str) -> str:
    """Return the times of a group of operations, in nanoseconds."""
    operations = _operations(results, group, core)
    others = _contestants(results, [operation.name for operation in operations], core)
    rows: list[list[str]] = []
    for operation in operations:
        cells = [operation.words, f"{operation.n:,}", f"**{_nanoseconds(results.median(operation.name, core))}**"]
        for other in others:
            number = _nanoseconds(results.median(operation.name, core, other))
            cells.append(number if other == LOOP else _beside(results, operation.name, core, other, number))
        rows.append(cells)
    return table(["operation", *{operation.counted: None for operation in operations}, SUBJECT, *others], rows)


def spread(results: Results, group: str, core: str) -> str:
    """Say how far the ratios of single rounds lie apart."""
    halves: list[float] = []
    for operation in _operations(results, group, core):
        for other in results.contestants(operation.name, core):
            ratio = results.ratio(operation.name, core, other)
            if ratio is not None and other not in {SUBJECT, LOOP}:
                halves.append((ratio.high - ratio.low) / 2 / ratio.value)
    if not halves:
        return ""
    return f"The middle half of the rounds' ratios: typically within ±{statistics.median(halves):.0%} of the one given, at worst ±{max(halves):.0%}."


def growth_table(results: Results, core: str) -> str:
    """Return how the time of one operation changes with the number of entries, for all operations measured with several."""
    families: dict[str, list[Operation]] = {}
    for operation in OPERATIONS:
        if operation.counted == "entries" and results.median(operation.name, core) is not None:
            families.setdefault(operation.family, []).append(operation)
    pairs = [(same[0], same[-1]) for same in families.values() if len(same) > 1]
    others = [name for name in _contestants(results, [few.name for few, _ in pairs], core) if name != LOOP]
    rows: list[list[str]] = []
    for few, many in pairs:
        cells = [f"{few.group}: {few.words}", f"{few.n:,} to {many.n:,}"]
        for name in [SUBJECT, *others]:
            before, after = results.median(few.name, core, name), results.median(many.name, core, name)
            cells.append("" if before is None or after is None else f"{after / before:.1f}")
        rows.append(cells)
    return table(["operation", "entries", SUBJECT, *others], rows)


def import_table(results: Results, core: str) -> str:
    """Return what imports cost, in milliseconds."""
    medians = {name: results.median(IMPORT, core, name) for name in [SUBJECT, *_contestants(results, [IMPORT], core)]}
    there = {name: median for name, median in medians.items() if median is not None}
    return table(["", *there], [["`import`, ms", *(f"{median * 1e3:.1f}" for median in there.values())]] if there else [])


def bytes_table(results: Results, core: str) -> str:
    """Return bytes for each entry."""
    return _memory_table(results, core, BYTES, lambda number: f"{number:.0f}")


def pause_table(results: Results, core: str) -> str:
    """Return pauses in milliseconds."""
    return _memory_table(results, core, PAUSES, lambda number: f"{number * 1e3:.1f}")


def _memory_table(results: Results, core: str, methods: dict[str, str], in_figures: Callable[[float], str]) -> str:
    measured = [row for row in map(Row.named, results.rows) if row.method in methods]
    others = _contestants(results, [row.name for row in measured], core)
    rows: list[list[str]] = []
    for row in measured:
        cells = [f"{KINDS[row.kind]}, {methods[row.method]}", f"{row.n:,}"]
        for name in [SUBJECT, *others]:
            median = results.median(row.name, core, name)
            cells.append("" if median is None else in_figures(median))
        rows.append(cells)
    return table(["", "entries", SUBJECT, *others], rows)


def goals_table(measured: dict[str, list[Results]]) -> str:
    """Return what is aimed at and what was reached; `measured` has the results of each Python."""
    rows: list[list[str]] = []
    for goal in GOALS:
        found = [next((results for results in several if goal.reached(results) is not None), None) for several in measured.values()]
        if any(found):
            aim = f"≤ {goal.limit:g} x {goal.against}" if goal.against else f"≤ {goal.limit:g} bytes"
            rows.append([f"`{goal.row}`", goal.core, aim, *("" if results is None else _reached(goal, results) for results in found)])
    return table(["row", "core", "aim", *measured], rows)


def threads_table(results: Results) -> str:
    """Return for each contestant what one thread takes, what two take, and the ratio."""
    # A dict is the same beside each core.
    columns = [*((SUBJECT, core, f"{SUBJECT}, {core}") for core in results.cores), ("dict", results.cores[0], "dict")]
    rows: list[list[str]] = []
    for operation in THREADS:
        cells = [operation.words]
        for name, core, _ in columns:
            one, two = (results.median(operation.name, core, who) for who in (alone(name), name))
            cells.append("" if one is None or two is None else f"{_nanoseconds(one)}, {_nanoseconds(two)} ({two / one:.2f})")
        rows.append(cells)
    return table(["operation", *(title for _, _, title in columns)], rows)


def _reached(goal: Goal, results: Results) -> str:
    ratio = None if goal.against is None else results.ratio(goal.row, goal.core, goal.against)
    reached = goal.reached(results) or 0.0
    text = f"{reached:.0f} bytes" if ratio is None else f"{ratio.value:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"
    return text if goal.allows(reached) else f"**missed:** {text}"


def losses(results: Results, core: str) -> str:
    """Say for each of the others in which operations safemem takes longer; a dict and a bare loop do not count."""
    lines: list[str] = []
    for name in NAMES:
        ratios = {operation: results.ratio(operation.name, core, name) for operation in OPERATIONS}
        compared = {operation: ratio for operation, ratio in ratios.items() if ratio is not None}
        slower = {operation: ratio for operation, ratio in compared.items() if ratio.value > _NOISE}
        if name not in {SUBJECT, "dict"} and slower:
            lines.append(f"* {name}: slower in {len(slower)} of {len(compared)} rows{_which(slower, len(compared))}")
    return "\n".join(lines)


def memory_losses(results: Results, core: str) -> str:
    """Say for each row of bytes and pauses who needs less than safemem."""
    lines: list[str] = []
    for row in results.rows:
        ratios = {name: results.ratio(row, core, name) for name in NAMES if name not in {SUBJECT, "dict"}}
        less = [f"{ratio.value:.1f} x {name}" for name, ratio in ratios.items() if ratio is not None and ratio.value > _NOISE]
        if less:
            lines.append(f"* `{row}`: {', '.join(less)}.")
    return "\n".join(lines)


def _which(slower: dict[Operation, Ratio], compared: int) -> str:
    """Name the rows, unless they are nearly all."""
    values = sorted(ratio.value for ratio in slower.values())
    if len(slower) > 0.8 * compared:
        return f", {values[0]:.1f} to {values[-1]:.1f} times, typically {statistics.median(values):.1f}."
    return ": " + ", ".join(f"`{operation.name}` {ratio.value:.2f}" for operation, ratio in slower.items()) + "."
