"""The ever-growing dict: parsed files in a module-level dict, against a cache with a bound."""

from __future__ import annotations

from collections.abc import Callable

from safemem import LRUCache
from safemem.demo.corpus import Corpus
from safemem.demo.crossref import CrossReference, Module, Names, imports_in, line_of, parse
from safemem.demo.row import Answer, Job, Row, Way, more_than

BOUND = 32

parsed: dict[str, Module] = {}
recent: LRUCache[str, Module] = LRUCache(BOUND)


def load_usual(corpus: Corpus, path: str) -> Module:
    """Keep every file that was ever parsed."""
    if path not in parsed:
        parsed[path] = parse(corpus, path)
    return parsed[path]


def load_safemem(corpus: Corpus, path: str) -> Module:
    """Keep the files used most recently."""
    return recent.get_or_create(path, lambda: parse(corpus, path))


def cross_reference(job: Job, load: Callable[[Corpus, str], Module]) -> Answer:
    """Enter every file's definitions and uses, and for every imported name the line that defines it."""
    corpus = job.corpus
    found = CrossReference()
    for path in job.each(corpus.paths):
        tree = load(corpus, path).tree
        found.add(path, Names(tree))
        for module, name in imports_in(tree):
            target = corpus.modules.get(module)
            line = line_of(load(corpus, target).tree, name) if target else None
            if line:
                found.link(path, f"{target}:{line}")
    return found.answer()


ROW = Row(
    name="growing_dict",
    title="The dict that only grows",
    counts=Module,
    unit="files",
    usual=Way("a module-level dict", lambda job: cross_reference(job, load_usual), parsed.clear),
    safemem=Way(f"LRUCache({BOUND})", lambda job: cross_reference(job, load_safemem), recent.clear),
    promise=f"at most {BOUND} parsed files",
    excess=lambda left: more_than(BOUND, left.live, "parsed files"),
)
