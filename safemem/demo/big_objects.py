"""The cache of big objects that others still use: what it lets go of is made a second time, against a WeakCache, which finds it."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable
from hashlib import sha256

from safemem import WeakCache
from safemem.demo.corpus import Corpus
from safemem.demo.measure import Counted
from safemem.demo.row import Answer, Job, Left, Row, Way, more_than

BOUND = 4
READERS = 32


class Text(Counted):
    """One file as a list of lines: large, slow to make, and worth sharing."""

    __slots__ = ("lines", "path")

    def __init__(self, corpus: Corpus, path: str) -> None:
        self.path = path
        self.lines = corpus.read(path).decode("utf-8", "replace").split("\n")


recent: WeakCache[str, Text] = WeakCache(BOUND)


@functools.lru_cache(maxsize=BOUND)
def load_usual(corpus: Corpus, path: str) -> Text:
    """Keep the last files, and know nothing of those that are still in use."""
    return Text(corpus, path)


def load_safemem(corpus: Corpus, path: str) -> Text:
    """Keep the last files, and find those that are still in use."""
    return recent.get_or_create(path, lambda: Text(corpus, path))


def read_together(job: Job, load: Callable[[Corpus, str], Text]) -> Answer:
    """Let many readers hold a file each and take up another one, which some of the others are reading already."""
    corpus = job.corpus
    readers: deque[Text] = deque(maxlen=READERS)
    digest = sha256()
    lines = 0
    for number, path in enumerate(job.each(corpus.paths)):
        for wanted in (path, corpus.paths[max(0, number - READERS // 2)], corpus.paths[max(0, number - READERS // 4)]):
            text = load(corpus, wanted)
            readers.append(text)
            lines += len(text.lines)
            digest.update(f"{wanted} {len(text.lines)}\n".encode("utf-8", "backslashreplace"))
        copies = max(len({id(other) for other in readers if other.path == text.path}) for text in readers)
        job.facts["copies at once"] = max(copies, job.facts.get("copies at once", 0))
    return {"lines read": lines, "digest": digest.hexdigest()}


def excess(left: Left) -> str:
    """Complain about copies of what was there, and about what nobody reads any more."""
    return more_than(1, left.facts.get("copies at once", 0), "copies of a text at once") or more_than(BOUND, left.live, "texts")


ROW = Row(
    name="big_objects",
    title="The cache of big objects that others still use",
    counts=Text,
    unit="texts",
    usual=Way(f"@lru_cache(maxsize={BOUND})", lambda job: read_together(job, load_usual), load_usual.cache_clear),
    safemem=Way(f"WeakCache({BOUND})", lambda job: read_together(job, load_safemem), recent.clear),
    promise=f"one copy of a text at a time, and at most {BOUND} that nobody reads",
    excess=excess,
    headline=lambda left: f"{left.facts.get('copies at once', 0):,} at once, {left.built:,} made",
)
