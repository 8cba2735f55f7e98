"""What the demo prints: a table for people, in the room there is, and JSON for programs."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from typing import Any

from safemem.demo.corpus import Corpus
from safemem.demo.row import Way
from safemem.demo.runner import Measured, Outcome

__all__ = ["as_json", "audit_of", "heading", "row_of_table", "size_in_words", "summary"]

_FULL = 79


def size_in_words(size: float) -> str:
    """Write a number of bytes in a short way.

    >>> size_in_words(0), size_in_words(999), size_in_words(12_345), size_in_words(3.2e8)
    ('0 B', '999 B', '12.3 kB', '320.0 MB')
    """
    if size < 1000:
        return f"{size:.0f} B"
    for unit in ("kB", "MB"):
        size /= 1000
        if size < 999.95:
            return f"{size:.1f} {unit}"
    return f"{size / 1000:.1f} GB"


def heading(corpus: Corpus, width: int) -> str:
    """Say what the work is done on, what of it is left out, and what the columns are."""
    lines = [
        corpus.label,
        f"{_files(len(corpus.sources))}, {size_in_words(corpus.size)} of Python; each row works twice on all or some of them",
    ]
    if corpus.left_out:
        left_out = ", ".join(f"{_files(count)} {why}" for why, count in corpus.left_out.items())
        lines.append(f"left out, to stay within a minute: {left_out} (--all takes them)")
    if width >= _FULL:
        lines += ["", _columns("", "what is written", "still held, of all made", "bytes", "time"), "-" * _FULL]
    return "\n".join(_wrap(line, width) for line in lines)


def row_of_table(number: int, outcome: Outcome, width: int) -> str:
    """Lay out one row of the table."""
    row = outcome.row
    lines = ["", _wrap(f"{number}. {row.title}", width)] if number > 1 else [_wrap(f"{number}. {row.title}", width)]
    for side, way, measured in (("usual", row.usual, outcome.usual), ("safemem", row.safemem, outcome.safemem)):
        cells = (row.held(measured.left), size_in_words(measured.left.bytes), f"{measured.seconds:.2f} s")
        if width >= _FULL:
            lines.append(_columns(side, way.write, *cells))
        else:
            together = ", ".join(cell.replace(" ", "\xa0") for cell in cells)
            lines += [_wrap(f"{side}: {way.write}", width, 3, 5), _wrap(together, width, 5, 5).replace("\xa0", " ")]
    word, text = _verdict(outcome)
    lines.append(_wrap(f"{word:<8}{text}", width, 3, 11) if width >= _FULL else _wrap(f"{word} {text}", width, 3, 5))
    return "\n".join(lines)


def audit_of(outcomes: list[Outcome], width: int) -> str:
    """Say what the audit found: of the usual ways which row's leak, who holds it and what mends it; of safemem's, that there is none."""
    lines = ["", _wrap("the audit of the usual ways: who holds what stayed behind", width)]
    for number, outcome in enumerate(outcomes, 1):
        for leak in outcome.usual.report.failures:
            lines.append(_wrap(f"{number}. {leak.kind}: {leak.what}", width, 0, 3))
            if leak.holder:
                lines += _path(leak.holder, width)
            lines.append(_wrap(f"mend it: {leak.fix}", width, 3, 5))
        if outcome.row.trouble:
            lines.append(_wrap(f"{number}. {outcome.row.trouble}", width, 0, 3))
    dirty = [outcome.row.title for outcome in outcomes if not outcome.safemem.report.ok]
    lines.append(_wrap(f"the audit of the ways with safemem: {'leaks: ' + ', '.join(dirty) if dirty else 'no leaks'}", width))
    return "\n".join(lines)


def _path(holder: str, width: int) -> list[str]:
    """Wrap a long path where a step of it begins."""
    marked = re.sub(r"(?<=[^ ])(?=[.\[/])", " ", f"held by {holder}".replace(" ", "\xa0"))
    return [
        re.sub(r"(?<=[^ ]) ", "", line).replace("\xa0", " ") for line in _wrap(marked.replace("\xa0->", " \xa0->"), width, 3, 5).split("\n")
    ]


def summary(outcomes: list[Outcome], corpus: Corpus, seconds: float, width: int) -> str:
    """Sum up the run."""
    lines = ["", f"skipped files: {corpus.skipped()}"] if corpus.problems else [""]
    if failed := sum(bool(outcome.complaint) for outcome in outcomes):
        lines.append(f"{failed} of {len(outcomes)} rows FAILED; {seconds:.1f} s")
    else:
        lines.append(f"{len(outcomes)} of {len(outcomes)} rows: same answers, and safemem left nothing beyond its bounds; {seconds:.1f} s")
    return "\n".join(_wrap(line, width) for line in lines)


def _verdict(outcome: Outcome) -> tuple[str, str]:
    if outcome.complaint:
        return "FAILED:", f"{outcome.complaint} (promised: {outcome.row.promise})"
    numbers = ", ".join(f"{value:,} {what}" for what, value in outcome.safemem.answer.items() if isinstance(value, int))
    return "kept:", f"{outcome.row.promise}; same answer ({numbers})"


def _files(count: int) -> str:
    return f"{count:,} file{'s' if count != 1 else ''}"


def _columns(side: str, write: str, held: str, size: str, seconds: str) -> str:
    return f"   {side:<8}{write:<25}{held:>25}{size:>10}{seconds:>8}"


def _wrap(text: str, width: int, indent: int = 0, hanging: int = 0) -> str:
    if len(text) + indent <= min(width, _FULL):
        return " " * indent + text
    return textwrap.fill(
        text,
        max(min(width, _FULL), 20),
        initial_indent=" " * indent,
        subsequent_indent=" " * hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )


def as_json(outcomes: Iterable[Outcome], corpus: Corpus, seconds: float) -> dict[str, Any]:
    """Return the same for programs: plain dicts, lists, strings and numbers."""
    rows = [_row_as_json(outcome) for outcome in outcomes]
    return {
        "directory": corpus.root,
        "files": len(corpus.sources),
        "bytes": corpus.size,
        "left_out": corpus.left_out,
        "skipped": corpus.problems,
        "rows": rows,
        "seconds": seconds,
        "ok": all(row["ok"] for row in rows),
    }


def _row_as_json(outcome: Outcome) -> dict[str, Any]:
    row = outcome.row
    return {
        "name": row.name,
        "title": row.title,
        "unit": row.unit,
        "promise": row.promise,
        "complaint": outcome.complaint or None,
        "ok": not outcome.complaint,
        "answer": dict(outcome.safemem.answer),
        "usual": _way_as_json(row.usual, outcome.usual),
        "safemem": _way_as_json(row.safemem, outcome.safemem),
    }


def _way_as_json(way: Way, measured: Measured) -> dict[str, Any]:
    left = measured.left
    return {
        "write": way.write,
        "live": left.live,
        "built": left.built,
        "bytes": left.bytes,
        "facts": dict(left.facts),
        "seconds": measured.seconds,
        "leaks": [leak.as_dict() for leak in measured.report.leaks],
    }
