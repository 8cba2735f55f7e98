"""The cache nobody can bound by bytes: a bound on the number of texts, against one on their weight."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from hashlib import sha256

from safemem import LRUCache
from safemem.demo.corpus import Corpus
from safemem.demo.measure import Counted, weigh
from safemem.demo.row import Answer, Job, Row, Way, more_than

COUNT = 256
BYTES = 4_000_000

_DEFINITION = re.compile(r"^(?:async +)?(?:def|class) +(\w+)", re.MULTILINE)
_IMPORT = re.compile(r"^from +([\w.]+) +import +\(?([\w, ]+)", re.MULTILINE)


class Listing(Counted):
    """The lines of one file, ready to be quoted: a few bytes for an empty file, a megabyte for a long one."""

    __slots__ = ("defined", "imports", "lines")

    def __init__(self, text: str) -> None:
        self.lines = text.split("\n")
        self.defined = {match[1]: text.count("\n", 0, match.start()) for match in _DEFINITION.finditer(text)}
        self.imports = [(match[1], name.strip()) for match in _IMPORT.finditer(text) for name in match[2].split(",")]


def list_file(corpus: Corpus, path: str) -> Listing:
    """Read one file and split it into lines."""
    return Listing(corpus.read(path).decode("utf-8", "replace"))


recent: LRUCache[str, Listing] = LRUCache(BYTES, getsizeof=weigh)


@functools.lru_cache(maxsize=COUNT)
def load_usual(corpus: Corpus, path: str) -> Listing:
    """Keep the last files, however long they are."""
    return list_file(corpus, path)


def load_safemem(corpus: Corpus, path: str) -> Listing:
    """Keep the last files as far as they weigh no more than the bound."""
    return recent.get_or_create(path, lambda: list_file(corpus, path))


def quote(job: Job, load: Callable[[Corpus, str], Listing]) -> Answer:
    """Quote every definition, and for every imported name the line that defines it."""
    corpus = job.corpus
    digest = sha256()
    quoted = 0
    for path in job.each(corpus.paths):
        listing = load(corpus, path)
        lines = [(path, listing.lines[line]) for line in listing.defined.values()]
        for module, name in listing.imports:
            target = corpus.modules.get(module)
            if target is not None:
                there = load(corpus, target)
                if name in there.defined:
                    lines.append((target, there.lines[there.defined[name]]))
        quoted += len(lines)
        digest.update(repr(lines).encode())
    return {"lines quoted": quoted, "digest": digest.hexdigest()}


ROW = Row(
    name="byte_bound",
    title="The cache nobody can bound by bytes",
    counts=Listing,
    unit="texts",
    usual=Way(f"@lru_cache(maxsize={COUNT})", lambda job: quote(job, load_usual), load_usual.cache_clear),
    safemem=Way("LRUCache(4e6, getsizeof)", lambda job: quote(job, load_safemem), recent.clear),
    promise=f"at most {BYTES:,} bytes of texts",
    excess=lambda left: more_than(BYTES, left.bytes, "bytes"),
)
