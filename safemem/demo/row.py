"""What a row of the demo is: one piece of work, written in two ways, and what the second may leave behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from safemem.demo.corpus import Corpus
from safemem.demo.measure import Counted

__all__ = ["Answer", "Job", "Left", "Row", "Way", "more_than"]

T = TypeVar("T")

Answer: TypeAlias = Mapping[str, int | str]
"""What the work came to, which must be the same for both ways. The numbers in it are shown, texts (digests) are not."""


def _nothing() -> None:
    """Clear nothing: the work kept nothing outside itself."""


def _ignore(_fraction: float) -> None:
    """Show no progress."""


def _always(_obj: object) -> bool:
    """Say that every object that is alive was left behind."""
    return True


@dataclass(frozen=True)
class Job:
    """What the work is given: the files, a way to show progress, and room for numbers that are known only while it works."""

    corpus: Corpus
    show: Callable[[float], None] = _ignore
    facts: dict[str, int | float] = field(default_factory=dict[str, int | float])

    def each(self, items: Sequence[T]) -> Iterator[T]:
        """Walk over the items and move the progress bar along."""
        for done, item in enumerate(items):
            self.show(done / len(items))
            yield item


@dataclass(frozen=True)
class Left:
    """What one way left behind once its work was done, its workers were dropped and the collector had run."""

    live: int
    built: int
    bytes: int
    facts: Mapping[str, int | float] = field(default_factory=dict[str, int | float])


@dataclass(frozen=True)
class Way:
    """One way to do the work: how it is written (a few words), the work, and how to clear away what it keeps in its module."""

    write: str
    work: Callable[[Job], Answer]
    forget: Callable[[], None] = _nothing


@dataclass(frozen=True)
class Row:
    """A leak, the usual code that has it, and the same work with safemem.

    Args:
        name: the name of the row's module.
        title: the leak, in a few words.
        counts: the class whose instances are counted; the work creates them.
        unit: what those instances are called, in the plural.
        usual: the work as people write it.
        safemem: the same work with safemem.
        promise: what the safemem side may leave behind, in words.
        excess: what it left behind beyond that, in words; "" if nothing.
        headline: words for the column "still held", where "LIVE of BUILT UNIT" does not say it.
        kind: what stays behind, as the audit at the end names it (`Leak.kind`).
        is_left: whether one of the objects that are alive is what must not be: a reader may stay if its file is closed.
        outside: finds the files that stay behind outside of the process, if that is where they do.
        trouble: what the trouble is, in words, if nothing stays behind for the audit to name.
        look: finds numbers that a count of objects does not tell (files, threads, segments), after work, drop and collection; "bytes outside" of
            the process, if it is one of them, are added to the bytes that are shown.
    """

    name: str
    title: str
    counts: type[Counted]
    unit: str
    usual: Way
    safemem: Way
    promise: str
    excess: Callable[[Left], str]
    headline: Callable[[Left], str] | None = None
    look: Callable[[], Mapping[str, int | float]] = dict[str, int | float]
    kind: str = "growth"
    is_left: Callable[[Any], bool] = _always
    outside: Callable[[], Sequence[str]] | None = None
    trouble: str = ""

    def held(self, left: Left) -> str:
        """Say what stayed behind, in a few words."""
        return self.headline(left) if self.headline else f"{left.live:,} of {left.built:,} {self.unit}"


def more_than(bound: float, amount: float, unit: str) -> str:
    """Complain about an amount above the bound; "" if it keeps it.

    >>> more_than(32, 32, "parsed files")
    ''
    >>> more_than(32, 40, "parsed files")
    '40 parsed files, 32 allowed'
    """
    return f"{amount:,} {unit}, {bound:,} allowed" if amount > bound else ""
