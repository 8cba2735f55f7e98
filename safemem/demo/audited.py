"""The audit at the end of the demo: of each row's halves, who holds what stayed behind, or which cycles they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from safemem.demo.corpus import Corpus
from safemem.demo.row import Job, Row, Way

if TYPE_CHECKING:
    from collections.abc import Sequence

    from safemem.demo.measure import Counted
    from safemem.leaks.report import LeakReport

__all__ = ["audit"]

# Holders that keep to a bound: what they hold is within the row's promise, which the table shows.
_BOUNDED = ("LRUCache", "TTLCache", "TLRUCache", "WeakCache")
_EXCERPT = 200_000


def audit(row: Row, way: Way, left: list[Counted], corpus: Corpus) -> LeakReport:
    """Say who holds the row's objects that stayed behind; if none did, run the work on a few files and look for reference cycles.

    One walk through the heap, or one short run. Of what stays behind outside of the process, say where it is.
    """
    from safemem.leaks.report import LeakReport

    if row.trouble:
        return LeakReport(title=row.name)
    if row.outside is not None:
        return _left_outside(row, row.outside())
    survivors = [obj for obj in left if isinstance(obj, row.counts) and row.is_left(obj)]
    report = _holder_of(row, survivors, left) if survivors else _cycles_of(row, way, corpus)
    survivors.clear()
    return report


def _holder_of(row: Row, survivors: list[Counted], left: list[Counted]) -> LeakReport:
    from safemem.leaks.report import Leak, LeakReport, signature_of
    from safemem.leaks.walk import in_words, ways_to

    ways = ways_to(survivors[-1:], avoid=[left, survivors])
    path = in_words(ways[0])
    ways.clear()
    if path is not None and any(edge.target.startswith(_BOUNDED) for edge in path.edges):
        return LeakReport(title=row.name)
    holder = path.holder if path is not None else ""
    signature = signature_of(row.kind, row.name, holder)
    what = f"{len(survivors):,} {row.unit}"
    leak = Leak(row.kind, what, None, holder, 0, signature, row.safemem.write, path, len(survivors))
    return LeakReport((leak,), row.name)


def _left_outside(row: Row, paths: Sequence[str]) -> LeakReport:
    from safemem.leaks.probes.leftovers import item_of
    from safemem.leaks.report import Leak, LeakReport, signature_of

    items = [item_of(path, row.kind) for path in paths]
    holders = dict.fromkeys(item.holder for item in items)
    leaks = [
        Leak(
            row.kind,
            f"{len(these):,} {row.unit}",
            None,
            holder,
            sum(item.bytes for item in these),
            signature_of(row.kind, row.name),
            row.safemem.write,
        )
        for holder in holders
        if (these := [item for item in items if item.holder == holder])
    ]
    return LeakReport(tuple(leaks), row.name)


def _cycles_of(row: Row, way: Way, corpus: Corpus) -> LeakReport:
    from safemem.leaks.block import Block
    from safemem.leaks.report import LeakReport

    wanted = set(corpus.sample(_EXCERPT)[:5])
    few = Corpus(corpus.root, corpus.label, tuple(source for source in corpus.sources if source.path in wanted))
    block = Block(resources=False, cycles="always")
    block.begin()
    try:
        way.work(Job(few))
    finally:
        report = block.end(told=True)
        way.forget()
    return LeakReport(report.leaks, row.name)
