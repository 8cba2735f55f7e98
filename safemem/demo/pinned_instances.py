"""The cache that pins its instances: functools.lru_cache on methods, against @cached."""

from __future__ import annotations

import functools

from safemem import cached
from safemem.demo.corpus import Corpus
from safemem.demo.crossref import CrossReference, Module, Names, parse
from safemem.demo.measure import Counted
from safemem.demo.row import Answer, Job, Row, Way, more_than

SAMPLE = 4_000_000


class Indexer(Counted):
    """Knows one file. It is made, asked a few things, and dropped."""

    def __init__(self, corpus: Corpus, path: str) -> None:
        self.corpus = corpus
        self.path = path
        self.source = corpus.read(path)


class UsualIndexer(Indexer):
    """Every cache belongs to the class and has `self` in its keys: it keeps the indexers of the last 128 calls."""

    @functools.lru_cache  # noqa: B019 - the row is about this
    def module(self) -> Module:
        """Parse the file."""
        return parse(self.corpus, self.path, self.source)

    @functools.lru_cache  # noqa: B019
    def names(self) -> Names:
        """Find what the file defines and uses."""
        return Names(self.module().tree)


class SafememIndexer(Indexer):
    """Every indexer has caches of its own, which die with it."""

    @cached
    def module(self) -> Module:
        """Parse the file."""
        return parse(self.corpus, self.path, self.source)

    @cached
    def names(self) -> Names:
        """Find what the file defines and uses."""
        return Names(self.module().tree)


def ask(job: Job, kind: type[UsualIndexer | SafememIndexer]) -> Answer:
    """Make an indexer for each file and drop it once its names are entered."""
    found = CrossReference()
    for path in job.each(job.corpus.sample(SAMPLE)):
        indexer = kind(job.corpus, path)
        found.add(indexer.module().path, indexer.names())
    return found.answer()


def forget() -> None:
    """Empty the caches of the usual indexer; there is no other way to let go of its instances."""
    UsualIndexer.module.cache_clear()
    UsualIndexer.names.cache_clear()


ROW = Row(
    name="pinned_instances",
    title="The cache that pins its instances",
    counts=Indexer,
    unit="indexers",
    usual=Way("@lru_cache on methods", lambda job: ask(job, UsualIndexer), forget),
    safemem=Way("@cached on methods", lambda job: ask(job, SafememIndexer)),
    promise="no indexer",
    excess=lambda left: more_than(0, left.live, "indexers"),
)
